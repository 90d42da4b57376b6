# SPDX-License-Identifier: Apache-2.0
"""A drawn frame with exact labels: two discs before a wall, textured, shaded, in a surround."""

import cv2
import numpy as np

from endoforge.frames.frame import IGNORE, Frame
from endoforge.geometry.cameras import PinholeCamera

NAMES = {0: "outside", 1: "wall", 2: "fold", 3: "polyp", 4: "stool"}


def still_life(scale: int = 1, empty: bool = False, index: int = 0) -> Frame:
    """128 x 96 px times the scale; `empty` has no labelled pixel, `index` moves the discs."""
    width, height = 128 * scale, 96 * scale
    v, u = np.mgrid[:height, :width].astype(np.float32) / scale
    label = np.ones((height, width), np.uint8)
    depth = np.full((height, width), 60, np.float32)
    colour = np.float32([190, 110, 95]) * np.ones((height, width, 1), np.float32)
    for number, (x, y, r, z, rgb) in enumerate(_discs(index)):
        inside = (u - x) ** 2 + (v - y) ** 2 < r**2
        label[inside], depth[inside] = 3 + number, z
        colour[inside] = rgb
    rng = np.random.default_rng(7)
    grain = cv2.resize(
        rng.normal(0, 1, (32, 40)).astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_CUBIC,
    )
    light = 1.1 - 0.5 * np.hypot(u / 128 - 0.5, v / 96 - 0.5)
    image = np.clip(colour * light[..., None] * (1 + 0.08 * grain[..., None]), 0, 255)
    surround = np.hypot(u / 128 - 0.5, v / 96 - 0.5) > (0.0 if empty else 0.58)
    label[surround] = IGNORE
    image[surround] = 0
    return _frame(image.astype(np.uint8), label, depth, index)


def _discs(index):
    yield 40 + index, 40, 13, 35.0, np.float32([235, 190, 120])
    yield 84, 58 + index, 16, 45.0, np.float32([110, 60, 120])


def _frame(image, label, depth, index) -> Frame:
    height, width = label.shape
    valid = label != IGNORE
    nowhere = np.full((height, width, 3), np.nan, np.float32)
    return Frame(
        sequence=0,
        index=index,
        image=image,
        camera=PinholeCamera(width, height, width / 2, width / 2, width / 2, height / 2),
        camera_from_world=np.eye(4),
        next_camera_from_world=np.eye(4),
        depth_mm=np.where(valid, depth, np.float32(np.nan)),
        valid=valid,
        normal_camera=nowhere,
        label=label,
        instance=np.zeros((height, width), np.uint16),
        flow_px=nowhere[..., :2].copy(),
        occluded=np.zeros((height, width), bool),
    )

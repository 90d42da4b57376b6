# SPDX-License-Identifier: Apache-2.0
"""Small pictures and videos that tests of several rooms read."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np


def tissue(width: int = 96, height: int = 72, shift: int = 0) -> np.ndarray:
    """A reddish picture with structure that fills the whole frame."""
    v, u = np.mgrid[:height, :width]
    wave = np.sin((u + shift) / 7) + np.cos((v - shift) / 9)
    return np.stack([170 + 30 * wave, 90 + 25 * wave, 80 + 20 * wave], -1).round().astype(np.uint8)


def inside_of(shape: str) -> np.ndarray:
    """Where a picture of 400 × 320 px with that shape has content."""
    width, height = 400, 320
    mask = np.zeros((height, width), np.uint8)
    if shape == "circle":
        cv2.circle(mask, (width // 2, height // 2), 150, 1, -1)
    elif shape == "octagon":
        corners = [(90, 10), (310, 10), (390, 80), (390, 240), (310, 310), (90, 310)]
        cv2.fillPoly(mask, [np.array([*corners, (10, 240), (10, 80)])], 1)
    elif shape == "cut corner":
        mask[:] = 1
        mask[220:, :120] = 0
    else:
        mask[:] = 1
    return mask.astype(bool)


def shown_in(shape: str, grey: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A picture of that shape on a dark surround, and where its content is."""
    inside = inside_of(shape)
    image = tissue(400, 320)
    image[~inside] = grey
    return image, inside


def write_video(path: Path, frames: int = 30, **options) -> Path:
    """Write an H.264 video; options: size, times_s, movflags, pix_fmt, rate."""
    size = options.get("size", (96, 72))
    rate = options.get("rate", 25)
    times_s = options.get("times_s", [k / rate for k in range(frames)])
    flags = {"movflags": options["movflags"]} if "movflags" in options else {}
    with av.open(str(path), "w", options=flags) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = options.get("pix_fmt", "yuv420p")
        stream.options = {"crf": "10", "g": "5", "bf": "0"}
        base = Fraction(1, 1000) if "times_s" in options else Fraction(1, rate)
        stream.codec_context.time_base = base
        for index, time_s in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(tissue(*size, shift=3 * index), format="rgb24")
            frame.pts, frame.time_base = round(time_s / base), base
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def cut(path: Path, share: float) -> Path:
    """Keep only the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * share)])
    return path

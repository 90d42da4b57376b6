# SPDX-License-Identifier: Apache-2.0
"""Pictures and labels at another size: each kind is reduced in the way that keeps its meaning."""

import math

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.frames.frame import IGNORE


def reduced_image(
    image: UInt8[np.ndarray, "tall wide 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "height width 3"]:
    """Return a picture at another size (width, height), each pixel the mean of what it covers."""
    if image.shape[1::-1] == size:
        return image
    area = image.shape[0] >= size[1] and image.shape[1] >= size[0]
    how = cv2.INTER_AREA if area else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how))


def reduced_depth(
    depth_mm: Float32[np.ndarray, "tall wide"],
    valid: Bool[np.ndarray, "tall wide"],
    size: tuple[int, int],
) -> Float32[np.ndarray, "height width"]:
    """Return depth at another size (width, height), mm; 0 where over half of a pixel is invalid.

    A pixel becomes the geometric mean of the valid depth that it covers, which is the prediction
    with the least squared log error there.
    """
    weight = valid.astype(np.float32)
    log_depth = np.where(valid, np.log(np.where(valid, depth_mm, 1.0)), 0.0).astype(np.float32)
    if depth_mm.shape[::-1] != size:
        weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
        log_depth = cv2.resize(log_depth, size, interpolation=cv2.INTER_AREA)
    kept = weight >= 0.5
    mean = np.exp(log_depth / np.where(kept, weight, 1.0))
    return np.where(kept, mean, 0.0).astype(np.float32)


def reduced_label(
    label: UInt8[np.ndarray, "tall wide"], size: tuple[int, int]
) -> UInt8[np.ndarray, "height width"]:
    """Return class indices at another size (width, height): what covers most of each pixel.

    Of classes that cover equal parts the lowest index wins; 255 (ignore) is one of them.
    """
    if label.shape[::-1] == size:
        return label
    best = np.full(size[::-1], IGNORE, np.uint8)
    most = np.zeros(size[::-1], np.float32)
    for index in np.unique(label):
        share = cv2.resize((label == index).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        more = share > most + 1e-6
        best[more], most[more] = index, share[more]
    return best


def working_size(
    picture: tuple[int, int], trained: tuple[int, int], divisor: int
) -> tuple[int, int]:
    """Return the width and height at which a network sees a picture.

    It has the picture's aspect and the area of the training pictures, as nearly as the divisor
    allows.

    Args:
        picture: Width and height of the picture, px.
        trained: Width and height of the training pictures, px.
        divisor: Of which both sides must be multiples, px.

    Example:
        >>> working_size((854, 480), (224, 128), 16)
        (224, 128)
    """
    scale = math.sqrt(trained[0] * trained[1] / (picture[0] * picture[1]))
    sides = (max(divisor, round(side * scale / divisor) * divisor) for side in picture)
    return next(sides), next(sides)

# SPDX-License-Identifier: Apache-2.0
"""Reading one picture at places that lie between the pixels of another."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Shaped

from endoforge.frames.planes import known_pixels
from endoforge.geometry.cameras import Camera


def sample(
    values: Float[np.ndarray, "height width *channels"],
    landing: Float[np.ndarray, "rows columns 2"],
) -> Float[np.ndarray, "rows columns *channels"]:
    """Values between four pixels; NaN beside the picture or beside an invalid pixel.

    Args:
        values: One number per pixel, or several.
        landing: Where to read, px; the first pixel's centre is (0.5, 0.5).
    """
    return _remap(values.astype(np.float32), landing, cv2.INTER_LINEAR, float("nan"))


def pick(
    values: Shaped[np.ndarray, "height width"], landing: Float[np.ndarray, "rows columns 2"]
) -> Float[np.ndarray, "rows columns"]:
    """Value of the nearest pixel; NaN beside the picture."""
    return _remap(values.astype(np.float32), landing, cv2.INTER_NEAREST, float("nan"))


def depth_at(
    depth_mm: Float[np.ndarray, "height width"], landing: Float[np.ndarray, "rows columns 2"]
) -> Float[np.ndarray, "rows columns"]:
    """Depth between four pixels, mm; NaN beside the picture, an invalid pixel or an edge."""
    value, near = sample(depth_mm, landing), pick(depth_mm, landing)
    return np.where(np.abs(value - near) < 0.05 * near, value, np.nan)


def uniform(values: Shaped[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """True where a pixel and its eight neighbours have the same number."""
    numbers = values.astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.erode(numbers, kernel) == cv2.dilate(numbers, kernel))


def step_length(
    values: Float[np.ndarray, "height width 3"], slack: float = 0.0
) -> Float[np.ndarray, "height width"]:
    """Longest difference of a pixel to its four neighbours, where the picture is smooth.

    Args:
        values: Three numbers per pixel; NaN where invalid.
        slack: Precision of the values.

    Returns:
        Infinite at the border, beside an invalid pixel, and at an edge: where a step is more than
        three times as long as the one on the opposite side.
    """
    with np.errstate(invalid="ignore"):
        across = np.linalg.norm(np.diff(values, axis=1), axis=-1)[1:-1]
        down = np.linalg.norm(np.diff(values, axis=0), axis=-1)[:, 1:-1]
        sides = across[:, :-1], across[:, 1:], down[:-1], down[1:]
        smooth = np.ones(sides[0].shape, bool)
        for one, other in (sides[:2], sides[1::-1], sides[2:], sides[:1:-1]):
            smooth &= one <= 3 * other + slack
    length = np.full(values.shape[:2], np.inf, np.float32)
    length[1:-1, 1:-1] = np.where(smooth, np.maximum.reduce(sides), np.inf)
    return length


def inside(
    landing: Float[np.ndarray, "rows columns 2"], camera: Camera, margin_px: float
) -> Bool[np.ndarray, "rows columns"]:
    """True for positions in the image, or beside it by less than a margin."""
    u, v = landing[..., 0], landing[..., 1]
    width, height = camera.width + margin_px, camera.height + margin_px
    return np.asarray((u > -margin_px) & (v > -margin_px) & (u < width) & (v < height))


def _remap(
    values: Float[np.ndarray, "height width *channels"],
    landing: Float[np.ndarray, "rows columns 2"],
    method: int,
    outside: float,
) -> Float[np.ndarray, "rows columns *channels"]:
    known = known_pixels(landing)
    u = np.where(known, landing[..., 0] - 0.5, -10).astype(np.float32)
    v = np.where(known, landing[..., 1] - 0.5, -10).astype(np.float32)
    border = (outside,) * 4
    return np.asarray(
        cv2.remap(values, u, v, method, borderMode=cv2.BORDER_CONSTANT, borderValue=border)
    )

# SPDX-License-Identifier: Apache-2.0
"""A picture and what is derived from it by itself, each made once."""

from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.metrics.outlines import outlines

#: All colours of a reflection are brighter, display values.
_PALE = 185


class View:
    """One picture at the size at which it is audited."""

    def __init__(self, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Keep the picture.

        Args:
            image: Display-referred sRGB.
        """
        self.image = image
        self._outlines: dict[float, np.ndarray] = {}

    def outlines(self, sigma_px: float) -> Float32[np.ndarray, "height width 4"]:
        """Edges at one scale, see `metrics.outlines`."""
        if sigma_px not in self._outlines:
            self._outlines[sigma_px] = outlines(self.image, sigma_px)
        return self._outlines[sigma_px]

    @cached_property
    def half(self) -> "View":
        """The picture at half its size, for what is smooth."""
        return View(halved(self.image, cv2.INTER_AREA))

    @cached_property
    def smooth_lab(self) -> Float32[np.ndarray, "height width 3"]:
        """Colours in CIE Lab after a blur of 2.5 px."""
        smooth = blurred(self.image.astype(np.float32) / 255, 2.5)
        return np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB))

    @cached_property
    def reflections(self) -> Bool[np.ndarray, "height width"]:
        """Where a wet film reflects the lamp, with its rim of 2 px.

        Fainter reflections stay: a mask that finds them takes pale organs for reflections too.
        """
        pale = (self.image.min(-1) > _PALE).astype(np.uint8)
        return np.asarray(cv2.dilate(pale, np.ones((5, 5), np.uint8)) > 0)


def halved(values: np.ndarray, how: int) -> np.ndarray:
    """Every other pixel of every other row, or their means; odd sides are rounded up."""
    size = (-(-values.shape[1] // 2), -(-values.shape[0] // 2))
    return np.asarray(cv2.resize(values, size, interpolation=how))


def blurred(values: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian blur."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_px))


def mean_within(
    values: np.ndarray, where: Bool[np.ndarray, "height width"], sigma_px: float
) -> np.ndarray:
    """Mean in a Gaussian window over those pixels alone; a little of one outweighs nothing."""
    share = blurred(where.astype(np.float32), sigma_px)
    masked = values * (where if values.ndim == 2 else where[..., None])
    total = blurred(masked.astype(np.float32), sigma_px)
    share = np.maximum(share, 0.2)
    return np.asarray(total / (share if values.ndim == 2 else share[..., None]))

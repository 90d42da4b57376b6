# SPDX-License-Identifier: Apache-2.0
"""Which pixels of a foreign picture show tissue at all, and whether the picture can be trusted.

Video processors surround the round or eight-sided picture with black and cover corners with boxes.
A network gives depths there too; they mean nothing.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

#: Pixels no brighter than this in any channel may belong to the border, 0 to 255.
_BLACK = 18

#: The border is found on a picture of this longer side, px.
_WORKING_SIDE = 320

#: About so many pixels are enough to judge a picture.
_LOOKED_AT = 100_000

_SMALLEST_SIDE = 32
_SMALLEST_CONTENT = 0.08
_DARK_P99 = 32.0
_BRIGHT_MEDIAN = 248.0
_FLAT_DEVIATION = 2.5


@dataclass
class ContentMask:
    """Finds the part of a video's picture that ever lights up; it only grows from frame to frame.

    A dark lumen that touches the border is kept as soon as the camera moves; single pictures are
    judged by themselves.
    """

    _brightest: UInt8[np.ndarray, "height width"] | None = None

    def update(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> Bool[np.ndarray, "height width"]:
        """Take one more frame and return where there is content, at that frame's size."""
        small = _small_brightness(image)
        if self._brightest is None or self._brightest.shape != small.shape:
            self._brightest = small
        else:
            self._brightest = np.maximum(self._brightest, small)
        return _mask_of(self._brightest, image.shape[0], image.shape[1])


def content_mask(
    image: UInt8[np.ndarray, "height width 3"],
) -> Bool[np.ndarray, "height width"]:
    """Where one picture shows content: not in the black border, its corners or text written on it.

    Black belongs to the border when it is connected to the picture's edge and flat.
    """
    return _mask_of(_small_brightness(image), image.shape[0], image.shape[1])


def reasons_not_to_trust(
    image: UInt8[np.ndarray, "height width 3"], content: Bool[np.ndarray, "height width"]
) -> tuple[str, ...]:
    """Why no depth of this picture means anything; empty when it looks usable."""
    height, width = image.shape[:2]
    if min(height, width) < _SMALLEST_SIDE:
        return (f"too small: {width} × {height} px, at least {_SMALLEST_SIDE} needed",)
    if content.mean() < _SMALLEST_CONTENT:
        return (f"no content: {content.mean():.0%} of the picture is not black",)
    luminance = _luminance(image)[content][:: max(1, content.size // _LOOKED_AT)]
    reasons = []
    if (bright := float(np.percentile(luminance, 99))) < _DARK_P99:
        reasons.append(f"too dark: 99 % of the pixels are below {bright:.0f} of 255")
    if (median := float(np.median(luminance))) > _BRIGHT_MEDIAN:
        reasons.append(f"too bright: half of the pixels are above {median:.0f} of 255")
    if not reasons and (deviation := float(luminance.std())) < _FLAT_DEVIATION:
        reasons.append(f"no structure: brightness varies by {deviation:.1f} of 255 only")
    return tuple(reasons)


# ---- inside -------------------------------------------------------------------------------------


def _luminance(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width"]:
    grey: np.ndarray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return grey


def _small_brightness(
    image: UInt8[np.ndarray, "height width 3"],
) -> UInt8[np.ndarray, "small_height small_width"]:
    height, width = image.shape[:2]
    shrink = min(1.0, _WORKING_SIDE / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small: np.ndarray = cv2.resize(image, size, interpolation=cv2.INTER_AREA).max(axis=-1)
    return small


def _mask_of(
    brightness: UInt8[np.ndarray, "small_height small_width"], height: int, width: int
) -> Bool[np.ndarray, "height width"]:
    inside = _largest_part(~_outside(brightness)).astype(np.uint8)
    size = (width, height)
    soft = cv2.GaussianBlur(inside * 255, (5, 5), 0)
    mask: np.ndarray = cv2.resize(soft, size, interpolation=cv2.INTER_LINEAR) > 127
    return mask


def _outside(brightness: np.ndarray) -> np.ndarray:
    """Black, flat and connected to the edge of the picture."""
    calm = cv2.medianBlur(brightness, 5)
    flat = cv2.dilate(calm, np.ones((3, 3), np.uint8)) - cv2.erode(calm, np.ones((3, 3), np.uint8))
    black = (calm <= _BLACK) & ((flat <= 3) | (calm <= 6))
    ringed = np.pad(black, 1, constant_values=True).astype(np.uint8)
    _, parts = cv2.connectedComponents(ringed, connectivity=4)
    outside = (parts == parts[0, 0])[1:-1, 1:-1].astype(np.uint8)
    # A border is broad; a dark crease that reaches the edge is not.
    opened = cv2.morphologyEx(
        np.pad(outside, 4, constant_values=1), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)
    )[4:-4, 4:-4]
    # The blurred rim of the content is one pixel wide here; it is not tissue either.
    grown: np.ndarray = cv2.dilate(opened, np.ones((3, 3), np.uint8))
    return grown.astype(bool)


def _largest_part(inside: np.ndarray) -> np.ndarray:
    """Drop words and symbols on the border: open, keep the largest part, restore its outline."""
    mask = inside.astype(np.uint8)
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    count, parts, facts, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count <= 1:
        return np.zeros_like(inside)
    largest = 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax())
    near = cv2.dilate((parts == largest).astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    kept: np.ndarray = inside & near
    return kept

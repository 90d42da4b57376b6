# SPDX-License-Identifier: Apache-2.0
"""Which pixels of a foreign picture show the inside of a body: not its dark surround, not its bars.

Video processors surround the round or eight-sided picture with black or dark grey and cover corners
with boxes. Round pictures are found as circles, so that dark tissue at their rim stays inside; all
other surrounds are what is dark, flat and joined to the edge. Text is found by `frames.overlays`.
"""

from dataclasses import astuple, dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, Float64, UInt8

from endoforge.frames.content_circle import Circle, find_circle

#: Pixels no brighter than this in any channel may belong to the border, 0 to 255.
_BLACK = 18

#: The border is found on a picture of this longer side, px.
_WORKING_SIDE = 320

#: A round picture fades out over about so many px of the small one; that is not tissue either.
_SOFT_RIM_PX = 1.0


#: A box over a corner of a round picture is black in this share of what it hides.
_BOX_FILLED = 0.93


#: The first so many frames of a video say whether it is round, and where.
_FRAMES_FOR_A_CIRCLE = 60


@dataclass
class ContentMask:
    """Finds the part of a video's picture that shows content, frame by frame.

    A round picture is found in each frame, because it may wander when the camera head turns on the
    scope. Otherwise it is the part that ever lights up: it only grows, so a dark lumen that touches
    the border is kept as soon as the camera moves.
    """

    _brightest: UInt8[np.ndarray, "height width"] | None = None
    _circles: list[Circle | None] = field(default_factory=list)

    def update(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> Bool[np.ndarray, "height width"]:
        """Take one more frame and return where there is content, at that frame's size."""
        circle = self.add(image)
        if circle is not None:
            return _mask_of(_small_brightness(image), image.shape[0], image.shape[1], circle)
        return self.mask(image.shape[0], image.shape[1])

    def add(self, image: UInt8[np.ndarray, "height width 3"]) -> Circle | None:
        """Take one more frame; return its rim at the small size, if it is round."""
        small = _small_brightness(image)
        if self._brightest is None or self._brightest.shape != small.shape:
            self._brightest, self._circles = small, []
        else:
            self._brightest = np.maximum(self._brightest, small)
        circle = find_circle(small)
        if len(self._circles) < _FRAMES_FOR_A_CIRCLE:
            self._circles.append(circle)
        return circle

    def mask(self, height: int, width: int) -> Bool[np.ndarray, "height width"]:
        """Return where frames without a rim have content, at a size in px; at first everywhere."""
        if self._brightest is None:
            return np.ones((height, width), bool)
        return _mask_of(self._brightest, height, width, self._usual_circle())

    def _usual_circle(self) -> Circle | None:
        """The middle one of the frames' circles; None unless half of them have one."""
        found = [circle for circle in self._circles if circle is not None]
        if 2 * len(found) < len(self._circles):
            return None
        middle = [float(np.median(part)) for part in zip(*map(astuple, found), strict=True)]
        return Circle(*middle)


def content_mask(
    image: UInt8[np.ndarray, "height width 3"],
) -> Bool[np.ndarray, "height width"]:
    """Where one picture shows content: not in the border, its corners or text written on it.

    A border is the outside of a circle where one fits; otherwise what is black, flat, broad and
    connected to the picture's edge.
    """
    return _mask_of(_small_brightness(image), image.shape[0], image.shape[1])


# ---- inside -------------------------------------------------------------------------------------


def _small_brightness(
    image: UInt8[np.ndarray, "height width 3"],
) -> UInt8[np.ndarray, "small_height small_width"]:
    height, width = image.shape[:2]
    shrink = min(1.0, _WORKING_SIDE / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small: np.ndarray = cv2.resize(image, size, interpolation=cv2.INTER_AREA).max(axis=-1)
    return small


def _mask_of(
    brightness: UInt8[np.ndarray, "small_height small_width"],
    height: int,
    width: int,
    circle: Circle | None = None,
) -> Bool[np.ndarray, "height width"]:
    circle = circle or find_circle(brightness)
    if circle is not None:
        small_height, small_width = brightness.shape
        scale = (small_width / width, small_height / height)
        disc = _disc(circle, scale, height, width)
        for left, upper, right, lower in _corner_boxes(brightness, circle):
            rows, columns = slice(upper, lower), slice(left, right)
            disc[_scaled(rows, 1 / scale[1]), _scaled(columns, 1 / scale[0])] = False
        return disc
    inside = _largest_part(~_outside(brightness)).astype(np.uint8)
    size = (width, height)
    soft = cv2.GaussianBlur(inside * 255, (5, 5), 0)
    mask: np.ndarray = cv2.resize(soft, size, interpolation=cv2.INTER_LINEAR) > 127
    return mask


def _disc(
    circle: Circle, scale: tuple[float, float], height: int, width: int
) -> Bool[np.ndarray, "height width"]:
    """The circle's inside at the full size; `scale` is small px per full px along u and v."""
    u: Float64[np.ndarray, " width"] = (np.arange(width) + 0.5) * scale[0] - circle.u
    v: Float64[np.ndarray, " height"] = (np.arange(height) + 0.5) * scale[1] - circle.v
    radius = circle.radius - _SOFT_RIM_PX
    return np.asarray(u[None] ** 2 + v[:, None] ** 2 < radius**2)


def _corner_boxes(
    brightness: UInt8[np.ndarray, "small_height small_width"], circle: Circle
) -> list[tuple[int, int, int, int]]:
    """Black rectangles at the picture's corners that cover part of a circle, small px."""
    height, width = brightness.shape
    disc = _disc(circle, (1.0, 1.0), height, width)
    hidden = (_outside(brightness) & disc).astype(np.uint8)
    hidden = cv2.morphologyEx(hidden, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    count, _, facts, _ = cv2.connectedComponentsWithStats(hidden, connectivity=4)
    boxes = []
    for left, upper, wide, tall, area in facts[1:count].tolist():
        left_side, upper_side = left + wide / 2 < circle.u, upper + tall / 2 < circle.v
        columns = slice(0, left + wide) if left_side else slice(left, width)
        rows = slice(0, upper + tall) if upper_side else slice(upper, height)
        if area > 100 and hidden[rows, columns].sum() > _BOX_FILLED * disc[rows, columns].sum():
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
    return boxes


def _scaled(part: slice, factor: float) -> slice:
    return slice(round(part.start * factor), round(part.stop * factor))


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

# SPDX-License-Identifier: Apache-2.0
"""Text and inserts that a video processor burnt into its pictures, found because they stand still.

Over a video, or over a folder of one device's pictures, strong edges that lie at the same pixels
and point the same way in many frames belong to no tissue. Flat green or blue boxes are found in a
single picture. What was missed can be named by hand as rectangles.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.frames.content import content_mask

#: Pictures are looked at with this longer side, px: strokes of letters are still 1-2 px wide.
_WORKING_SIDE = 480

#: At most so many pictures of a source are kept to judge by.
_KEPT = 96

#: Fewer pictures say nothing about what stands still.
_FEWEST = 8

#: An edge counts from this many levels of 255 per px on.
_STRONG = 14.0

#: Share of the frames in which an edge must be there, pointing the same way.
_SAME = 0.22

#: How many times longer than by chance the mean direction must be.
_ABOVE_CHANCE = 2.5

#: When this share of all edges stands still, it is the camera that does.
_STILL = 0.6

#: With more of the picture found than this, it is no writing.
_MOST = 0.12


@dataclass
class StaticOverlay:
    """Collects pictures of one source and says which pixels show writing instead of tissue.

    Of a long video it keeps every second, fourth, eighth … frame, so memory stays small.
    """

    _seen: int = 0
    _stride: int = 1
    _kept: list[UInt8[np.ndarray, "height width"]] = field(default_factory=list)

    def add(self, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Take one more picture; all must have the same size."""
        if self._seen % self._stride == 0:
            self._kept.append(_small_grey(image))
            if len(self._kept) > _KEPT:
                self._kept = self._kept[::2]
                self._stride *= 2
        self._seen += 1

    def mask(self, height: int, width: int) -> Bool[np.ndarray, "height width"]:
        """Return where there is writing, at a size in px; nowhere for fewer than eight pictures."""
        if len(self._kept) < _FEWEST:
            return np.zeros((height, width), bool)
        return _as_large(_standing_still(self._kept), height, width)


def coloured_inserts(
    image: UInt8[np.ndarray, "height width 3"],
) -> Bool[np.ndarray, "height width"]:
    """Where a picture has flat green or blue boxes, such as the map of a magnetic endoscope."""
    height, width = image.shape[:2]
    hue, saturation, value = cv2.split(cv2.cvtColor(_reduced(image), cv2.COLOR_RGB2HSV))
    box = (hue > 40) & (hue < 135) & (saturation > 120) & (value > 60)
    closed = cv2.morphologyEx(box.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    found = np.zeros_like(closed)
    count, _, facts, _ = cv2.connectedComponentsWithStats(closed, connectivity=4)
    for left, upper, wide, tall, area in facts[1:count].tolist():
        if 0.004 < area / closed.size < 0.25 and area > 0.8 * wide * tall:
            found[max(0, upper - 2) : upper + tall + 2, max(0, left - 2) : left + wide + 2] = 1
    return _as_large(found.astype(bool), height, width)


def excluded(
    rectangles: Sequence[tuple[float, float, float, float]], height: int, width: int
) -> Bool[np.ndarray, "height width"]:
    """Where the user said that there is no tissue.

    Args:
        rectangles: Left, top, right, bottom as shares of width and height.
        height: Of the picture, px.
        width: Of the picture, px.
    """
    mask = np.zeros((height, width), bool)
    for left, top, right, bottom in rectangles:
        rows = slice(int(np.floor(top * height)), int(np.ceil(bottom * height)))
        mask[rows, int(np.floor(left * width)) : int(np.ceil(right * width))] = True
    return mask


# ---- inside -------------------------------------------------------------------------------------


def _reduced(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "small wide 3"]:
    height, width = image.shape[:2]
    shrink = min(1.0, _WORKING_SIDE / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _small_grey(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "small wide"]:
    """Brightness inside the content; 0 outside, so that the rim of the content can be left out."""
    small = _reduced(image)
    grey = np.maximum(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), 1)
    inside = cv2.erode(
        np.pad(content_mask(small).astype(np.uint8), 1, constant_values=1), np.ones((7, 7))
    )[1:-1, 1:-1]
    for edge in (inside[:3], inside[-3:], inside[:, :3], inside[:, -3:]):
        edge[:] = 0  # coders leave dark lines there
    return np.where(inside > 0, grey, np.uint8(0)).astype(np.uint8)


def _standing_still(
    pictures: Sequence[UInt8[np.ndarray, "height width"]],
) -> Bool[np.ndarray, "height width"]:
    """Blocks around edges that are at the same place with the same direction in many frames."""
    mean, strong, inside = _mean_directions(pictures)
    length = np.hypot(mean[0], mean[1])
    if (length > 0.7).sum() > _STILL * strong.sum():
        return np.zeros(length.shape, bool)
    chance = np.sqrt(strong / len(pictures))  # of directions that have nothing to do with another
    edges = (length > _SAME * np.maximum(inside, 0.3)) & (length > _ABOVE_CHANCE * chance)
    edges = _without_specks((edges & _in_strokes(mean, length)).astype(np.uint8))
    if edges.mean() > _MOST:
        return np.zeros(edges.shape, bool)
    lines = cv2.morphologyEx(edges, cv2.MORPH_CLOSE, np.ones((9, 25), np.uint8))
    grown = cv2.dilate(lines, np.ones((9, 13), np.uint8))
    return np.asarray((grown > 0) & (grown.mean() <= 2 * _MOST))


def _mean_directions(
    pictures: Sequence[UInt8[np.ndarray, "height width"]],
) -> tuple[
    Float32[np.ndarray, "2 height width"],
    Float32[np.ndarray, "height width"],
    Float32[np.ndarray, "height width"],
]:
    """Mean direction of strong edges; share of the frames with one; share with content there."""
    mean = np.zeros((2, *pictures[0].shape), np.float32)
    share, inside = np.zeros_like(mean[0]), np.zeros_like(mean[0])
    for picture in pictures:
        grey, here = picture.astype(np.float32), picture > 0
        steps = np.stack(
            [cv2.Sobel(grey, cv2.CV_32F, *axes, scale=1 / 8) for axes in ((1, 0), (0, 1))]
        )
        length = np.hypot(steps[0], steps[1])
        strong = (length > _STRONG) & (cv2.erode(here.astype(np.uint8), np.ones((3, 3))) > 0)
        mean += np.where(strong, steps / np.maximum(length, 1e-6), 0)
        share += strong
        inside += here
    count = np.float32(len(pictures))
    return mean / count, share / count, inside / count


def _in_strokes(
    mean: Float32[np.ndarray, "2 height width"], length: Float32[np.ndarray, "height width"]
) -> Bool[np.ndarray, "height width"]:
    """A stroke has two sides that face away from each other; the rim of a picture has one."""
    around = [cv2.boxFilter(part, -1, (9, 9)) for part in (mean[0], mean[1], length)]
    return np.asarray(np.hypot(around[0], around[1]) < 0.65 * around[2])


def _without_specks(edges: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """Keep only edges with enough others around them: a letter has several strokes."""
    density = cv2.boxFilter(edges.astype(np.float32), -1, (25, 11), normalize=False)
    return np.asarray((edges > 0) & (density >= 14)).astype(np.uint8)


def _as_large(
    mask: Bool[np.ndarray, "small wide"], height: int, width: int
) -> Bool[np.ndarray, "height width"]:
    size = (width, height)
    grown = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown > 100)

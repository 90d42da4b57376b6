# SPDX-License-Identifier: Apache-2.0
"""What the labels of a frame say about its picture: which tissues, and where edges must be."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.evaluation.audit.views import View
from endoforge.frames.frame import IGNORE, Frame
from endoforge.frames.labels import PARTS
from endoforge.metrics.outlines import energy
from endoforge.metrics.slips import Lines

#: Classes, by name, that are one tissue and may look the same.
SAME_TISSUE = (*PARTS, frozenset({"wall", "fold"}))

#: Depth changes by this share from one pixel to the next where one thing hides another.
_JUMP = 0.06

#: Pixels this near to the surround or to the picture's edge are left out, px.
_MARGIN_PX = 6

_FAR_MM = 1e4

#: Scales at which borders are compared, px.
LINE_SCALES = (1, 2)
_BORDER_PX = 2.0
#: Energy from which on an edge is a visible one.
_STRONG = 0.08

#: Smaller objects are not looked at one by one, share of the picture.
SMALLEST_OBJECT = 0.003
_LARGEST_WITH_SIDES = 0.25
_FEWEST_AT_A_SIDE = 25


@dataclass(frozen=True, eq=False)
class Scene:
    """A frame at the size at which it is audited.

    Attributes:
        image: Display-referred sRGB.
        label: Class index; 255 means ignore.
        tissue: The same with classes of one tissue under one number.
        depth_mm: z in the camera frame, mm; `_FAR_MM` where there is none.
        shrunk: Pixels of the frame per pixel here.
    """

    image: UInt8[np.ndarray, "height width 3"]
    label: UInt8[np.ndarray, "height width"]
    tissue: UInt8[np.ndarray, "height width"]
    depth_mm: Float32[np.ndarray, "height width"]
    shrunk: float

    @classmethod
    def of(cls, frame: Frame, names: Mapping[int, str], longest_px: int) -> "Scene":
        """Take what is needed of a frame, smaller if its longer side is above `longest_px`.

        Args:
            frame: With its labels.
            names: Class names by index.
            longest_px: At least this many pixels are kept.
        """
        depth = np.where(frame.valid, frame.depth_mm, np.float32(_FAR_MM)).astype(np.float32)
        label = resized(frame.label, longest_px, cv2.INTER_NEAREST)
        return cls(
            image=resized(frame.image, longest_px, cv2.INTER_AREA),
            label=label,
            tissue=tissues(label, names),
            depth_mm=resized(depth, longest_px, cv2.INTER_NEAREST),
            shrunk=frame.label.shape[1] / label.shape[1],
        )

    @cached_property
    def counts(self) -> Bool[np.ndarray, "height width"]:
        """Pixels with labels, away from the surround and from the picture's edge."""
        known = np.pad((self.label != IGNORE).astype(np.uint8), 1)
        far = cv2.distanceTransform(known, cv2.DIST_L2, 5)[1:-1, 1:-1] > _MARGIN_PX
        return np.asarray(far)

    @cached_property
    def borders(self) -> Bool[np.ndarray, "height width"]:
        """Where labels change: another tissue, or one thing that hides another."""
        found = np.zeros(self.tissue.shape, bool)
        for after, before in (
            (np.s_[1:, :], np.s_[:-1, :]),
            (np.s_[:, 1:], np.s_[:, :-1]),
        ):
            pair = self.depth_mm[after], self.depth_mm[before]
            hides = np.maximum(*pair) > np.minimum(*pair) * (1 + _JUMP)
            found[after] |= (self.tissue[after] != self.tissue[before]) | hides
        return np.asarray(found & self.counts)

    @cached_property
    def view(self) -> View:
        """The picture, and what is derived from it."""
        return View(self.image)

    @cached_property
    def near_borders(self) -> Float32[np.ndarray, "height width"]:
        """1 on a border of the labels, less beside it, 0 beyond some px."""
        profile = cv2.GaussianBlur(self.borders.astype(np.float32), (0, 0), _BORDER_PX)
        profile *= np.float32(_BORDER_PX * np.sqrt(2 * np.pi))
        return np.asarray(np.clip(profile, 0, 1), np.float32)

    @cached_property
    def rims(self) -> list[Bool[np.ndarray, "height width"]]:
        """The pixels within 2 px of the outline of each object."""
        kernel = np.ones((5, 5), np.uint8)
        solids = [mask.astype(np.uint8) for mask in self.objects(SMALLEST_OBJECT)]
        return [cv2.dilate(one, kernel) > cv2.erode(one, kernel) for one in solids]

    @cached_property
    def sides(self) -> list[tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]]:
        """Indices of the pixels within 4 px of each object's outline, inside and outside."""
        kernel, found = np.ones((9, 9), np.uint8), []
        for mask in self.objects(SMALLEST_OBJECT):
            solid = mask.astype(np.uint8)
            inside = mask & (cv2.erode(solid, kernel) == 0) & self.counts
            outside = ~mask & (cv2.dilate(solid, kernel) > 0) & self.counts
            enough = min(np.count_nonzero(inside), np.count_nonzero(outside)) > _FEWEST_AT_A_SIDE
            if enough and mask.mean() <= _LARGEST_WITH_SIDES:
                found.append((np.nonzero(inside), np.nonzero(outside)))
        return found

    @cached_property
    def lines(self) -> dict[int, Lines]:
        """The borders and what lies beside them at each scale, by px."""
        wide = cv2.dilate(self.borders.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        return {
            step: Lines(self.view.outlines(float(step)), wide & self.counts, step)
            for step in LINE_SCALES
        }

    @cached_property
    def texture(self) -> Lines:
        """Every visible edge of the picture, of labels or not, at the finest scale."""
        fields = self.view.outlines(1.0)
        strong = self.counts & (energy(fields) > _STRONG)
        strong[::2, ::2] = strong[1::2, 1::2] = False
        return Lines(fields, strong, 1)

    def guess(self, network: object, ask: Callable[[], np.ndarray]) -> np.ndarray:
        """What a network says of the picture; asked once."""
        if id(network) not in self._guesses:
            self._guesses[id(network)] = ask()
        return self._guesses[id(network)]

    @cached_property
    def _guesses(self) -> dict[int, np.ndarray]:
        return {}

    def objects(self, smallest: float) -> Iterator[Bool[np.ndarray, "height width"]]:
        """Yield each connected piece of tissue that has at least this share of the picture."""
        for index in np.unique(self.tissue[self.tissue != IGNORE]):
            count, parts = cv2.connectedComponents((self.tissue == index).astype(np.uint8))
            sizes = np.bincount(parts.ravel(), minlength=count)
            for part in range(1, count):
                if sizes[part] >= smallest * parts.size:
                    yield parts == part


def tissues(
    label: UInt8[np.ndarray, "height width"], names: Mapping[int, str]
) -> UInt8[np.ndarray, "height width"]:
    """Return the classes of a frame with those of one tissue under one number.

    Args:
        label: Class index; 255 means ignore.
        names: Class names by index.
    """
    table = np.arange(256, dtype=np.uint8)
    for group in SAME_TISSUE:
        members = sorted(index for index, name in names.items() if name in group)
        table[members] = members[:1] * len(members)
    return np.asarray(table[label])


def resized(values: np.ndarray, longest_px: int, how: int) -> np.ndarray:
    """Shrink an array to a longer side of at most this many pixels; never enlarge it."""
    height, width = values.shape[:2]
    scale = longest_px / max(height, width)
    if scale >= 1:
        return values
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(values, size, interpolation=how))

# SPDX-License-Identifier: Apache-2.0
"""What the labels of a frame say about its picture: which tissues, and where edges must be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.frames.frame import IGNORE, Frame
from endoforge.frames.labels import PARTS

#: Classes, by name, that are one tissue and may look the same.
SAME_TISSUE = (*PARTS, frozenset({"wall", "fold"}))

#: Depth changes by this share from one pixel to the next where one thing hides another.
_JUMP = 0.06

#: Pixels this near to the surround or to the picture's edge are left out, px.
_MARGIN_PX = 6

_FAR_MM = 1e4


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

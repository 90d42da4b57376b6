# SPDX-License-Identifier: Apache-2.0
"""What the labels of a frame say about its picture: which tissues there are, where edges must be."""

from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from endoforge.frames.frame import IGNORE, Frame
from endoforge.frames.labels import PARTS

#: Classes, by name, that are one tissue and may look the same.
SAME_TISSUE = (*PARTS, frozenset({"wall", "fold"}))

#: Depth changes by this share from one pixel to the next where one thing hides another.
_JUMP = 0.06


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


def borders(
    frame: Frame, tissue: UInt8[np.ndarray, "height width"], margin_px: int = 6
) -> Bool[np.ndarray, "height width"]:
    """Where the labels change: another tissue or another object, or one thing that hides another.

    Args:
        frame: With its labels.
        tissue: As `tissues` returns it.
        margin_px: Pixels this near to the surround or to the picture's edge are left out.
    """
    depth = np.where(frame.valid, frame.depth_mm, 1e4).astype(np.float32)
    found = np.zeros(tissue.shape, bool)
    for axis in (0, 1):
        after = (slice(1, None), slice(None))[:: 1 if axis == 0 else -1]
        before = (slice(None, -1), slice(None))[:: 1 if axis == 0 else -1]
        near, far = np.minimum(depth[after], depth[before]), np.maximum(depth[after], depth[before])
        found[after] |= (tissue[after] != tissue[before]) | (far > near * (1 + _JUMP))
    return found & inside(frame, margin_px)


def inside(frame: Frame, margin_px: int) -> Bool[np.ndarray, "height width"]:
    """Pixels with labels, farther than this from the surround and from the picture's edge."""
    known = np.pad((frame.label != IGNORE).astype(np.uint8), 1)
    return np.asarray(cv2.distanceTransform(known, cv2.DIST_L2, 5)[1:-1, 1:-1] > margin_px)

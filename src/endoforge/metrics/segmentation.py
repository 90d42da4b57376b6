# SPDX-License-Identifier: Apache-2.0
"""Agreement of masks: intersection over union and Dice of each class, pooled over all pixels.

For figures of single frames, start from empty totals for each frame.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8

from endoforge.errors import ShapeError

#: Label of pixels that count nowhere.
_IGNORE = 255


@dataclass(frozen=True, eq=False)
class ConfusionTotals:
    """Pixels by true class (row) and predicted class (column).

    Attributes:
        pixels: Counts.
        frames: Masks added.
    """

    pixels: Int64[np.ndarray, "classes classes"]
    frames: int = 0

    @classmethod
    def empty(cls, classes: int) -> "ConfusionTotals":
        """Return totals without a pixel."""
        return cls(np.zeros((classes, classes), np.int64))


@dataclass(frozen=True)
class SegmentationScores:
    """Figures of masks; NaN for a class that neither truth nor prediction shows.

    Attributes:
        iou: Intersection over union by class.
        dice: 2 · intersection / (true pixels + predicted pixels) by class.
        mean_iou: Over classes that the truth or the prediction shows.
        mean_dice: Likewise.
        accuracy: Share of pixels whose class is right.
    """

    iou: tuple[float, ...]
    dice: tuple[float, ...]
    mean_iou: float
    mean_dice: float
    accuracy: float


def update(
    totals: ConfusionTotals,
    predicted: UInt8[np.ndarray, "height width"],
    label: UInt8[np.ndarray, "height width"],
) -> ConfusionTotals:
    """Add one mask.

    Args:
        totals: So far.
        predicted: Class indices.
        label: True class indices; 255 does not count.

    Raises:
        ShapeError: The two differ in size, or a class index is too large.
    """
    if predicted.shape != label.shape:
        raise ShapeError(
            f"expected two masks of one size, got prediction {predicted.shape} and truth "
            f"{label.shape}; resize the prediction to the truth"
        )
    counts = label != _IGNORE
    true, found = label[counts].astype(np.int64), predicted[counts].astype(np.int64)
    classes = len(totals.pixels)
    highest = max(int(true.max(initial=0)), int(found.max(initial=0)))
    if highest >= classes:
        raise ShapeError(
            f"expected class indices 0 to {classes - 1}, or {_IGNORE} in the truth, got {highest}"
        )
    added = np.bincount(true * classes + found, minlength=classes**2)
    return ConfusionTotals(totals.pixels + added.reshape(classes, classes), totals.frames + 1)


def compute(totals: ConfusionTotals) -> SegmentationScores:
    """Turn counts into figures; the means are NaN if no pixel counted."""
    both = np.diag(totals.pixels).astype(np.float64)
    sizes = totals.pixels.sum(axis=0) + totals.pixels.sum(axis=1)
    shown = sizes > 0
    union = np.where(shown, sizes - both, 1)
    iou = np.where(shown, both / union, np.nan)
    dice = np.where(shown, 2 * both / np.where(shown, sizes, 1), np.nan)
    every = int(totals.pixels.sum())
    return SegmentationScores(
        iou=tuple(iou.tolist()),
        dice=tuple(dice.tolist()),
        mean_iou=float(iou[shown].mean()) if every else float("nan"),
        mean_dice=float(dice[shown].mean()) if every else float("nan"),
        accuracy=float(both.sum() / every) if every else float("nan"),
    )

# SPDX-License-Identifier: Apache-2.0
"""Predictors that never look at the picture; a network must beat them by far to mean anything."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from endoforge.depth.data import TrainingFrames


@dataclass(frozen=True)
class ConstantPredictor:
    """One depth everywhere.

    Attributes:
        constant_mm: The geometric mean over all valid training pixels, mm.
    """

    constant_mm: float

    def predict(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> Float32[np.ndarray, "height width"]:
        """Return the constant at the picture's size, mm."""
        return np.full(image.shape[:2], self.constant_mm, np.float32)


@dataclass(frozen=True, eq=False)
class MeanMapPredictor:
    """One depth per place in the picture.

    Attributes:
        mean_mm: The geometric mean of each pixel over the training frames, mm.
    """

    mean_mm: Float32[np.ndarray, "rows columns"]

    def predict(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> Float32[np.ndarray, "height width"]:
        """Return the map at the picture's size, mm."""
        size = image.shape[1::-1]
        resized = cv2.resize(np.log(self.mean_mm), size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.exp(resized), np.float32)


def fit_baselines(
    frames: TrainingFrames, chosen: Int64[np.ndarray, " chosen"], most: int = 2000
) -> tuple[ConstantPredictor, MeanMapPredictor]:
    """Fit both predictors.

    Args:
        frames: Training frames; pixels of depth 0 do not count.
        chosen: Which of them to fit on.
        most: At most so many, evenly spaced.
    """
    places = np.linspace(0, len(chosen) - 1, min(most, len(chosen))).astype(np.int64)
    total, count = np.zeros(frames.depth_mm.shape[2:]), np.zeros(frames.depth_mm.shape[2:])
    for index in chosen[places]:
        depth = frames.depth_mm[index, 0].astype(np.float64)
        valid = depth > 0
        total += np.where(valid, np.log(np.where(valid, depth, 1.0)), 0.0)
        count += valid
    overall = total.sum() / max(count.sum(), 1)
    mean = np.where(count > 0, total / np.maximum(count, 1), overall)
    constant = ConstantPredictor(float(np.exp(overall)))
    return constant, MeanMapPredictor(np.exp(mean).astype(np.float32))

# SPDX-License-Identifier: Apache-2.0
"""What is summed up while an evaluation runs: figures by sequence, errors by range of depth."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float32

from endoforge.metrics.depth import ALIGNMENTS, DepthTotals, update

#: Borders of the ranges of true depth, mm.
DEPTH_EDGES_MM = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0, np.inf)


@dataclass(frozen=True)
class Tally:
    """Sums of one predictor; `add` returns new ones.

    Attributes:
        by_sequence: Totals of the metrics by sequence number.
        pixels: Pixels in each range of true depth.
        relative: Sum of |error| / true depth there.
        bias: Sum of error / true depth there.
    """

    by_sequence: Mapping[int, DepthTotals] = field(default_factory=dict)
    pixels: Float[np.ndarray, " ranges"] = field(default_factory=lambda: _zeros())
    relative: Float[np.ndarray, " ranges"] = field(default_factory=lambda: _zeros())
    bias: Float[np.ndarray, " ranges"] = field(default_factory=lambda: _zeros())

    def add(
        self,
        sequence: int,
        predicted_mm: Float32[np.ndarray, "height width"],
        depth_mm: Float32[np.ndarray, "height width"],
        counts: Bool[np.ndarray, "height width"],
    ) -> "Tally":
        """Add one frame; `counts` says which pixels count."""
        totals = update(
            self.by_sequence.get(sequence, DepthTotals()), predicted_mm, depth_mm, counts
        )
        true = depth_mm[counts].astype(np.float64)
        error = (predicted_mm[counts] - true) / true
        ranges = np.searchsorted(DEPTH_EDGES_MM, true, side="right") - 1
        count = len(DEPTH_EDGES_MM) - 1
        return Tally(
            {**self.by_sequence, sequence: totals},
            self.pixels + np.bincount(ranges, minlength=count),
            self.relative + np.bincount(ranges, np.abs(error), count),
            self.bias + np.bincount(ranges, error, count),
        )

    def ranges(self) -> list[dict[str, float | str | None]]:
        """Error by range of true depth, without alignment; None where no pixel lies."""
        rows: list[dict[str, float | str | None]] = []
        for index, (low, high) in enumerate(pairwise(DEPTH_EDGES_MM)):
            count = float(self.pixels[index])
            rows.append(
                {
                    "range": f"{low:g}–{high:g}" if np.isfinite(high) else f"over {low:g}",
                    "pixels": count,
                    "abs_rel": float(self.relative[index]) / count if count else None,
                    "bias": float(self.bias[index]) / count if count else None,
                }
            )
        return rows


def merged(parts: Iterable[DepthTotals]) -> DepthTotals:
    """Add up totals of disjoint sets of frames."""
    frames = empty = pixels = 0
    sums = {name: np.zeros_like(values) for name, values in DepthTotals().sums.items()}
    for part in parts:
        frames, empty = frames + part.frames, empty + part.empty_frames
        pixels += part.pixels
        sums = {name: sums[name] + part.sums[name] for name in ALIGNMENTS}
    return DepthTotals(frames, empty, pixels, sums)


def _zeros() -> Float[np.ndarray, " ranges"]:
    return np.zeros(len(DEPTH_EDGES_MM) - 1)

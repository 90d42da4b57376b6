# SPDX-License-Identifier: Apache-2.0
"""Depth metrics, each under three alignments side by side.

A figure without its alignment means little: "none" asks for millimetres, "median" forgives the
scale of each picture, "scale_shift" forgives scale and offset. Pictures count equally.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float

from endoforge.errors import ShapeError

Alignment = Literal["none", "median", "scale_shift"]
ALIGNMENTS: tuple[Alignment, ...] = get_args(Alignment)

#: Predictions are lifted to this before a logarithm or a ratio is taken, mm.
SMALLEST_MM = 1e-3


@dataclass(frozen=True)
class DepthScores:
    """Figures of one picture, or their means over pictures.

    Attributes:
        abs_rel: Mean of |error| / true depth.
        sq_rel: Mean of error² / true depth, mm.
        rmse: Root mean square error, mm.
        rmse_log: Root mean square of log(predicted / true).
        log10: Mean of |log10(predicted / true)|.
        delta1: Share of pixels whose ratio to the truth is below 1.25 either way.
        delta2: The same below 1.25².
        delta3: The same below 1.25³.

    Source:
        Eigen et al., *Depth map prediction from a single image*, 2014, section 4.2.
    """

    abs_rel: float
    sq_rel: float
    rmse: float
    rmse_log: float
    log10: float
    delta1: float
    delta2: float
    delta3: float

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)


@dataclass(frozen=True)
class DepthTotals:
    """Sums over pictures; `update` returns new ones, `compute` turns them into means.

    Attributes:
        frames: Pictures that had a valid pixel.
        empty_frames: Pictures without any; they count nowhere else.
        pixels: Valid pixels.
        sums: For each alignment, the sums of the figures in the order of `DepthScores`.
    """

    frames: int = 0
    empty_frames: int = 0
    pixels: int = 0
    sums: Mapping[Alignment, Float[np.ndarray, " figures"]] = field(
        default_factory=lambda: {name: np.zeros(len(fields(DepthScores))) for name in ALIGNMENTS}
    )


def update(
    totals: DepthTotals,
    predicted_mm: Float[np.ndarray, "height width"],
    depth_mm: Float[np.ndarray, "height width"],
    valid: Bool[np.ndarray, "height width"],
) -> DepthTotals:
    """Add one picture.

    Args:
        totals: So far.
        predicted_mm: Prediction, mm.
        depth_mm: Truth, mm; looked at only where valid.
        valid: Which pixels count.

    Raises:
        ShapeError: The three differ in size, or the prediction is not finite where it counts.
    """
    if not predicted_mm.shape == depth_mm.shape == valid.shape:
        raise ShapeError(
            f"expected three arrays of one size, got prediction {predicted_mm.shape}, depth "
            f"{depth_mm.shape}, mask {valid.shape}; resize the prediction to the truth"
        )
    predicted, true = predicted_mm[valid].astype(np.float64), depth_mm[valid].astype(np.float64)
    if not true.size:
        return DepthTotals(totals.frames, totals.empty_frames + 1, totals.pixels, totals.sums)
    if not (np.isfinite(predicted).all() and (true > 0).all()):
        raise ShapeError(
            f"expected finite predictions and positive depth where valid, got a prediction from "
            f"{predicted.min()} to {predicted.max()} and depth from {true.min()} to {true.max()} "
            "mm; mend the mask"
        )
    sums = {
        name: totals.sums[name] + _figures(align(predicted, true, name), true)
        for name in ALIGNMENTS
    }
    return DepthTotals(totals.frames + 1, totals.empty_frames, totals.pixels + true.size, sums)


def compute(totals: DepthTotals) -> dict[Alignment, DepthScores]:
    """Return the means over pictures for each alignment; NaN if no picture had a valid pixel."""
    count = totals.frames or float("nan")
    return {name: DepthScores(*(totals.sums[name] / count).tolist()) for name in ALIGNMENTS}


def align(
    predicted: Float[np.ndarray, " pixels"], true: Float[np.ndarray, " pixels"], how: Alignment
) -> Float[np.ndarray, " pixels"]:
    """Return the prediction after the alignment, at least `SMALLEST_MM`.

    Args:
        predicted: Valid predictions of one picture, mm.
        true: Their truths, mm.
        how: ``none``; ``median``: times median(true) / median(predicted); ``scale_shift``: the line
            a · predicted + b nearest to the truth in least squares, in depth (not disparity).
    """
    match how:
        case "none":
            aligned = predicted
        case "median":
            scale = float(np.median(true)) / max(float(np.median(predicted)), SMALLEST_MM)
            aligned = predicted * scale
        case "scale_shift":
            aligned = _fitted_line(predicted, true)
    return np.asarray(np.maximum(aligned, SMALLEST_MM))


def _fitted_line(
    predicted: Float[np.ndarray, " pixels"], true: Float[np.ndarray, " pixels"]
) -> Float[np.ndarray, " pixels"]:
    centred = predicted - predicted.mean()
    spread = float(centred @ centred)
    flat = spread <= 1e-12 * predicted.size * max(float(np.abs(predicted).max()), 1e-6) ** 2
    slope = 0.0 if flat else float(centred @ (true - true.mean())) / spread
    return np.asarray(true.mean() + slope * centred)


def _figures(
    predicted: Float[np.ndarray, " pixels"], true: Float[np.ndarray, " pixels"]
) -> Float[np.ndarray, " figures"]:
    """Return the figures of one picture in the order of `DepthScores`."""
    error, log_ratio = predicted - true, np.log(predicted / true)
    factor = np.exp(np.abs(log_ratio))
    return np.array(
        [
            np.mean(np.abs(error) / true),
            np.mean(error**2 / true),
            np.sqrt(np.mean(error**2)),
            np.sqrt(np.mean(log_ratio**2)),
            np.mean(np.abs(log_ratio)) / np.log(10.0),
            *(np.mean(factor < 1.25**k) for k in (1, 2, 3)),
        ]
    )

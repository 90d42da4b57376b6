# SPDX-License-Identifier: Apache-2.0
"""Whether two pictures of different look have the same edges in the same places."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.errors import ShapeError
from endoforge.metrics.outlines import agreement, energy, outlines

#: Scales of the edges, standard deviation in px.
SCALES_PX = (1.0, 2.0, 4.0)

#: Share of the first picture's edges that the weakest agreement speaks of.
WEAKEST_SHARE = 0.03

_WINDOW_PX = 8.0
_FLOOR = 0.002


@dataclass(frozen=True, eq=False)
class Structure:
    """Agreement of two pictures' edges.

    Attributes:
        whole: Correlation of the outlines over all pixels that count, for each scale: 1 for the
            same picture in any colours, about 0 for two that share nothing.
        weakest: The local correlation that only `WEAKEST_SHARE` of the first picture's edges fall
            below, for each scale. Texture that is added everywhere lowers it a little, a lost or an
            invented object much.
        local: The local correlation at the coarsest scale, -1 to 1.
    """

    whole: tuple[float, ...]
    weakest: tuple[float, ...]
    local: Float32[np.ndarray, "height width"]


def structure(
    first: UInt8[np.ndarray, "height width 3"],
    second: UInt8[np.ndarray, "height width 3"],
    counts: Bool[np.ndarray, "height width"],
    scales_px: Sequence[float] = SCALES_PX,
) -> Structure:
    """Compare the edges of two pictures at several scales, tolerant of colour, gain and gamma.

    With outlines D and D' (see `outlines`) the correlation is Σ D·D' / sqrt(Σ|D|² Σ|D'|²), over all
    pixels that count, or in a Gaussian window of 8 px around each.

    Args:
        first: Display-referred sRGB.
        second: Another look of the same scene.
        counts: Pixels that count.
        scales_px: Finest first.

    Raises:
        ShapeError: The pictures and the mask differ in size.
    """
    if not first.shape == second.shape == (*counts.shape, 3):
        raise ShapeError(
            f"expected two pictures of one size and their mask, got {first.shape}, {second.shape} "
            f"and {counts.shape}; resize the translation to its source"
        )
    scales = [
        matched(outlines(first, sigma_px), outlines(second, sigma_px), counts)
        for sigma_px in scales_px
    ]
    whole, weakest = (sum((getattr(s, n) for s in scales), ()) for n in ("whole", "weakest"))
    return Structure(whole, weakest, scales[-1].local)


def matched(
    first: Float32[np.ndarray, "height width 4"],
    second: Float32[np.ndarray, "height width 4"],
    counts: Bool[np.ndarray, "height width"],
) -> Structure:
    """Compare the edges of two pictures at one scale.

    Args:
        first: Outlines of the first picture.
        second: Outlines of the other, at the same scale.
        counts: Pixels that count.
    """
    mask = counts.astype(np.float32)
    shared, own, other = (
        values * mask for values in (agreement(first, second), energy(first), energy(second))
    )
    whole = float(shared.sum() / np.sqrt(own.sum() * other.sum() + _FLOOR**2))
    near = [_window(values) for values in (shared, own, other)]
    local = np.asarray(near[0] / np.sqrt((near[1] + _FLOOR) * (near[2] + _FLOOR)), np.float32)
    weakest = low_quantile(local[counts], near[1][counts], WEAKEST_SHARE)
    return Structure((whole,), (weakest,), local)


def low_quantile(
    values: Float32[np.ndarray, " pixels"], weights: Float32[np.ndarray, " pixels"], share: float
) -> float:
    """The value that this share of the weights falls below; 1 without any weight."""
    total = float(weights.sum(dtype=np.float64))
    if total <= 0:
        return 1.0
    order = np.argsort(values)
    reached = np.cumsum(weights[order], dtype=np.float64) / total
    return float(values[order][min(int(np.searchsorted(reached, share)), len(order) - 1)])


def _window(values: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _WINDOW_PX))

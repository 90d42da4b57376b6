# SPDX-License-Identifier: Apache-2.0
"""Where the voxels of a grid lie: order of axes, slices stacked askew, coarser grids.

An affine maps voxel indices, whose centres lie at whole numbers, to mm in the patient: +x right,
+y front, +z head.
"""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from jaxtyping import Float64

#: Slices count as stacked squarely up to here.
TILT_DEG = 0.5


@dataclass(frozen=True)
class Order:
    """How to reorder the axes of a grid so that they run to the right, the front and the head.

    Attributes:
        axis: Which axis of the grid each patient axis is nearest to.
        flip: Whether that axis of the grid runs the other way.
    """

    axis: tuple[int, int, int]
    flip: tuple[bool, bool, bool]


def order_of(affine: Float64[np.ndarray, "4 4"]) -> Order:
    """The order in which a grid's axes run most nearly to the right, the front and the head."""
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    best = max(permutations(range(3)), key=lambda p: sum(abs(columns[k, p[k]]) for k in range(3)))
    i, j, k = best
    flips = [bool(columns[world, axis] < 0) for world, axis in enumerate(best)]
    return Order((i, j, k), (flips[0], flips[1], flips[2]))


def reordered(array: np.ndarray, order: Order) -> np.ndarray:
    """View a grid with its axes in another order."""
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in order.flip)
    return array.transpose(order.axis)[steps]


def reordered_affine(
    affine: Float64[np.ndarray, "4 4"], shape: tuple[int, int, int], order: Order
) -> Float64[np.ndarray, "4 4"]:
    """The affine of `reordered`; `shape` is that of the grid before."""
    result = np.eye(4)
    result[:3, 3] = affine[:3, 3]
    for world, (axis, flip) in enumerate(zip(order.axis, order.flip, strict=True)):
        column = affine[:3, axis]
        result[:3, world] = -column if flip else column
        if flip:
            result[:3, 3] += column * (shape[axis] - 1)
    return result + 0.0  # no -0.0


def skew_deg(affine: Float64[np.ndarray, "4 4"]) -> float:
    """How far the axes of a grid are from standing squarely on one another, degrees."""
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(columns.T @ columns - np.eye(3))
    return float(np.degrees(np.arcsin(min(float(cosines.max()), 1.0))))


def coarser_affine(
    affine: Float64[np.ndarray, "4 4"], factors: tuple[int, int, int]
) -> Float64[np.ndarray, "4 4"]:
    """The affine after the mean over blocks of whole voxels."""
    result = affine.copy()
    block = np.array(factors, dtype=np.float64)
    result[:3, 3] += affine[:3, :3] @ ((block - 1.0) / 2.0)
    result[:3, :3] *= block
    return result


def factors_for(
    shape: tuple[int, int, int], sizes_mm: Float64[np.ndarray, "3"], most_voxels: int
) -> tuple[int, int, int]:
    """Block sizes that bring a grid below a number of voxels and keep voxels nearly cubic."""
    factors = [1, 1, 1]
    while np.prod([max(n // f, 1) for n, f in zip(shape, factors, strict=True)]) > most_voxels:
        sizes = [
            float(mm) * f if n // (f + 1) >= 2 else np.inf
            for mm, f, n in zip(sizes_mm, factors, shape, strict=True)
        ]
        if not np.isfinite(min(sizes)):
            break
        factors[int(np.argmin(sizes))] += 1
    return factors[0], factors[1], factors[2]

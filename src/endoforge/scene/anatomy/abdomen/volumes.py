# SPDX-License-Identifier: Apache-2.0
"""Bodies as distances on a grid: negative inside, positive outside, in mm near the surface.

Organs are made here because resting on one another without overlap is a maximum of two numbers in
this form, and a surface comes out closed whatever was joined or cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64
from scipy import ndimage

#: World x, y and z of a grid's samples, shaped to be combined by broadcasting.
Axes = tuple[
    Float32[np.ndarray, "i 1 1"], Float32[np.ndarray, "1 j 1"], Float32[np.ndarray, "1 1 k"]
]

#: Distances beyond this are not kept; far outside is this far.
FAR_MM = 24.0


@dataclass(frozen=True, eq=False)
class Grid:
    """A box of cubic cells, aligned with the world's axes.

    Attributes:
        origin_mm: World position of the first sample.
        step_mm: Between samples.
        shape: Samples along x, y and z.
    """

    origin_mm: Float64[np.ndarray, "3"]
    step_mm: float
    shape: tuple[int, int, int]

    def axes(self) -> Axes:
        """World x, y and z of the samples, shaped to be combined by broadcasting."""
        lines = [
            (self.origin_mm[k] + self.step_mm * np.arange(self.shape[k])).astype(np.float32)
            for k in range(3)
        ]
        return lines[0][:, None, None], lines[1][None, :, None], lines[2][None, None, :]

    @property
    def high_mm(self) -> Float64[np.ndarray, "3"]:
        """World position of the last sample."""
        return self.origin_mm + self.step_mm * (np.array(self.shape) - 1)


def grid_over(
    low_mm: Float[np.ndarray, "3"] | Sequence[float],
    high_mm: Float[np.ndarray, "3"] | Sequence[float],
    step_mm: float,
) -> Grid:
    """A grid over a box, its samples at whole multiples of the step."""
    first = np.floor(np.asarray(low_mm, dtype=np.float64) / step_mm).astype(int)
    last = np.ceil(np.asarray(high_mm, dtype=np.float64) / step_mm).astype(int)
    i, j, k = (last - first + 1).tolist()
    return Grid(first * float(step_mm), float(step_mm), (i, j, k))


@dataclass(frozen=True, eq=False)
class Volume:
    """A body sampled on a grid: mm to its surface, negative inside, at most `FAR_MM` outside."""

    grid: Grid
    values: Float32[np.ndarray, "i j k"]

    def on(self, grid: Grid) -> Float32[np.ndarray, "i j k"]:
        """The same body on another grid; far outside where this one knows nothing."""
        own, step = self.grid, grid.step_mm
        result = np.full(grid.shape, np.float32(FAR_MM))
        first = np.ceil((own.origin_mm - grid.origin_mm) / step).astype(int).clip(0)
        last = np.floor((own.high_mm - grid.origin_mm) / step).astype(int) + 1
        last = np.minimum(last, grid.shape)
        if (last <= first).any():
            return result
        ndimage.affine_transform(
            self.values,
            np.full(3, step / own.step_mm),
            (grid.origin_mm + first * step - own.origin_mm) / own.step_mm,
            output_shape=tuple((last - first).tolist()),
            output=(part := np.empty(tuple((last - first).tolist()), np.float32)),
            order=1,
            mode="nearest",
        )
        i, j, k = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
        result[i, j, k] = part
        return result

    def at(self, points_mm: Float[np.ndarray, "points 3"]) -> Float32[np.ndarray, "points"]:
        """Distance at points of the world."""
        index = (np.asarray(points_mm, dtype=np.float64) - self.grid.origin_mm) / self.grid.step_mm
        result = ndimage.map_coordinates(
            self.values, index.T, order=1, mode="constant", cval=FAR_MM
        )
        return np.asarray(result, dtype=np.float32)

    def gradient_at(
        self, points_mm: Float[np.ndarray, "points 3"]
    ) -> Float64[np.ndarray, "points 3"]:
        """Direction of growing distance at points, not normalised, mm per mm."""
        step = self.grid.step_mm
        columns = []
        for axis in np.eye(3) * step:
            ahead, behind = self.at(points_mm + axis), self.at(points_mm - axis)
            columns.append((ahead - behind).astype(np.float64) / (2 * step))
        return np.stack(columns, axis=1)


def smooth_max(
    a: Float[np.ndarray, "*any"], b: Float[np.ndarray, "*any"], round_mm: float
) -> Float[np.ndarray, "*any"]:
    """The larger of two, with the crease between them rounded over about `round_mm`.

    Never less than the plain maximum, so that what is cut stays cut.
    """
    if round_mm <= 0:
        return np.asarray(np.maximum(a, b))
    share = np.maximum(round_mm - np.abs(a - b), 0.0) / round_mm
    return np.asarray(np.maximum(a, b) + share * share * (0.25 * round_mm))


def smooth_min(
    a: Float[np.ndarray, "*any"], b: Float[np.ndarray, "*any"], round_mm: float
) -> Float[np.ndarray, "*any"]:
    """The smaller of two, joined over about `round_mm`; never more than the plain minimum."""
    return np.asarray(-smooth_max(-a, -b, round_mm))


def carved(body: Volume, others: Sequence[Volume], gap_mm: float, round_mm: float) -> Volume:
    """Take other bodies, and a gap around them, out of a body."""
    values = body.values
    for other in others:
        if _apart(body.grid, other.grid, gap_mm):
            continue
        values = smooth_max(values, gap_mm - other.on(body.grid), round_mm)
    return Volume(body.grid, values.astype(np.float32))


def kept_inside(body: Volume, room: Volume, gap_mm: float, round_mm: float) -> Volume:
    """Cut a body off where it would leave a room."""
    values = smooth_max(body.values, room.on(body.grid) + np.float32(gap_mm), round_mm)
    return Volume(body.grid, values.astype(np.float32))


def _apart(one: Grid, other: Grid, gap_mm: float) -> bool:
    below = one.high_mm + gap_mm < other.origin_mm
    above = one.origin_mm - gap_mm > other.high_mm
    return bool(below.any() or above.any())


def ellipsoid(
    axes: tuple[Float32[np.ndarray, "..."], ...],
    middle_mm: Sequence[float],
    radii_mm: Sequence[float],
) -> Float32[np.ndarray, "i j k"]:
    """Nearly the distance to an ellipsoid: exact on its surface, right to first order beside it."""
    ratio = [(axes[k] - middle_mm[k]) / radii_mm[k] for k in range(3)]
    slope = [ratio[k] / radii_mm[k] for k in range(3)]
    reach = np.sqrt(ratio[0] ** 2 + ratio[1] ** 2 + ratio[2] ** 2)
    steep = np.sqrt(slope[0] ** 2 + slope[1] ** 2 + slope[2] ** 2)
    middle = np.where(steep < 1e-6, -min(radii_mm), reach * (reach - 1.0))
    result = middle / np.where(steep < 1e-6, 1.0, steep)
    return np.asarray(result, dtype=np.float32)


def tube_volume(
    points_mm: Float[np.ndarray, "points 3"],
    radius_mm: Float[np.ndarray, "points"],
    step_mm: float,
    margin_mm: float = 6.0,
) -> Volume:
    """A tube of changing radius along a curve whose points lie densely against its radius."""
    low = (points_mm - radius_mm[:, None]).min(axis=0) - margin_mm
    high = (points_mm + radius_mm[:, None]).max(axis=0) + margin_mm
    grid = grid_over(low, high, step_mm)
    values = np.full(grid.shape, FAR_MM, dtype=np.float32)
    x, y, z = grid.axes()
    for point, radius in zip(points_mm, radius_mm, strict=True):
        first = np.floor((point - radius - margin_mm - grid.origin_mm) / step_mm).astype(int)
        last = np.ceil((point + radius + margin_mm - grid.origin_mm) / step_mm).astype(int) + 1
        i, j, k = (slice(max(int(a), 0), int(b)) for a, b in zip(first, last, strict=True))
        away = (x[i] - np.float32(point[0])) ** 2 + (y[:, j] - np.float32(point[1])) ** 2
        away = np.sqrt(away + (z[:, :, k] - np.float32(point[2])) ** 2)
        part = values[i, j, k]
        np.minimum(part, away - np.float32(radius), out=part)
    return Volume(grid, values)

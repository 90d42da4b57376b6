# SPDX-License-Identifier: Apache-2.0
"""A grid of Hounsfield units that bodies are painted onto, later ones over earlier ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy.interpolate import CubicSpline

from endoforge.scene.anatomy.abdomen.volumes import Axes
from endoforge.scene.volume.segmentation import OrganNumbers

#: A box of voxels.
Part: TypeAlias = tuple[slice, slice, slice]
#: Distance to a body's surface at the given axes, mm, negative inside.
Shape: TypeAlias = Callable[[Axes], Float32[np.ndarray, "i j k"]]
#: A place, mm.
Place: TypeAlias = Sequence[float] | Float[np.ndarray, "3"]


@dataclass(frozen=True, eq=False)
class Canvas:
    """What was painted so far; cubes of one size, the world's origin in the middle.

    Attributes:
        hu: Hounsfield units.
        organs: Number of the organ of each voxel.
        step_mm: Edge of a voxel.
        numbers: Number of each organ's name.
    """

    hu: Float32[np.ndarray, "i j k"]
    organs: UInt8[np.ndarray, "i j k"]
    step_mm: float
    numbers: OrganNumbers = field(default_factory=OrganNumbers)

    def index_of(self, points_mm: Float[np.ndarray, "*any 3"]) -> Float[np.ndarray, "*any 3"]:
        """Voxel indices of places in the world."""
        return np.asarray(points_mm / self.step_mm + (np.array(self.hu.shape) - 1) / 2)

    @property
    def far_mm(self) -> float:
        """From the middle to the grid's sides."""
        return float(0.5 * self.step_mm * self.hu.shape[0])

    def box(self, low_mm: Place, high_mm: Place) -> tuple[Part, Axes]:
        """The voxels between two corners, and their places along each axis."""
        pair = self.index_of(np.array([low_mm, high_mm], dtype=np.float64))
        size = np.array(self.hu.shape)
        first = np.floor(pair[0]).astype(int).clip(0, size)
        last = (np.ceil(pair[1]).astype(int) + 1).clip(first, size)
        part = (slice(first[0], last[0]), slice(first[1], last[1]), slice(first[2], last[2]))
        return part, self.axes_of(part)

    def axes_of(self, part: Part) -> Axes:
        """Places of the voxels of a box along each axis, mm."""
        x, y, z = (
            (self.step_mm * (np.arange(p.start, p.stop) - (n - 1) / 2)).astype(np.float32)
            for p, n in zip(part, self.hu.shape, strict=True)
        )
        return x[:, None, None], y[None, :, None], z[None, None, :]

    def paint(
        self,
        part: Part,
        share: Float32[np.ndarray, "i j k"],
        hu: Float32[np.ndarray, "#i #j #k"] | float,
        organ: str | None = None,
    ) -> None:
        """Cover a share of each voxel of a box with matter of some Hounsfield units.

        Args:
            part: The box.
            share: 0 to 1.
            hu: One value, or one of each voxel.
            organ: Its name, given where it fills half a voxel; None clears the name.
        """
        if share.size == 0:
            return
        under = self.hu[part]
        under += share * (np.asarray(hu, dtype=np.float32) - under)
        self.organs[part][share > 0.5] = 0 if organ is None else self.numbers.of(organ)

    def draw(
        self,
        low_mm: Place,
        high_mm: Place,
        shape: Shape,
        hu: float,
        organ: str | None = None,
    ) -> None:
        """Paint a body that is given by the distance to its surface, within a box."""
        part, axes = self.box(low_mm, high_mm)
        if min(p.stop - p.start for p in part) > 0:
            self.paint(part, self.share(shape(axes)), hu, organ)

    def share(self, distance_mm: Float32[np.ndarray, "i j k"]) -> Float32[np.ndarray, "i j k"]:
        """Share of a voxel within a nearly flat surface at some distance from its centre."""
        return np.clip(0.5 - distance_mm / np.float32(self.step_mm), 0.0, 1.0).astype(np.float32)

    def tube(
        self,
        points_mm: Float[np.ndarray, "points 3"],
        radius_mm: Float[np.ndarray, "points"] | float,
        margin_mm: float = 3.0,
    ) -> tuple[Part, Axes, Float32[np.ndarray, "i j k"]]:
        """Box, axes and distances of a tube of changing radius around a polyline."""
        radius = np.broadcast_to(np.asarray(radius_mm, dtype=np.float32), len(points_mm))
        around = float(radius.max()) + margin_mm
        part, axes = self.box((points_mm - around).min(axis=0), (points_mm + around).max(axis=0))
        shape = tuple(p.stop - p.start for p in part)
        result = np.full(shape, np.float32(1e3))
        corner = np.array([p.start for p in part])
        for k in range(len(points_mm) - 1):
            ends, wide = points_mm[k : k + 2], float(radius[k : k + 2].max()) + margin_mm
            inner, near = self.box(ends.min(axis=0) - wide, ends.max(axis=0) + wide)
            if min(p.stop - p.start for p in inner) == 0:
                continue
            local = tuple(
                slice(p.start - int(c), p.stop - int(c)) for p, c in zip(inner, corner, strict=True)
            )
            part_of = result[local]
            np.minimum(part_of, capsule(near, ends, radius[k : k + 2]), out=part_of)
        return part, axes, result

    def vessel(
        self,
        points_mm: Float[np.ndarray, "points 3"],
        radius_mm: Float[np.ndarray, "points"] | float,
        hu: float,
        organ: str | None = None,
    ) -> None:
        """Paint a tube of changing radius around a polyline."""
        part, _, distance = self.tube(points_mm, radius_mm, 1.5)
        self.paint(part, self.share(distance), hu, organ)


def capsule(
    axes: Axes, ends_mm: Float[np.ndarray, "2 3"], radius_mm: Float[np.ndarray, "2"]
) -> Float32[np.ndarray, "i j k"]:
    """Distance to a rod with round ends, its radius changing from end to end."""
    start, way = ends_mm[0], ends_mm[1] - ends_mm[0]
    length = max(float(way @ way), 1e-9)
    x, y, z = (axes[k] - np.float32(start[k]) for k in range(3))
    a, b, c = (np.float32(w) for w in way)
    along = np.clip((x * a + y * b + z * c) / np.float32(length), 0.0, 1.0)
    square = (x - along * a) ** 2 + (y - along * b) ** 2 + (z - along * c) ** 2
    radius = np.float32(radius_mm[0]) + along * np.float32(radius_mm[1] - radius_mm[0])
    return np.asarray(np.sqrt(square) - radius, dtype=np.float32)


def oval(
    axes: Axes,
    middle_mm: Place,
    radii_mm: Place,
    turn: Float[np.ndarray, "3 3"] | None = None,
) -> Float32[np.ndarray, "i j k"]:
    """Nearly the distance to an ellipsoid, whose own axes are the columns of `turn`."""
    x, y, z = (axes[k] - np.float32(middle_mm[k]) for k in range(3))
    if turn is not None:
        own = turn.astype(np.float32)
        x, y, z = (own[0, k] * x + own[1, k] * y + own[2, k] * z for k in range(3))
    a, b, c = (np.float32(r) for r in radii_mm)
    reach = np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    steep = np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2 + (z / c**2) ** 2)
    return np.asarray(reach * (reach - 1.0) / np.maximum(steep, 1e-3), dtype=np.float32)


def along(points: Sequence[Place], step_mm: float = 4.0) -> Float[np.ndarray, "points 3"]:
    """A smooth curve through a few places, as a polyline."""
    corners = np.array(points, dtype=np.float64)
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    count = max(int(way[-1] / step_mm), 2) + 1
    return np.asarray(CubicSpline(way, corners)(np.linspace(0.0, way[-1], count)))


def evenly(values: Sequence[float], count: int) -> Float[np.ndarray, "points"]:
    """As many values as a curve has points, between a few given ones."""
    at = np.linspace(0.0, 1.0, len(values))
    return np.asarray(np.interp(np.linspace(0.0, 1.0, count), at, values))

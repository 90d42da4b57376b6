# SPDX-License-Identifier: Apache-2.0
"""A grid of Hounsfield units that bodies are painted onto, later ones over earlier ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32, UInt8

from endoforge.scene.anatomy.abdomen.volumes import Axes

#: Distance to a body's surface at the given axes, mm, negative inside.
Shape = Callable[[Axes], Float32[np.ndarray, "i j k"]]


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
    numbers: dict[str, int] = field(default_factory=dict)

    def index_of(self, points_mm: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
        """Voxel indices of places in the world."""
        return np.asarray(points_mm / self.step_mm + (np.array(self.hu.shape) - 1) / 2)

    def box(
        self, low_mm: Sequence[float], high_mm: Sequence[float]
    ) -> tuple[tuple[slice, slice, slice], Axes]:
        """The voxels between two corners, and their places along each axis."""
        pair = self.index_of(np.array([low_mm, high_mm], dtype=np.float64))
        size = np.array(self.hu.shape)
        first = np.floor(pair[0]).astype(int).clip(0, size)
        last = (np.ceil(pair[1]).astype(int) + 1).clip(first, size)
        part = (slice(first[0], last[0]), slice(first[1], last[1]), slice(first[2], last[2]))
        lines = [
            (self.step_mm * (np.arange(first[k], last[k]) - (size[k] - 1) / 2)).astype(np.float32)
            for k in range(3)
        ]
        return part, (lines[0][:, None, None], lines[1][None, :, None], lines[2][None, None, :])

    def paint(
        self,
        part: tuple[slice, slice, slice],
        share: Float32[np.ndarray, "i j k"],
        hu: Float32[np.ndarray, "i j k"] | float,
        organ: str | None = None,
    ) -> None:
        """Cover a share of each voxel of a box with matter of some Hounsfield units.

        Args:
            part: The box.
            share: 0 to 1.
            hu: One value, or one of each voxel.
            organ: Its name, given where it fills half a voxel; None clears the name.
        """
        under = self.hu[part]
        under += share * (np.asarray(hu, dtype=np.float32) - under)
        self.organs[part][share > 0.5] = self.number_of(organ)

    def draw(
        self,
        low_mm: Sequence[float],
        high_mm: Sequence[float],
        shape: Shape,
        hu: float,
        organ: str | None = None,
    ) -> None:
        """Paint a body that is given by the distance to its surface, within a box."""
        part, axes = self.box(low_mm, high_mm)
        self.paint(part, self.share(shape(axes)), hu, organ)

    def share(self, distance_mm: Float32[np.ndarray, "i j k"]) -> Float32[np.ndarray, "i j k"]:
        """Share of a voxel within a nearly flat surface at some distance from its centre."""
        return np.clip(0.5 - distance_mm / np.float32(self.step_mm), 0.0, 1.0).astype(np.float32)

    def number_of(self, organ: str | None) -> int:
        """The number of an organ's name; 0 for None."""
        return 0 if organ is None else self.numbers.setdefault(organ, len(self.numbers) + 1)

# SPDX-License-Identifier: Apache-2.0
"""Tissue around a grasper follows the point held, less with distance, and never into the wall."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from endoforge.scene.anatomy.abdomen.volumes import Volume
from endoforge.scene.anatomy.curves import unit
from endoforge.scene.pulls import Pull

_LEAST_MM = 8.0  # tissue begins to give way this far from the wall, or earlier
_SOFT_MM = 0.5


@dataclass(frozen=True, eq=False)
class Grip:
    """How points at rest take part in one pull.

    Attributes:
        pull: The grasper.
        fall: 1 at the point held to 0 at its reach.
        outwards: Unit direction to the wall.
        near: 1 at the wall to 0 where the pull does not feel it.
    """

    pull: Pull
    fall: Float64[np.ndarray, "points"]
    outwards: Float64[np.ndarray, "points 3"]
    near: Float64[np.ndarray, "points"]

    def displacement_mm(self, frame: int) -> Float64[np.ndarray, "points 3"]:
        """How far each point is drawn at a frame, mm.

        Near the wall the part of the way that leads into it is left out.
        """
        way = way_at(self.pull, frame)
        toward = self.outwards @ way
        blocked = 0.5 * (toward + np.sqrt(toward**2 + _SOFT_MM**2) - _SOFT_MM)
        inward = (self.near * blocked)[:, None] * self.outwards
        return np.asarray(self.fall[:, None] * (way - inward))


def grip_of(points_mm: Float[np.ndarray, "points 3"], pull: Pull, room: Volume) -> Grip:
    """How points at rest take part in a pull.

    Args:
        points_mm: World positions at rest.
        pull: The grasper.
        room: The space inside the wall.
    """
    points = np.asarray(points_mm, dtype=np.float64)
    squared = ((points - pull.point_mm) ** 2).sum(axis=1) / pull.reach_mm**2
    fall = np.clip(1.0 - squared, 0.0, 1.0) ** 3
    farthest = float(np.linalg.norm(pull.displacement_mm, axis=1).max())
    free = float(-room.at(pull.point_mm[None])[0])
    width = max(min(2.4 * farthest, free), _LEAST_MM)
    share = np.clip(-room.at(points) / width, 0.0, 1.0).astype(np.float64)
    near = 1.0 - share * share * (3.0 - 2.0 * share)
    return Grip(pull, fall, unit(room.gradient_at(points)), near)


def within_reach(
    points_mm: Float[np.ndarray, "points 3"], pull: Pull
) -> Bool[np.ndarray, "points"]:
    """True for the points that a pull moves."""
    away = np.asarray(points_mm, dtype=np.float64) - pull.point_mm
    return np.asarray((away**2).sum(axis=1) < pull.reach_mm**2)


def way_at(pull: Pull, frame: int) -> Float64[np.ndarray, "3"]:
    """Displacement of the point held at a frame, mm; the last one known beyond both ends."""
    last = len(pull.displacement_mm) - 1
    return np.asarray(pull.displacement_mm[min(max(frame + 1, 0), last)], dtype=np.float64)

# SPDX-License-Identifier: Apache-2.0
"""How far points are from the tissue of a CT: the wall lies where a linear grid crosses a level.

The wall is sampled where it crosses the edges of the grid. There it is exactly the surface that a
renderer finds by linear interpolation, so a camera is kept clear of what will be drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64
from scipy import ndimage
from scipy.spatial import cKDTree

from endoforge.errors import SceneError
from endoforge.scene.anatomy.curves import unit

_NEIGHBOURS = 12
_BLOCK = 20000  # points asked for at once, so that memory stays small
_DISC = 0.6  # radius of the piece of wall around each sample, in voxels
_PUSHES = 40
_CLOSE_MM = 0.01


@dataclass(frozen=True, eq=False)
class VolumeTissue:
    """The tissue around free space in a CT.

    Attributes:
        excess: Hounsfield units above the wall's level on a grid; below 0 a camera may be.
        world_from_voxel: Of that grid, mm.
        free_beyond: Whether what lies beyond the grid is free space, else tissue.
        wall_mm: Points of the wall, world mm.
        normals: Unit directions there towards free space.
        tree: The points, ready to be searched.
        disc_mm: Radius of the flat piece of wall that each point stands for.
    """

    excess: Float32[np.ndarray, "i j k"]
    world_from_voxel: Float64[np.ndarray, "4 4"]
    free_beyond: bool
    wall_mm: Float64[np.ndarray, "walls 3"]
    normals: Float64[np.ndarray, "walls 3"]
    tree: cKDTree
    disc_mm: float

    def excess_at(self, points_mm: Float[np.ndarray, "*rows 3"]) -> Float64[np.ndarray, "*rows"]:
        """Hounsfield units above the wall's level at world points, linear between voxels."""
        inverse = np.linalg.inv(self.world_from_voxel)
        at = np.asarray(points_mm, float) @ inverse[:3, :3].T + inverse[:3, 3]
        found = ndimage.map_coordinates(
            self.excess,
            np.moveaxis(at, -1, 0),
            output=np.float64,
            order=1,
            mode="constant",
            cval=-1000.0 if self.free_beyond else 1000.0,
        )
        return np.asarray(found, dtype=np.float64)

    def holds(self, points_mm: Float[np.ndarray, "points 3"]) -> Bool[np.ndarray, "points"]:
        """True for points in free space."""
        return np.asarray(self.excess_at(points_mm) < 0)

    def distance(self, points_mm: Float[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points"]:
        """Distance from each point to the wall, mm; below 0 in tissue."""
        points = np.asarray(points_mm, dtype=np.float64)
        parts = [self._apart(points[rows]) for rows in _blocks(len(points))]
        apart = np.concatenate(parts) if parts else np.zeros(0)
        return np.where(self.holds(points), apart, -apart)

    def away(self, points_mm: Float[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points 3"]:
        """Unit direction in which each point gets clear of the nearest wall."""
        points = np.asarray(points_mm, dtype=np.float64)
        gap, nearest = self.tree.query(points)
        way = (points - self.wall_mm[nearest]) * np.where(self.holds(points), 1.0, -1.0)[:, None]
        near = np.asarray(gap < self.disc_mm)[:, None]
        return np.where(near, self.normals[nearest], unit(way))

    def _apart(self, points: Float64[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points"]:
        count = min(_NEIGHBOURS, len(self.wall_mm))
        found = self.tree.query(points, k=count)[1].reshape(len(points), -1)
        way = points[:, None] - self.wall_mm[found]
        height = (way * self.normals[found]).sum(axis=2)
        aside = np.sqrt(np.maximum((way * way).sum(axis=2) - height**2, 0.0))
        beyond = np.maximum(aside - self.disc_mm, 0.0)
        return np.asarray(np.hypot(height, beyond).min(axis=1), dtype=np.float64)


def tissue_of(
    excess: Float32[np.ndarray, "i j k"],
    world_from_voxel: Float64[np.ndarray, "4 4"],
    free_beyond: bool = False,
) -> VolumeTissue:
    """Prepare a grid for questions about distance.

    Args:
        excess: Hounsfield units above the wall's level; below 0 a camera may be. The outermost
            voxels must be what lies beyond.
        world_from_voxel: Of that grid, mm.
        free_beyond: Whether what lies beyond the grid is free space.

    Raises:
        SceneError: There is no wall: all of the grid is free, or none.
    """
    parts = [_crossings(excess, axis) for axis in range(3)]
    at, slope = (np.concatenate(part) for part in zip(*parts, strict=True))
    if not len(at):
        kind = "gas" if (excess < 0).all() else "tissue"
        raise SceneError(
            f"a camera's room in a CT needs both gas and tissue, got {excess.shape} voxels of "
            f"{kind} only; check the wall's level and the rescaling"
        )
    world = world_from_voxel[:3, :3]
    points = at @ world.T + world_from_voxel[:3, 3]
    normals = -unit(slope @ np.linalg.inv(world))
    spacing = np.linalg.norm(world, axis=0)
    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    disc = _DISC * float(spacing.mean())
    return VolumeTissue(excess, world_from_voxel, free_beyond, points, normals, tree, disc)


def pushed_clear(
    points_mm: Float64[np.ndarray, "points 3"], tissue: VolumeTissue, clearance_mm: float
) -> Float64[np.ndarray, "points 3"]:
    """Move points away from the wall until they keep a clearance; clear ones stay.

    Args:
        points_mm: World points, mm; they may lie in tissue.
        tissue: What they keep clear of.
        clearance_mm: Distance wanted.

    Raises:
        SceneError: Some place leaves no such room.
    """
    points = np.array(points_mm, dtype=np.float64)
    for _ in range(_PUSHES):
        short = clearance_mm - tissue.distance(points)
        rows = np.flatnonzero(short > _CLOSE_MM)
        if not len(rows):
            return points
        points[rows] += (short[rows] + _CLOSE_MM)[:, None] * tissue.away(points[rows])
    worst = int(np.argmax(short))
    place = np.round(np.asarray(points_mm)[worst], 1).tolist()
    raise SceneError(
        f"a camera must keep {clearance_mm:g} mm clear of tissue, but near {place} mm there is no "
        f"such room ({clearance_mm - short[worst]:.1f} mm at most was found); lower the clearance "
        "or choose another place"
    )


def _blocks(count: int) -> Iterator[slice]:
    for first, last in pairwise([*range(0, count, _BLOCK), count]):
        yield slice(first, last)


def _crossings(
    excess: Float32[np.ndarray, "i j k"], axis: int
) -> tuple[Float64[np.ndarray, "cuts 3"], Float64[np.ndarray, "cuts 3"]]:
    """Where the level is crossed on edges along an axis, in voxels, and the slope there."""
    free = excess < 0
    before = tuple(slice(None, -1) if k == axis else slice(None) for k in range(3))
    after = tuple(slice(1, None) if k == axis else slice(None) for k in range(3))
    cut = np.argwhere(free[before] != free[after])
    step = np.zeros(3, dtype=np.int64)
    step[axis] = 1
    low = excess[tuple(cut.T)].astype(np.float64)
    high = excess[tuple((cut + step).T)].astype(np.float64)
    share = (low / (low - high))[:, None]
    slope = (1 - share) * _slope(excess, cut) + share * _slope(excess, cut + step)
    return cut + share * step, slope


def _slope(
    excess: Float32[np.ndarray, "i j k"], at: Int64[np.ndarray, "cuts 3"]
) -> Float64[np.ndarray, "cuts 3"]:
    """Central differences at voxels, per voxel."""
    result = np.empty(at.shape)
    for axis in range(3):
        low, high = at.copy(), at.copy()
        low[:, axis] = np.maximum(low[:, axis] - 1, 0)
        high[:, axis] = np.minimum(high[:, axis] + 1, excess.shape[axis] - 1)
        gap = np.maximum(high[:, axis] - low[:, axis], 1)
        rise = excess[tuple(high.T)].astype(np.float64) - excess[tuple(low.T)]
        result[:, axis] = rise / gap
    return result

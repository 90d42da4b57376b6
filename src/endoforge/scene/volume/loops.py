# SPDX-License-Identifier: Apache-2.0
"""Loops of bowel that lie side by side, and the windows between them where a thin wall is lost.

Every cell of the lumen belongs to the point of the centre line that it is nearest to, measured in
radii. Two neighbouring cells that belong to places far apart along the line lie on both sides of
such a window.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64
from scipy import ndimage
from scipy.spatial import cKDTree

from endoforge.errors import SceneError
from endoforge.scene.anatomy.curves import arc_length
from endoforge.scene.records import Centreline
from endoforge.scene.volume.lumen_settings import LumenSettings
from endoforge.scene.volume.walls import VolumeTissue, tissue_of

if TYPE_CHECKING:
    from endoforge.scene.volume.lumen import LumenCells

_CANDIDATES = 32
_EVERY = 3  # points of the line that cells are assigned to
_APART_RADII, _APART_MM = 6.0, 20.0
_CLOSED_HU = 500.0
_MISSED = 0.4  # share of the gas that may lie far from the line
_FAR_RADII = 2.5
_NEAR_RADII = 2.0  # cells further from the line tell nothing of windows


def close_windows(
    cells: "LumenCells", line: Centreline, tissue: VolumeTissue, settings: LumenSettings
) -> tuple[VolumeTissue | None, list[str]]:
    """Close the windows between loops, or refuse the lumen.

    Args:
        cells: The lumen.
        line: Its centre line.
        tissue: Its wall.
        settings: Whether to close or to refuse, and how wide a window may be.

    Returns:
        The wall with the windows closed, None where there are none; and what was done.

    Raises:
        SceneError: A window is too wide or windows are to be refused, or the line leaves out so
            much of the gas that it must have taken a short cut.
    """
    places = np.argwhere(cells.depth_mm > 0)
    owner, far = _owners(cells.to_world(places), line)
    notes = _missed(cells, places, far)
    faces, wide = _contacts(cells, places, np.where(far < _NEAR_RADII, owner, -1), line)
    if not len(faces):
        return None, notes
    usual = float(np.median(line.radius_mm))
    if settings.loops == "refuse" or max(wide) > settings.widest_window * usual:
        raise SceneError(
            f"two of its loops merge through a window of {max(wide):.1f} mm radius, the lumen's "
            f"being {usual:.1f} mm; give an organ mask with the wall, or raise widest_window"
        )
    notes.append(
        f"closed {len(wide)} windows between touching loops, the widest of {max(wide):.1f} mm"
    )
    return _walled(cells, faces, tissue), notes


def _owners(
    points: Float64[np.ndarray, "cells 3"], line: Centreline
) -> tuple[Int64[np.ndarray, "cells"], Float64[np.ndarray, "cells"]]:
    """Which point of the line each cell belongs to, and its distance from there in radii."""
    radius = np.maximum(line.radius_mm, 1.0)[::_EVERY]
    course = line.points_mm[::_EVERY]
    count = min(_CANDIDATES, len(course))
    gap, found = cKDTree(course).query(points, k=count)
    gap, found = gap.reshape(len(points), -1), found.reshape(len(points), -1)
    share = gap / radius[found]
    best = share.argmin(axis=1)
    rows = np.arange(len(points))
    return _EVERY * found[rows, best].astype(np.int64), np.asarray(share[rows, best])


def _missed(
    cells: "LumenCells", places: Int64[np.ndarray, "cells 3"], far: Float64[np.ndarray, "cells"]
) -> list[str]:
    """Refuse a line that has bypassed much of the gas."""
    missed = np.zeros(cells.depth_mm.shape, dtype=bool)
    missed[tuple(places[far > _FAR_RADII].T)] = True
    pieces, count = ndimage.label(missed)
    if count == 0:
        return []
    share = float(np.bincount(pieces.ravel())[1:].max()) / len(places)
    if share > _MISSED:
        raise SceneError(
            f"its centre line leaves out {100 * share:.0f} % of the gas, so that loops must touch "
            "through a window as wide as the lumen; give an organ mask that parts them"
        )
    return [f"{100 * share:.0f} % of the gas lies beside the line"] if share > 0.1 else []


def _contacts(
    cells: "LumenCells",
    places: Int64[np.ndarray, "cells 3"],
    owner: Int64[np.ndarray, "cells"],
    line: Centreline,
) -> tuple[Int64[np.ndarray, "faces 4"], list[float]]:
    """Faces between cells of different loops (cell and axis), and the radius of each window."""
    way = arc_length(line.points_mm)
    index = np.full(cells.depth_mm.shape, -1, dtype=np.int64)
    index[tuple(places.T)] = np.arange(len(places))
    faces = []
    for axis in range(3):
        step = np.zeros(3, dtype=np.int64)
        step[axis] = 1
        beside = np.minimum(places + step, np.array(index.shape) - 1)
        other = index[tuple(beside.T)]
        both = np.flatnonzero((other >= 0) & (beside[:, axis] > places[:, axis]))
        both = both[(owner[both] >= 0) & (owner[other[both]] >= 0)]
        one, two = owner[both], owner[other[both]]
        reach = np.maximum(line.radius_mm[one], line.radius_mm[two])
        apart = np.abs(way[one] - way[two]) > _APART_RADII * reach + _APART_MM
        found = places[both[apart]]
        faces.append(np.column_stack([found, np.full(len(found), axis)]))
    joined = np.concatenate(faces)
    return joined, _window_radii(joined, cells)


def _window_radii(faces: Int64[np.ndarray, "faces 4"], cells: "LumenCells") -> list[float]:
    """Radius of the largest ball that passes through each window, mm."""
    marked = np.zeros(cells.depth_mm.shape, dtype=bool)
    marked[tuple(faces[:, :3].T)] = True
    pieces, count = ndimage.label(marked, np.ones((3, 3, 3)))
    if count == 0:
        return []
    widest = ndimage.maximum(cells.depth_mm, pieces, np.arange(1, count + 1))
    return [float(radius) for radius in widest]


def _walled(
    cells: "LumenCells", faces: Int64[np.ndarray, "faces 4"], tissue: VolumeTissue
) -> VolumeTissue:
    """The wall with all those faces turned into tissue, at the resolution of the wall's grid."""
    inverse = np.linalg.inv(tissue.world_from_voxel)
    fine = np.linalg.norm(tissue.world_from_voxel[:3, :3], axis=0).min()
    count = int(np.ceil(cells.step_mm / fine)) + 1
    side = np.linspace(-0.5, 0.5, count)
    excess = tissue.excess.copy()
    for axis in range(3):
        middle = cells.to_world(faces[faces[:, 3] == axis, :3])
        middle[:, axis] += 0.5 * cells.step_mm
        for u in side:
            for v in side:
                points = middle.copy()
                points[:, (axis + 1) % 3] += u * cells.step_mm
                points[:, (axis + 2) % 3] += v * cells.step_mm
                at = np.rint(points @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
                at = np.clip(at, 0, np.array(excess.shape) - 1)
                where = tuple(at.T)
                excess[where] = np.maximum(excess[where], np.float32(_CLOSED_HU))
    return tissue_of(excess, tissue.world_from_voxel, tissue.free_beyond)

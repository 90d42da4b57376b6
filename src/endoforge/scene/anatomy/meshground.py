# SPDX-License-Identifier: Apache-2.0
"""Places for bodies on a surface that is no grid: a grid is laid over the wall around each."""

import numpy as np
from jaxtyping import Bool, Float64
from scipy.spatial import cKDTree

from endoforge.errors import SceneError
from endoforge.scene.anatomy.bodies import Ground, Site
from endoforge.scene.anatomy.curves import unit
from endoforge.scene.records import Centreline, Surface

_HALF = 18  # cells to either side of a place
_CELL_MM = 1.0
_NEAR_MM = 3.5
_AMONG = 5
_END_MM = 25.0  # nothing grows on the end walls


def mesh_ground(surface: Surface, centreline: Centreline) -> Ground:
    """Bodies grow on the wall of any lumen, away from its two ends.

    Raises:
        SceneError: The lumen is so short that no wall lies between its ends.
    """
    vertices = np.asarray(surface.vertices_mm, dtype=np.float64)
    points = centreline.points_mm
    nearest = cKDTree(points).query(vertices)[1]
    step = centreline.length_mm / (len(points) - 1)
    ends = min(round(_END_MM / step), len(points) // 4)
    allowed = np.flatnonzero((nearest > ends) & (nearest < len(points) - 1 - ends))
    if not len(allowed):
        raise SceneError(
            f"nothing can be added: no wall lies {_END_MM:.0f} mm from both ends of a lumen of "
            f"{centreline.length_mm:.0f} mm; set the anatomy's additions to 0"
        )
    tree = cKDTree(vertices)
    tangent = unit(np.gradient(points, axis=0))

    def draw_site(
        rng: np.random.Generator, tries: int, up: Float64[np.ndarray, "3"] | None = None
    ) -> Site:
        chosen = allowed[rng.integers(0, len(allowed), tries)]
        if up is None:
            rough = [_unevenness(vertices, surface.normals, tree, v) for v in chosen.tolist()]
            best = int(chosen[np.argmin(rough)])
        else:
            best = int(chosen[np.argmax(surface.normals[chosen] @ up)])
        return _site(vertices, surface.normals, tree, (best, tangent[nearest[best]]))

    return Ground(draw_site, points)


def _unevenness(
    vertices: Float64[np.ndarray, "vertices 3"], normals: np.ndarray, tree: cKDTree, vertex: int
) -> float:
    near = tree.query_ball_point(vertices[vertex], _NEAR_MM)
    height = (vertices[near] - vertices[vertex]) @ normals[vertex]
    return float(np.abs(height).max())


def _site(
    vertices: Float64[np.ndarray, "vertices 3"],
    normals: np.ndarray,
    tree: cKDTree,
    place: tuple[int, Float64[np.ndarray, "3"]],
) -> Site:
    """Lay a grid of heights over the wall around a vertex."""
    vertex, tangent = place
    middle = vertices[vertex]
    normal = unit(normals[tree.query_ball_point(middle, _NEAR_MM)].mean(axis=0))
    along = unit(tangent - (tangent @ normal) * normal)
    side = np.cross(normal, along)
    reach = 1.5 * _HALF * _CELL_MM
    near = np.array(tree.query_ball_point(middle, reach), dtype=np.int64)
    off = vertices[near] - middle
    kept = _on_this_side(off, normals[near], normal)
    flat = np.stack([off[kept] @ along, off[kept] @ side], axis=1)
    cells = np.arange(-_HALF, _HALF + 1) * _CELL_MM
    a, b = np.meshgrid(cells, cells, indexing="ij")
    away, other = cKDTree(flat).query(np.stack([a, b], axis=-1), k=min(_AMONG, len(flat)))
    weight = 1.0 / (away**2 + 0.04)
    height = (weight * (off[kept] @ normal)[other]).sum(axis=-1) / weight.sum(axis=-1)
    wall = middle + a[..., None] * along + b[..., None] * side + height[..., None] * normal
    return Site(wall, _HALF, _HALF, _CELL_MM, _CELL_MM, normal, along, closed=False)


def _on_this_side(
    off: Float64[np.ndarray, "near 3"], normals: np.ndarray, normal: Float64[np.ndarray, "3"]
) -> Bool[np.ndarray, "near"]:
    """Leave out other walls and the far faces of folds."""
    height = off @ normal
    across = np.sqrt(np.maximum((off**2).sum(axis=1) - height**2, 0.0))
    return np.asarray((normals @ normal > 0.15) & (np.abs(height) < 3.0 + 0.7 * across))

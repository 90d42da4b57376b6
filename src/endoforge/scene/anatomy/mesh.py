# SPDX-License-Identifier: Apache-2.0
"""A lumen from a mesh file: checked, turned to face inwards, with its centre line."""

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int, Int32
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from endoforge.errors import SceneError
from endoforge.frames.foreign import OBJ, PLY, STL, kind_of_file, parse_in_child
from endoforge.scene.anatomy.abdomen.mesh_checks import crossing_triangles
from endoforge.scene.anatomy.centreline import lumen_centreline
from endoforge.scene.anatomy.lumen import Lumen, signed_volume
from endoforge.scene.anatomy.meshfile import parse_mesh
from endoforge.scene.anatomy.relief import plain_surface
from endoforge.scene.anatomy.surfaces import face_normals, open_edges
from endoforge.scene.records import Centreline, Surface

_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
_SMALLEST_MM, _LARGEST_MM = 30.0, 5000.0
_OTHER_SHARE = 0.05
_CROSSED_SHARE = 0.0005
_MOST_CELLS = 40_000_000


def read_mesh(path: Path, unit: Literal["mm", "cm", "m"]) -> tuple[Surface, Centreline]:
    """Read a closed lumen surface from an STL, OBJ or PLY file.

    Args:
        path: The file.
        unit: Unit of its coordinates; no such file states it.

    Returns:
        The surface in the file's frame, mm, facing into the lumen, and its centre line from the end
        with the lower z to the other.

    Raises:
        DataError: The file is damaged or not what it claims to be.
        SceneError: The surface is open, has two lumens, runs through itself, or its size fits no
            colon.
    """
    kind_of_file(path, (STL, OBJ, PLY))
    content = parse_in_child(parse_mesh, path)
    vertices = content["vertices"] * _MM[unit]
    _check_size(path, vertices, unit)
    vertices, faces = _largest_piece(path, vertices, content["faces"])
    faces = _facing_inwards(path, vertices, faces)
    _check_crossings(path, vertices, faces)
    surface = plain_surface(vertices.astype(np.float32), faces)
    lumen = lumen_from_surface(vertices, faces, 1.25)
    return surface, lumen_centreline(lumen, surface.vertices_mm, surface.faces)


def _check_size(path: Path, vertices: Float64[np.ndarray, "vertices 3"], unit: str) -> None:
    size = float(np.linalg.norm(vertices.max(axis=0) - vertices.min(axis=0)))
    if not _SMALLEST_MM <= size <= _LARGEST_MM:
        raise SceneError(
            f"{path} is {size:.4g} mm across when its unit is {unit}; expected {_SMALLEST_MM:.0f} "
            f"to {_LARGEST_MM:.0f} mm: state another anatomy.unit"
        )


def _largest_piece(
    path: Path, vertices: Float64[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> tuple[Float64[np.ndarray, "kept 3"], Int32[np.ndarray, "kept_faces 3"]]:
    """Drop triangles without area and crumbs; refuse two pieces of like size."""
    area = np.linalg.norm(face_normals(vertices, faces), axis=1)
    distinct = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    faces, area = faces[distinct], area[distinct]
    if not area.sum() > 0:
        raise SceneError(f"{path} has {len(faces)} triangles but no area; export it again")
    edges = (faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel())
    links = coo_array((np.ones(2 * len(faces)), edges), shape=(len(vertices), len(vertices)))
    piece = connected_components(links, directed=False)[1][faces[:, 0]]
    areas = np.bincount(piece, area)
    order = np.argsort(areas)[::-1]
    if len(order) > 1 and areas[order[1]] > _OTHER_SHARE * areas[order[0]]:
        share = 100 * areas[order[1]] / areas[order[0]]
        raise SceneError(
            f"{path} has two surfaces that do not touch, the second {share:.0f} % of the first; "
            "keep one lumen"
        )
    kept = faces[piece == order[0]]
    used, index = np.unique(kept, return_inverse=True)
    return vertices[used], index.reshape(-1, 3).astype(np.int32)


def _facing_inwards(
    path: Path, vertices: Float64[np.ndarray, "vertices 3"], faces: Int32[np.ndarray, "faces 3"]
) -> Int32[np.ndarray, "faces 3"]:
    """Turn all triangles into the lumen, or say why that cannot be done."""
    gaps = open_edges(faces)
    if gaps:
        raise SceneError(
            f"{path} has {gaps} edges that do not join two triangles of the same side; expected a "
            "closed surface: close its holes and make its normals agree"
        )
    turned = faces[:, ::-1] if signed_volume(vertices, faces) > 0 else faces
    return np.ascontiguousarray(turned)


def _check_crossings(
    path: Path, vertices: Float64[np.ndarray, "vertices 3"], faces: Int32[np.ndarray, "faces 3"]
) -> None:
    """Refuse a surface that runs through itself; a few crossed triangles at a kink may stay."""
    crossed = crossing_triangles(vertices, faces)
    if crossed > _CROSSED_SHARE * len(faces):
        raise SceneError(
            f"{path} has {crossed} triangles that others run through; expected a surface that does "
            "not cross itself: mend its self-intersections"
        )


def lumen_from_surface(
    vertices_mm: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], step_mm: float
) -> Lumen:
    """Fill a closed surface on a cubic grid, as fine as asked unless that needs too many cells.

    Raises:
        SceneError: Nothing is left inside at this step.
    """
    low, high = vertices_mm.min(axis=0), vertices_mm.max(axis=0)
    step = max(step_mm, float(np.prod(high - low + 4 * step_mm) / _MOST_CELLS) ** (1 / 3))
    origin = low.astype(np.float64) - 2 * step
    shape = np.ceil((high - origin) / step).astype(int) + 3
    shell = np.zeros(tuple(shape), dtype=bool)
    for points in covering_points(vertices_mm, faces, 0.5 * step):
        shell[tuple(np.rint((points - origin) / step).astype(int).T)] = True
    inside = ndimage.binary_fill_holes(shell) & ~shell
    if not inside.any():
        raise SceneError(f"nothing is inside the surface on a grid of {step:.2f} mm; is it closed?")
    world = np.diag([step, step, step, 1.0])
    world[:3, 3] = origin
    return Lumen(inside.astype(np.float32), step, world, ())


def covering_points(
    vertices_mm: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], spacing: float
) -> list[Float64[np.ndarray, "points 3"]]:
    """Points on every triangle, none of its surface farther than `spacing` from one."""
    corners = np.asarray(vertices_mm, dtype=np.float64)[faces]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    parts = np.ceil(longest / spacing).astype(int).clip(1)
    result = []
    for count in np.unique(parts):
        i, j = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
        i, j = i[i + j <= count] / count, j[i + j <= count] / count
        weights = np.stack([1 - i - j, i, j], axis=1)
        chosen = corners[parts == count]
        result.append(np.einsum("pk,fkx->fpx", weights, chosen).reshape(-1, 3))
    return result

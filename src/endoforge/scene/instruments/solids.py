# SPDX-License-Identifier: Apache-2.0
"""Closed solids made of rings: turned, lofted, bent along a path or along a loop.

Every function returns one watertight piece with outward triangles. Pieces may overlap; a part of an
instrument is several of them. Sharp edges are split at the end by `creased`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int32
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from endoforge.scene.anatomy.curves import unit
from endoforge.scene.anatomy.lumen import signed_volume


@dataclass(frozen=True, eq=False)
class Solid:
    """One closed piece of one material.

    Attributes:
        vertices_mm: Corners in the tool frame, mm.
        faces: Triangles, counter-clockwise seen from outside.
        material: ``"steel"``, ``"titanium"``, ``"plastic"`` or ``"ceramic"``.
        tint: Multiplies the material's albedo.
    """

    vertices_mm: Float64[np.ndarray, "vertices 3"]
    faces: Int32[np.ndarray, "faces 3"]
    material: str = "steel"
    tint: float = 1.0


def skin(rings: Float[np.ndarray, "rows columns 3"], closed: bool = False) -> Solid:
    """Join rings of equally many points; the ends get flat caps unless the last meets the first.

    Args:
        rings: Points of each ring, running the same way round in all; mm.
        closed: The rings form a loop.
    """
    rows, columns = rings.shape[:2]
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    after = np.roll(index, -1, axis=0) if closed else index[1:]
    before = index if closed else index[:-1]
    vertices = np.asarray(rings, dtype=np.float64).reshape(-1, 3)
    faces = _strip(before, after)
    if not closed:
        middles = np.stack([rings[0].mean(axis=0), rings[-1].mean(axis=0)])
        start, end = np.int32(len(vertices)), np.int32(len(vertices) + 1)
        faces = np.concatenate([faces, _fan(start, index[0][::-1]), _fan(end, index[-1])])
        vertices = np.concatenate([vertices, middles])
    return outward(vertices, faces)


def outward(
    vertices_mm: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Solid:
    """A closed mesh with its triangles turned outwards and those without area left out."""
    vertices = np.asarray(vertices_mm, dtype=np.float64)
    merged = _merged(vertices, faces)
    turned = merged[:, ::-1] if signed_volume(vertices, merged) < 0 else merged
    used, index = np.unique(turned, return_inverse=True)
    return Solid(vertices[used], index.reshape(-1, 3).astype(np.int32))


def lathe(profile: Float[np.ndarray, "rows 2"], columns: int = 32, closed: bool = False) -> Solid:
    """Turn a profile about the z axis.

    Args:
        profile: Rows of (z, radius), mm.
        columns: Points around.
        closed: The profile is a loop, as of a ring or a tube with a bore.
    """
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    radial = profile[:, 1, None, None] * circle
    height = np.broadcast_to(profile[:, 0, None, None], (*radial.shape[:2], 1))
    return skin(np.concatenate([radial, height], axis=2), closed)


def wire(
    path_mm: Float[np.ndarray, "rows 3"],
    radius_mm: float | Float[np.ndarray, "rows"],
    columns: int = 12,
    closed: bool = False,
) -> Solid:
    """A round wire along a path, with flat ends.

    Args:
        path_mm: Points along the middle, mm.
        radius_mm: Of the wire, or at each point.
        columns: Points around.
        closed: The path is a loop in one plane.
    """
    path = np.asarray(path_mm, dtype=np.float64)
    ahead = np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0)
    if not closed:
        ahead[0], ahead[-1] = path[1] - path[0], path[-1] - path[-2]
    side, other = _frames(unit(ahead))
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)[:, None]
    radius = np.broadcast_to(np.asarray(radius_mm, dtype=np.float64), (len(path),))[:, None, None]
    ring = np.cos(angle) * side[:, None] + np.sin(angle) * other[:, None]
    return skin(path[:, None] + radius * ring, closed)


def moved(
    solid: Solid,
    target_from_solid: Float[np.ndarray, "4 4"],
) -> Solid:
    """The piece in another frame."""
    vertices = solid.vertices_mm @ target_from_solid[:3, :3].T + target_from_solid[:3, 3]
    faces = solid.faces
    if np.linalg.det(target_from_solid[:3, :3]) < 0:
        faces = np.ascontiguousarray(faces[:, ::-1])
    return replace(solid, vertices_mm=vertices, faces=faces)


def of(solid: Solid, material: str, tint: float = 1.0) -> Solid:
    """The same piece of another material."""
    return replace(solid, material=material, tint=tint)


def creased(
    vertices_mm: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    angle_deg: float = 32.0,
) -> tuple[
    Float64[np.ndarray, "split 3"], Int32[np.ndarray, "faces 3"], Float32[np.ndarray, "split 3"]
]:
    """Split vertices along edges that turn more than an angle, so that they are drawn sharp.

    Args:
        vertices_mm: Corners, mm.
        faces: Triangles of closed pieces.
        angle_deg: Least angle between two triangles' normals that counts as an edge, degrees.

    Returns:
        Vertices, triangles in the same order, and unit normals, each triangle weighing as its angle
        at the vertex.
    """
    corners = vertices_mm[faces]
    normal = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    smooth = _smooth_links(faces, normal, np.cos(np.deg2rad(angle_deg)))
    count, group = connected_components(smooth, directed=False)
    index = group.reshape(-1, 3).astype(np.int32)
    vertices = np.empty((count, 3))
    vertices[group] = corners.reshape(-1, 3)
    weighted = (_corner_angles(corners)[..., None] * normal[:, None]).reshape(-1, 3)
    total = np.stack([np.bincount(group, weighted[:, k], minlength=count) for k in range(3)], 1)
    return vertices, index, unit(total).astype(np.float32)


def _smooth_links(
    faces: Int[np.ndarray, "faces 3"], normal: Float64[np.ndarray, "faces 3"], least_cosine: float
) -> coo_array:
    """Which corners (3 per triangle) share one vertex: joined across edges that are not sharp."""
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    first = np.arange(3 * len(faces))
    second = first.reshape(-1, 3)[:, [1, 2, 0]].ravel()
    size = int(faces.max()) + 1
    forth, back = start.astype(np.int64) * size + end, end.astype(np.int64) * size + start
    order = np.argsort(forth)
    place = np.searchsorted(forth, back, sorter=order).clip(max=len(order) - 1)
    other = order[place]
    found: Bool[np.ndarray, "edges"] = forth[other] == back
    found &= (normal[first // 3] * normal[other // 3]).sum(axis=1) >= least_cosine
    rows = np.concatenate([first[found], second[found]])
    columns = np.concatenate([second[other[found]], first[other[found]]])
    return coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(first), len(first)))


def _corner_angles(corners: Float64[np.ndarray, "faces 3 3"]) -> Float64[np.ndarray, "faces 3"]:
    ahead = unit(np.roll(corners, -1, axis=1) - corners)
    back = unit(np.roll(corners, 1, axis=1) - corners)
    return np.asarray(np.arccos(np.clip((ahead * back).sum(axis=2), -1.0, 1.0)))


def _strip(
    before: Int32[np.ndarray, "rows columns"], after: Int32[np.ndarray, "rows columns"]
) -> Int32[np.ndarray, "faces 3"]:
    """Two triangles between each pair of neighbours of two rows of rings."""
    before2, after2 = np.roll(before, -1, axis=1), np.roll(after, -1, axis=1)
    one = np.stack([before, before2, after2], -1).reshape(-1, 3)
    two = np.stack([before, after2, after], -1).reshape(-1, 3)
    return np.concatenate([one, two])


def _fan(centre: np.int32, ring: Int32[np.ndarray, "columns"]) -> Int32[np.ndarray, "columns 3"]:
    return np.stack([np.full_like(ring, centre), ring, np.roll(ring, -1)], axis=1)


def _merged(
    vertices: Float64[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Int32[np.ndarray, "kept 3"]:
    """Name equal corners alike and drop triangles that fall together to a line or a point."""
    _, first, same = np.unique(
        np.round(vertices, 7), axis=0, return_index=True, return_inverse=True
    )
    merged = first[same.reshape(-1)][faces]
    kept = (merged != np.roll(merged, 1, axis=1)).all(axis=1)
    return np.asarray(merged[kept], dtype=np.int32)


def _frames(
    along: Float64[np.ndarray, "rows 3"],
) -> tuple[Float64[np.ndarray, "rows 3"], Float64[np.ndarray, "rows 3"]]:
    """Two directions square to a path that turn as little as possible along it."""
    side = np.empty_like(along)
    start = np.cross(along[0], np.eye(3)[np.argmin(np.abs(along[0]))])
    for row, direction in enumerate(along):
        start = start - (start @ direction) * direction
        start /= np.linalg.norm(start)
        side[row] = start
    return side, np.cross(along, side)


def joined(
    solids: Sequence[Solid],
) -> tuple[Float64[np.ndarray, "vertices 3"], Int32[np.ndarray, "faces 3"]]:
    """Several pieces as one list of vertices and triangles, in order."""
    offsets = np.cumsum([0, *(len(s.vertices_mm) for s in solids[:-1])])
    faces = [s.faces + np.int32(k) for s, k in zip(solids, offsets, strict=True)]
    return np.concatenate([s.vertices_mm for s in solids]), np.concatenate(faces)

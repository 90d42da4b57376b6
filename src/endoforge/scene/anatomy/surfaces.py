# SPDX-License-Identifier: Apache-2.0
"""Triangle meshes as arrays: normals, joining, distance to a wall, whether a mesh is closed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int32
from scipy.spatial import cKDTree

from endoforge.scene.anatomy.curves import unit
from endoforge.scene.records import Surface


def face_normals(
    vertices_mm: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float64[np.ndarray, "faces 3"]:
    """Normals whose length is twice the triangle's area, on the side that sees it turn left."""
    a, b, c = (np.asarray(vertices_mm, dtype=np.float64)[faces[:, k]] for k in range(3))
    return np.asarray(np.cross(b - a, c - a), dtype=np.float64)


def vertex_normals(
    vertices_mm: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float32[np.ndarray, "vertices 3"]:
    """Unit normals at vertices, each triangle weighing as its area."""
    normals = face_normals(vertices_mm, faces)
    corner = faces.ravel()
    total = np.stack(
        [
            np.bincount(corner, np.repeat(normals[:, k], 3), minlength=len(vertices_mm))
            for k in range(3)
        ],
        axis=1,
    )
    lost = np.linalg.norm(total, axis=1) < 1e-20
    total[lost] = (0.0, 0.0, 1.0)
    return unit(total).astype(np.float32)


def grid_faces(points: Float[np.ndarray, "rows columns 3"]) -> Int32[np.ndarray, "faces 3"]:
    """Triangles of a tube: rows along it, columns around it, the last column next to the first.

    Each cell is cut along its shorter diagonal, so that ridges stay sharp. Seen from inside, with
    columns running counter-clockwise when looking along the rows, triangles turn counter-clockwise.
    """
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b = index[:-1], index[1:]
    a2, b2 = np.roll(a, -1, axis=1), np.roll(b, -1, axis=1)
    beside = np.roll(points, -1, axis=1)
    one_way = ((beside[1:] - points[:-1]) ** 2).sum(axis=2)
    other_way = ((beside[:-1] - points[1:]) ** 2).sum(axis=2)
    cut = (one_way < other_way)[..., None]
    one = np.where(cut, np.stack([a, b, b2], -1), np.stack([a, b, a2], -1))
    two = np.where(cut, np.stack([a, b2, a2], -1), np.stack([a2, b, b2], -1))
    return np.concatenate([one.reshape(-1, 3), two.reshape(-1, 3)]).astype(np.int32)


def fan_faces(centre: int, ring: Int[np.ndarray, "columns"]) -> Int32[np.ndarray, "columns 3"]:
    """Triangles from one vertex to a closed ring, turning as the ring does."""
    return np.stack([np.full_like(ring, centre), ring, np.roll(ring, -1)], axis=1).astype(np.int32)


def join(surfaces: Sequence[Surface]) -> Surface:
    """Put several surfaces into one, in order.

    What some of them leave out (material, texture place, stain) is filled in if another has it.
    """
    offsets = np.cumsum([0, *(len(s.vertices_mm) for s in surfaces[:-1])])
    return Surface(
        vertices_mm=np.concatenate([s.vertices_mm for s in surfaces]),
        faces=np.concatenate(
            [s.faces + np.int32(k) for s, k in zip(surfaces, offsets, strict=True)]
        ),
        normals=np.concatenate([s.normals for s in surfaces]),
        tint=np.concatenate([s.tint for s in surfaces]),
        face_label=np.concatenate([s.face_label for s in surfaces]),
        face_instance=np.concatenate([s.face_instance for s in surfaces]),
        face_material=_filled(
            [s.face_material for s in surfaces],
            [np.zeros(len(s.faces), np.uint8) for s in surfaces],
        ),
        texture_mm=_filled([s.texture_mm for s in surfaces], [s.vertices_mm for s in surfaces]),
        stain=_filled(
            [s.stain for s in surfaces],
            [np.zeros((len(s.vertices_mm), 2), np.float32) for s in surfaces],
        ),
    )


def _filled(
    parts: Sequence[np.ndarray | None], otherwise: Sequence[np.ndarray]
) -> np.ndarray | None:
    if all(part is None for part in parts):
        return None
    pairs = zip(parts, otherwise, strict=True)
    return np.concatenate([other if part is None else part for part, other in pairs])


def wall_distance(
    vertices_mm: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    points_mm: Float[np.ndarray, "points 3"],
    neighbours: int = 48,
) -> Float64[np.ndarray, "points"]:
    """Distance from points to a mesh, mm.

    The nearest triangle is sought among those with the nearest centres, `neighbours` of them. On
    the meshes made here, whose triangles are of similar size, that is exact to 0.1 mm.
    """
    corners = np.asarray(vertices_mm, dtype=np.float64)[faces]
    tree = cKDTree(corners.mean(axis=1), balanced_tree=False, compact_nodes=False)
    found = tree.query(points_mm, k=min(neighbours, len(faces)))[1].reshape(len(points_mm), -1)
    repeated = np.repeat(np.asarray(points_mm, dtype=np.float64), found.shape[1], axis=0)
    distance = _point_triangle(repeated, corners[found.ravel()])
    return np.asarray(distance.reshape(found.shape).min(axis=1), dtype=np.float64)


def _point_triangle(
    points: Float64[np.ndarray, "rows 3"], triangles: Float64[np.ndarray, "rows 3 3"]
) -> Float64[np.ndarray, "rows"]:
    """Distance of each point to its triangle: inside the prism the plane's, else the edges'."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    normal = unit(np.cross(b - a, c - a))
    inside = np.ones(len(points), dtype=bool)
    nearest = np.full(len(points), np.inf)
    for p, q in ((a, b), (b, c), (c, a)):
        edge, way = q - p, points - p
        share = (way * edge).sum(1) / np.maximum((edge * edge).sum(1), 1e-30)
        gap = way - np.clip(share, 0.0, 1.0)[:, None] * edge
        nearest = np.minimum(nearest, np.linalg.norm(gap, axis=1))
        inside &= (np.cross(normal, edge) * way).sum(1) >= 0.0
    height = np.abs(((points - a) * normal).sum(1))
    return np.where(inside, height, nearest)


def open_edges(faces: Int[np.ndarray, "faces 3"]) -> int:
    """Number of edges that do not join exactly two triangles that agree about the side."""
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = directed.astype(np.int64)
    span = int(directed.max(initial=0)) + 1
    forward = directed[:, 0] * span + directed[:, 1]
    backward = directed[:, 1] * span + directed[:, 0]
    values, counts = np.unique(forward, return_counts=True)
    paired = np.isin(values, backward) & (counts == 1)
    return int((~paired).sum())

# SPDX-License-Identifier: Apache-2.0
"""Whether a triangle mesh bounds a body: closed, facing outwards, not running through itself."""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64
from scipy.spatial import cKDTree

from endoforge.scene.anatomy.surfaces import face_normals

_AT_ONCE = 2_000_000
_EPSILON = 1e-7


def tidied(
    vertices: Float64[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> tuple[Float64[np.ndarray, "kept 3"], Int64[np.ndarray, "kept_faces 3"]]:
    """Make equal vertices one, and drop triangles without area and repeated ones."""
    scale = max(float(np.ptp(vertices, axis=0).max()), 1e-12)
    keys = np.round(vertices / (1e-7 * scale)).astype(np.int64)
    _, first, index = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    merged = np.asarray(index, dtype=np.int64).reshape(-1)[faces]
    points = vertices[first]
    area = np.linalg.norm(face_normals(points, merged), axis=1)
    merged = merged[area > 1e-14 * scale**2]
    _, once = np.unique(np.sort(merged, axis=1), axis=0, return_index=True)
    merged = merged[np.sort(once)]
    used, renumbered = np.unique(merged, return_inverse=True)
    return points[used], np.asarray(renumbered, dtype=np.int64).reshape(-1, 3)


def crossing_triangles(
    vertices: Float64[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> int:
    """Number of triangles that an edge of another, not a neighbour, runs through.

    Source:
        Möller, Trumbore, *Fast, minimum storage ray/triangle intersection*, JGT 1997.
    """
    edges, start, end = _short_pieces(vertices, faces)
    corners = vertices[faces]
    middle = corners.mean(axis=1)
    radius = np.linalg.norm(corners - middle[:, None], axis=2).max(axis=1)
    half = 0.5 * float(np.linalg.norm(end - start, axis=1).max(initial=0.0))
    found = cKDTree(0.5 * (start + end)).query_ball_point(middle, radius + half)
    counts = np.fromiter(map(len, found), np.int64, len(found))
    crossed = np.zeros(len(faces), dtype=bool)
    for first, last in _runs(counts):
        face = np.repeat(np.arange(first, last), counts[first:last])
        piece = np.concatenate([np.asarray(f, np.int64) for f in found[first:last]])
        apart = ~(faces[face][:, :, None] == edges[piece][:, None, :]).any(axis=(1, 2))
        face, piece = face[apart], piece[apart]
        hit = _through(corners[face], start[piece], end[piece])
        crossed[face[hit]] = True
    return int(crossed.sum())


def _runs(counts: Int64[np.ndarray, "faces"]) -> list[tuple[int, int]]:
    """Cut the triangles into runs with few enough candidates each."""
    group = np.cumsum(counts) // _AT_ONCE
    cuts = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(counts)]
    return [(a, b) for a, b in pairwise(cuts) if counts[a:b].sum() > 0]


def _short_pieces(
    vertices: Float64[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All edges, the long ones cut into pieces: their two vertices, start and end."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    a, b = vertices[edges[:, 0]], vertices[edges[:, 1]]
    length = np.linalg.norm(b - a, axis=1)
    parts = np.ceil(length / (2 * np.median(length))).astype(np.int64).clip(1, 1000)
    of = np.repeat(np.arange(len(edges)), parts)
    number = np.arange(len(of)) - np.repeat(np.cumsum(parts) - parts, parts)
    low, high = (number / parts[of])[:, None], ((number + 1) / parts[of])[:, None]
    return edges[of], a[of] + low * (b - a)[of], a[of] + high * (b - a)[of]


def _through(
    corners: Float64[np.ndarray, "rows 3 3"],
    start: Float64[np.ndarray, "rows 3"],
    end: Float64[np.ndarray, "rows 3"],
) -> Bool[np.ndarray, "rows"]:
    """Whether each piece runs through its triangle, clear of the triangle's rim."""
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    way = end - start
    across = np.cross(way, two)
    steep = (one * across).sum(axis=1)
    safe = np.where(np.abs(steep) < 1e-30, 1.0, steep)
    from_corner = start - corners[:, 0]
    u = (from_corner * across).sum(axis=1) / safe
    turned = np.cross(from_corner, one)
    v = (way * turned).sum(axis=1) / safe
    t = (two * turned).sum(axis=1) / safe
    inside = (u > _EPSILON) & (v > _EPSILON) & (u + v < 1 - _EPSILON)
    return np.asarray(inside & (t > _EPSILON) & (t < 1 - _EPSILON) & (np.abs(steep) > 1e-30))

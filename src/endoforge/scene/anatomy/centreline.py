# SPDX-License-Identifier: Apache-2.0
"""The centre line of any lumen: the widest way between its two farthest ends.

Loops of colon that lie side by side often touch in a segmentation. A way that costs one over a
high power of the distance to the wall goes round through the lumen rather than through the small
window between two loops, because a narrow place costs more than any detour. A window more than
about two thirds as wide as the lumen is taken for lumen.
"""

from itertools import product

import numpy as np
from jaxtyping import Float, Float64, Int, Int64
from scipy import ndimage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from endoforge.errors import SceneError
from endoforge.scene.anatomy.curves import arc_length, resample, smooth, unit
from endoforge.scene.anatomy.lumen import Lumen
from endoforge.scene.anatomy.surfaces import wall_distance
from endoforge.scene.records import Centreline

_POWER = 8
_STEP_MM = 2.5  # grid that the way is sought on
_SPACING_MM = 1.0
_LEAST_MM = 30.0
_END_SHARE = 0.4  # the line ends where the lumen has narrowed to this share of its usual radius
_OPEN_SHARE = 0.8  # and begins where it has reached this share of the radius near its end


def lumen_centreline(
    lumen: Lumen,
    vertices_mm: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
) -> Centreline:
    """Find a lumen's centre line.

    Args:
        lumen: The lumen.
        vertices_mm: Its surface, world frame.
        faces: Triangles of the surface.

    Returns:
        The line from the end nearer the feet (lower z, the rectum) to the other, every 1 mm, with
        its distance to the surface.

    Raises:
        SceneError: The lumen is too small to have a course.
    """
    coarse, scale = _coarse(lumen)
    step = lumen.step_mm * scale
    way = widest_way(ndimage.distance_transform_edt(coarse) * step, step)
    depth = ndimage.distance_transform_edt(lumen.inside) * lumen.step_mm
    line = _centred(way * float(scale) + 0.5 * (scale - 1), depth, lumen.step_mm)
    points = lumen.to_world(line)
    if points[0, 2] > points[-1, 2]:
        points = points[::-1]
    points = resample(points, _SPACING_MM)
    radius = wall_distance(vertices_mm, faces, points)
    return without_blind_ends(points, radius)


def _coarse(lumen: Lumen) -> tuple[np.ndarray, int]:
    """Merge cells into larger ones for the search; returns how many along each axis."""
    scale = max(round(_STEP_MM / lumen.step_mm), 1)
    inside = lumen.filled
    pad = [(0, -n % scale) for n in inside.shape]
    i, j, k = (n // scale for n in np.pad(inside, pad).shape)
    blocks = np.pad(inside, pad).reshape(i, scale, j, scale, k, scale)
    merged = np.pad(blocks.mean(axis=(1, 3, 5)) > 0.5, 1)[1:-1, 1:-1, 1:-1]
    pieces, count = ndimage.label(merged)
    if count == 0:
        raise SceneError(f"the lumen is nowhere {_STEP_MM} mm wide; it has no course to follow")
    return pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1, scale


def widest_way(
    depth: Float64[np.ndarray, "i j k"], step_mm: float
) -> Int64[np.ndarray, "points 3"]:
    """Grid cells of the widest way between the two ends that are farthest apart along it."""
    cells = np.argwhere(depth > 0)
    graph = way_costs(depth, step_mm)
    first = int(np.argmax(depth[tuple(cells.T)]))
    for _ in range(3):  # from the far end of the way from anywhere, to the far end from there
        _, before = dijkstra(graph, directed=False, indices=first, return_predecessors=True)
        last, first = first, int(np.argmax(way_lengths(before, cells)))
    way = [first]
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    assert way[-1] == last
    length = float(arc_length(cells[way].astype(np.float64))[-1]) * step_mm
    if length < _LEAST_MM:
        raise SceneError(f"the lumen's course is {length:.0f} mm long; expected {_LEAST_MM} mm")
    return np.asarray(cells[way], dtype=np.int64)


def way_costs(depth: Float64[np.ndarray, "i j k"], step_mm: float) -> csr_array:
    """Neighbouring cells of the lumen, and what it costs to go from one to the other."""
    index = np.full(depth.shape, -1, dtype=np.int32)
    index[depth > 0] = np.arange(int((depth > 0).sum()))
    cost = np.where(depth > 0, (10.0 / np.maximum(depth, 1e-3)) ** _POWER, 0.0)
    rows, columns, costs = [], [], []
    for offset in product((-1, 0, 1), repeat=3):
        if offset <= (0, 0, 0):
            continue
        pairs = list(zip(offset, depth.shape, strict=True))
        here = tuple(slice(max(-o, 0), n - max(o, 0)) for o, n in pairs)
        there = tuple(slice(max(o, 0), n - max(-o, 0)) for o, n in pairs)
        both = (index[here] >= 0) & (index[there] >= 0)
        length = step_mm * float(np.linalg.norm(offset))
        rows.append(index[here][both])
        columns.append(index[there][both])
        costs.append(0.5 * length * (cost[here][both] + cost[there][both]))
    count = int(index.max()) + 1
    entries = (np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns)))
    return csr_array(coo_array(entries, shape=(count, count)))


def way_lengths(
    before: Int[np.ndarray, "cells"], cells: Int[np.ndarray, "cells 3"]
) -> Float64[np.ndarray, "cells"]:
    """Length of the way that leads to each cell, in cells; by doubling steps along the tree."""
    parent = np.where(before < 0, np.arange(len(before)), before)
    length = np.linalg.norm(cells - cells[parent], axis=1)
    while not np.array_equal(parent, parent[parent]):
        length = length + length[parent]
        parent = parent[parent]
    return np.asarray(length, dtype=np.float64)


def _centred(
    way: Float64[np.ndarray, "cells 3"], depth: Float64[np.ndarray, "i j k"], step_mm: float
) -> Float64[np.ndarray, "points 3"]:
    """Round off a way of grid cells and draw it to the middle of the lumen; all in cells."""
    spacing = _SPACING_MM / step_mm
    slope = np.gradient(ndimage.gaussian_filter(depth, _STEP_MM / step_mm))
    line = smooth(resample(way, spacing), 3.0)
    for _ in range(40):
        tangent = unit(np.gradient(line, axis=0))
        pull = np.stack([ndimage.map_coordinates(g, line.T, order=1) for g in slope], axis=1)
        pull /= step_mm
        pull -= (pull * tangent).sum(axis=1, keepdims=True) * tangent
        line = smooth(resample(line + 0.4 * pull, spacing), 2.0)
    return _kept_inside(line, way, depth, spacing)


def _kept_inside(
    line: Float64[np.ndarray, "points 3"],
    way: Float64[np.ndarray, "cells 3"],
    depth: Float64[np.ndarray, "i j k"],
    spacing: float,
) -> Float64[np.ndarray, "points 3"]:
    """Smooth further, but go back towards the way through the cells where that would leave it."""
    rounded = smooth(line, 5.0)
    weight = np.zeros(len(line))
    sure = _nearest(line, resample(way, spacing))
    for goal in (line, sure):
        allowed = 0.6 * ndimage.map_coordinates(depth, goal.T, order=1)
        for _ in range(6):
            mixed = rounded + weight[:, None] * (goal - rounded)
            short = ndimage.map_coordinates(depth, mixed.T, order=1) < allowed
            if not short.any():
                break
            reach = ndimage.maximum_filter1d(short.astype(np.float64), 15)
            weight = np.clip(weight + 0.5 * smooth(reach, 4.0), 0.0, 1.0)
        rounded, weight = mixed, np.zeros(len(line))
    return rounded


def _nearest(
    points: Float64[np.ndarray, "points 3"], others: Float64[np.ndarray, "others 3"]
) -> Float64[np.ndarray, "points 3"]:
    """The nearest point of another line to each point, never going back along it."""
    found = np.maximum.accumulate(cKDTree(others).query(points)[1])
    return np.asarray(others[found], dtype=np.float64)


def without_blind_ends(
    points: Float64[np.ndarray, "points 3"], radius: Float64[np.ndarray, "points"]
) -> Centreline:
    """Cut the ends off where the line runs on into a pouch, a side branch or the end wall."""
    wide = radius >= _END_SHARE * np.median(radius)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wide, [False]]).astype(np.int8)))
    runs = edges.reshape(-1, 2)
    runs = runs[np.diff(runs, axis=1)[:, 0] * _SPACING_MM >= _LEAST_MM]
    if not len(runs):
        raise SceneError(
            f"the lumen's radius of {np.median(radius):.1f} mm is kept up for less than "
            f"{_LEAST_MM:.0f} mm; it has no course to follow: check the segmentation"
        )
    first = int(runs[0, 0]) + _opened(radius[int(runs[0, 0]) :])
    last = int(runs[-1, 1]) - _opened(radius[: int(runs[-1, 1])][::-1])
    keep = slice(first, last)
    return Centreline(points_mm=points[keep].copy(), radius_mm=radius[keep].copy())


def _opened(radius: Float64[np.ndarray, "points"]) -> int:
    """How many points lie before the line has left the corner of an end wall that it begins in."""
    near = radius[: int(_LEAST_MM / _SPACING_MM / 2)]
    return int(np.argmax(near >= _OPEN_SHARE * near.max()))

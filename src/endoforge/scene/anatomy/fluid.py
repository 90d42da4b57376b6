# SPDX-License-Identifier: Apache-2.0
"""Residual fluid: a level surface in a low pouch, closed against the wall.

Fluid runs to the lowest place and stands level there: its surface is the part of a horizontal
plane that lies in the lumen around that place. It is made as a thin closed sheet whose edge
reaches a little into the wall.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, cKDTree

from endoforge.scene.anatomy.surfaces import vertex_normals
from endoforge.scene.records import Surface

FLUID_LABEL = 7

_LEAVE_MM = 6.0  # from the surface up to the axis
_BIN_MM = 6.0
_LONGEST_MM = 70.0
_SPACING_MM = 1.5
_SHORE_MM = 0.6
_BEHIND_MM = 0.6  # how far the edge reaches into the wall
_THICK_MM = 0.5
_LEAST_MM = 1.0
_LEAST_AREA_MM2 = 25.0


@dataclass(frozen=True, eq=False)
class Basin:
    """A wall seen from the fluid: heights, and which part of the axis each vertex belongs to.

    Attributes:
        surface: The wall.
        up: Unit vector against gravity.
        height_mm: Of each vertex.
        way_mm: Place of each vertex along the axis.
        axis_height_mm: Of each point of the axis.
        axis_way_mm: Way of each point of the axis.
    """

    surface: Surface
    up: Float64[np.ndarray, "3"]
    height_mm: Float64[np.ndarray, "vertices"]
    way_mm: Float64[np.ndarray, "vertices"]
    axis_height_mm: Float64[np.ndarray, "points"]
    axis_way_mm: Float64[np.ndarray, "points"]


def basin_of(
    surface: Surface, axis_mm: Float64[np.ndarray, "points 3"], up: Float64[np.ndarray, "3"]
) -> Basin:
    """Prepare a wall for pools.

    Args:
        surface: The wall alone, without bodies on it.
        axis_mm: Points along the lumen, about equally spaced.
        up: Unit vector against gravity.
    """
    steps = np.linalg.norm(np.diff(axis_mm, axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    vertices = np.asarray(surface.vertices_mm, dtype=np.float64)
    nearest = cKDTree(axis_mm[::4]).query(vertices)[1]
    return Basin(surface, up, vertices @ up, way[::4][nearest], axis_mm @ up, way)


def low_places(basin: Basin) -> Int64[np.ndarray, "places"]:
    """Vertices at the ground of the pouches, the lowest first."""
    bins = (basin.way_mm / _BIN_MM).astype(int)
    order = np.lexsort((basin.height_mm, bins))
    first = np.unique(bins[order], return_index=True)[1]
    lowest = order[first]
    height = basin.height_mm[lowest]
    padded = np.pad(height, 1, constant_values=np.inf)
    ground = (height <= padded[:-2]) & (height <= padded[2:])
    found = lowest[ground]
    found = found[np.isin(found, basin.surface.faces[basin.surface.face_instance == 0])]
    return np.asarray(found[np.argsort(basin.height_mm[found])], dtype=np.int64)


def pool(basin: Basin, place: int, depth_mm: float, instance: int, material: int) -> Surface | None:
    """Fill a pouch.

    Args:
        basin: The wall.
        place: Vertex at the ground of the pouch.
        depth_mm: Wanted depth; less where the fluid would run over or come near the axis.
        instance: Its object number.
        material: Index of its tissue among the anatomy's materials.

    Returns:
        A thin closed sheet, or None where hardly anything stays in the pouch.
    """
    while depth_mm >= _LEAST_MM:
        level = float(basin.height_mm[place]) + depth_mm
        wet = _wet(basin, place, level)
        if _stays(basin, wet, level):
            sheet = _sheet(basin, wet, level)
            return None if sheet is None else _surface(basin, sheet, (instance, material))
        depth_mm *= 0.7
    return None


def _wet(basin: Basin, place: int, level: float) -> Bool[np.ndarray, "vertices"]:
    """Vertices below the level that fluid at a place reaches."""
    near = np.abs(basin.way_mm - basin.way_mm[place]) < 0.7 * _LONGEST_MM
    below = (basin.height_mm < level) & near
    faces = basin.surface.faces[below[basin.surface.faces[:, 0]]]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges[below[edges].all(axis=1)]
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), (len(below),) * 2)
    piece = connected_components(graph, directed=False)[1]
    return np.asarray(below & (piece == piece[place]))


def _stays(basin: Basin, wet: Bool[np.ndarray, "vertices"], level: float) -> bool:
    """Whether the fluid neither runs away along the lumen nor comes near the axis."""
    low, high = basin.way_mm[wet].min(), basin.way_mm[wet].max()
    shore = basin.surface.faces[wet[basin.surface.faces].any(axis=1)]
    onwards = ~wet[shore] & (basin.height_mm[shore] < level)
    if high - low > _LONGEST_MM or onwards.any():
        return False
    beside = (basin.axis_way_mm >= low - 8.0) & (basin.axis_way_mm <= high + 8.0)
    return bool((basin.axis_height_mm[beside] > level + _LEAVE_MM).all())


@dataclass(frozen=True, eq=False)
class _Sheet:
    """A flat mesh in the plane of the level: corners in the plane's two directions, triangles."""

    plane: Float64[np.ndarray, "2 3"]
    level: float
    corners: Float64[np.ndarray, "corners 2"]
    triangles: Int64[np.ndarray, "triangles 3"]


def _sheet(basin: Basin, wet: Bool[np.ndarray, "vertices"], level: float) -> _Sheet | None:
    """Cut the wall at the level and fill what lies inside the cut with triangles."""
    plane = _across(basin.up)
    points, segments, outwards = _shoreline(basin, wet, level, plane)
    if len(segments) < 6:
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (np.arange(a + 0.5, b, _SPACING_MM) for a, b in zip(low, high, strict=True))
    inner = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    tree = cKDTree(points)
    inner = inner[tree.query(inner)[0] > 0.6 * _SPACING_MM]
    corners = np.concatenate([points, inner[_inside(inner, points, segments)]])
    triangles = Delaunay(corners, qhull_options="QJ Pp").simplices.astype(np.int64)
    a, b, c = (corners[triangles[:, k]] for k in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    triangles = np.where(area[:, None] > 0, triangles, triangles[:, ::-1])
    keep = _inside((a + b + c) / 3, points, segments) & (np.abs(area) > 1e-6)
    if 0.5 * np.abs(area[keep]).sum() < _LEAST_AREA_MM2:
        return None
    corners[: len(points)] += _BEHIND_MM * outwards
    whole = _without_pinches(triangles[keep])
    return _Sheet(plane, level, corners, whole) if len(whole) else None


def _rim(triangles: Int64[np.ndarray, "triangles 3"]) -> Int64[np.ndarray, "edges 2"]:
    """Edges of one triangle only, in its direction."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    span = int(edges.max(initial=0)) + 1
    alone = ~np.isin(edges[:, 0] * span + edges[:, 1], edges[:, 1] * span + edges[:, 0])
    return np.asarray(edges[alone], dtype=np.int64)


def _without_pinches(
    triangles: Int64[np.ndarray, "triangles 3"],
) -> Int64[np.ndarray, "kept 3"]:
    """Leave out triangles at corners where the sheet touches itself only there."""
    while True:
        corner, count = np.unique(_rim(triangles)[:, 0], return_counts=True)
        pinched = corner[count > 1]
        if not len(pinched):
            return triangles
        triangles = triangles[~np.isin(triangles, pinched).any(axis=1)]


def _across(up: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "2 3"]:
    """Two directions that make a right-handed frame with the upward one."""
    first = np.cross(np.eye(3)[int(np.argmin(np.abs(up)))], up)
    first = first / np.linalg.norm(first)
    return np.stack([first, np.cross(up, first)])


def _shoreline(
    basin: Basin, wet: Bool[np.ndarray, "vertices"], level: float, plane: Float64[np.ndarray, "2 3"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the level meets the wall: points, the segments between them, and outward directions."""
    faces = basin.surface.faces
    some = wet[faces].any(axis=1)
    faces = faces[some & ~wet[faces].all(axis=1)]
    edges = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2)
    cut = wet[edges[..., 0]] != wet[edges[..., 1]]  # two of each triangle's three edges
    ends = np.sort(edges[cut], axis=1)
    unique, index = np.unique(ends, axis=0, return_inverse=True)
    h = basin.height_mm[unique]
    share = np.clip((level - h[:, 0]) / np.where(h[:, 1] == h[:, 0], 1.0, h[:, 1] - h[:, 0]), 0, 1)
    vertices = np.asarray(basin.surface.vertices_mm, dtype=np.float64)
    points = vertices[unique[:, 0]] * (1 - share)[:, None] + vertices[unique[:, 1]] * share[:, None]
    normals = basin.surface.normals[unique].mean(axis=1, dtype=np.float64)
    outwards = -(normals @ plane.T)
    outwards = outwards / np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-9)
    return _finer(points @ plane.T, index.reshape(-1, 2), outwards)


def _finer(
    points: Float64[np.ndarray, "points 2"],
    segments: Int64[np.ndarray, "segments 2"],
    outwards: Float64[np.ndarray, "points 2"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Halve long segments until triangles between their points cannot cut corners."""
    while True:
        a, b = segments[:, 0], segments[:, 1]
        long = np.linalg.norm(points[a] - points[b], axis=1) > _SHORE_MM
        if not long.any():
            return points, segments, outwards
        middle = len(points) + np.arange(int(long.sum()))
        points = np.concatenate([points, (points[a[long]] + points[b[long]]) / 2])
        outwards = np.concatenate([outwards, (outwards[a[long]] + outwards[b[long]]) / 2])
        halves = [np.stack([a[long], middle], 1), np.stack([middle, b[long]], 1)]
        segments = np.concatenate([segments[~long], *halves])


def _inside(
    places: Float64[np.ndarray, "places 2"],
    points: Float64[np.ndarray, "points 2"],
    segments: Int64[np.ndarray, "segments 2"],
) -> Bool[np.ndarray, "places"]:
    """Whether a ray from each place crosses the segments an odd number of times."""
    a, b = points[segments[:, 0]], points[segments[:, 1]]
    x, y = places[:, :1], places[:, 1:]
    spans = (a[:, 1] > y) != (b[:, 1] > y)
    rise = np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
    at = a[:, 0] + (y - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
    return np.asarray((spans & (x < at)).sum(axis=1) % 2 == 1)


def _surface(basin: Basin, sheet: _Sheet, numbers: tuple[int, int]) -> Surface:
    """Give the sheet a lower side and a rim."""
    used, index = np.unique(sheet.triangles, return_inverse=True)
    top = index.reshape(-1, 3)
    flat = sheet.corners[used] @ sheet.plane + sheet.level * basin.up
    vertices = np.concatenate([flat, flat - _THICK_MM * basin.up]).astype(np.float32)
    count = len(used)
    rim = _rim(top)
    a, b = rim[:, 0], rim[:, 1]
    sides = [np.stack([b, a, a + count], 1), np.stack([b, a + count, b + count], 1)]
    faces = np.concatenate([top, top[:, ::-1] + count, *sides]).astype(np.int32)
    normals = vertex_normals(vertices, faces)
    normals[:count] = basin.up
    instance, material = numbers
    return Surface(
        vertices_mm=vertices,
        faces=faces,
        normals=normals,
        tint=np.ones_like(vertices),
        face_label=np.full(len(faces), FLUID_LABEL, np.uint8),
        face_instance=np.full(len(faces), instance, np.uint16),
        face_material=np.full(len(faces), material, np.uint8),
    )

# SPDX-License-Identifier: Apache-2.0
"""Polyps as closed bodies that grow out of a wall: domes, plaques and heads on stalks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int32
from scipy.spatial import cKDTree

from endoforge.distributions import draw, draw_count
from endoforge.scene.anatomy.curves import unit
from endoforge.scene.anatomy.settings import PolypSettings
from endoforge.scene.anatomy.surfaces import fan_faces, grid_faces, vertex_normals
from endoforge.scene.records import Surface

POLYP_LABEL = 3

_SPACING_MM = 0.5
_AXIS_MM = 7.0  # way along the axis that polyps leave free
_APART_MM = 2.0
_TRIES = 12


@dataclass(frozen=True, eq=False)
class Polyp:
    """One polyp before it is put on a wall.

    Attributes:
        kind: Dome, plaque or head on a stalk.
        diameter_mm: Largest width.
        height: Height of dome or plaque as a share of the width.
        stalk_mm: Length of the stalk, 0 for none.
        bend_rad: How far the stalk leans over.
        towards_rad: Direction in the wall's plane in which it leans, 0 along the axis.
        lobes: Plane waves that make the surface uneven: direction times frequency.
        lobe_phase: Their phases.
        lobe_depth: Their size as a share of the radius.
        tint: Multiplies the tissue's albedo.
    """

    kind: Literal["dome", "plaque", "stalked"]
    diameter_mm: float
    height: float
    stalk_mm: float
    bend_rad: float
    towards_rad: float
    lobes: Float64[np.ndarray, "waves 3"]
    lobe_phase: Float64[np.ndarray, "waves"]
    lobe_depth: float
    tint: Float64[np.ndarray, "3"]


@dataclass(frozen=True, eq=False)
class Site:
    """Where a polyp stands: a patch of wall as a function of two lengths.

    Attributes:
        wall: Grid of wall points, rows along the axis, columns around it, world frame, mm.
        row: Row of the polyp's middle.
        column: Column of the polyp's middle.
        row_mm: Distance between rows there.
        column_mm: Distance between columns there.
        normal: Unit vector into the lumen.
        along: Unit vector in the wall's plane along the axis.
    """

    wall: Float64[np.ndarray, "rows columns 3"]
    row: int
    column: int
    row_mm: float
    column_mm: float
    normal: Float64[np.ndarray, "3"]
    along: Float64[np.ndarray, "3"]

    def point(
        self, along_mm: Float64[np.ndarray, "*shape"], around_mm: Float64[np.ndarray, "*shape"]
    ) -> Float64[np.ndarray, "*shape 3"]:
        """Wall point at a way along and around from the middle, world frame, mm."""
        rows, columns = self.wall.shape[:2]
        i = np.clip(self.row + along_mm / self.row_mm, 0, rows - 1.001)
        j = self.column + around_mm / self.column_mm
        i0, j0 = np.floor(i).astype(int), np.floor(j).astype(int)
        di, dj = (i - i0)[..., None], (j - j0)[..., None]
        a, b = j0 % columns, (j0 + 1) % columns
        near = self.wall[i0, a] * (1 - dj) + self.wall[i0, b] * dj
        far = self.wall[i0 + 1, a] * (1 - dj) + self.wall[i0 + 1, b] * dj
        return np.asarray(near * (1 - di) + far * di, dtype=np.float64)


def sample_polyps(settings: PolypSettings, rng: np.random.Generator) -> tuple[Polyp, ...]:
    """Draw how many polyps there are and the shape of each."""
    count = draw_count(settings.count, rng)
    return tuple(_sample(settings, rng) for _ in range(count))


def _sample(settings: PolypSettings, rng: np.random.Generator) -> Polyp:
    diameter = draw(settings.diameter_mm, rng)
    flat = rng.random() < settings.flat_share
    stalked = not flat and diameter >= 6.0 and rng.random() < settings.stalked_share
    red = rng.uniform(0.0, 1.0)  # adenomas are redder than the mucosa, hyperplastic polyps paler
    tint = np.array([1.06, 1.05, 1.05]) * (1 - red) + np.array([1.0, 0.76, 0.74]) * red
    return Polyp(
        kind="plaque" if flat else "stalked" if stalked else "dome",
        diameter_mm=diameter,
        height=float(rng.uniform(0.14, 0.26) if flat else rng.uniform(0.42, 0.72)),
        stalk_mm=float(rng.uniform(0.5, 1.0) * min(diameter, 12.0)) if stalked else 0.0,
        bend_rad=float(rng.uniform(0.5, 1.2)),
        towards_rad=float(rng.choice([0.0, np.pi]) + rng.normal(0.0, 0.4)),
        lobes=rng.normal(0.0, rng.uniform(1.2, 3.2), (7, 3)),
        lobe_phase=rng.uniform(0, 2 * np.pi, 7),
        lobe_depth=float(rng.uniform(0.02, 0.07)),
        tint=np.asarray(tint * rng.uniform(0.94, 1.06, 3), dtype=np.float64),
    )


def polyp_surface(polyp: Polyp, site: Site, instance: int) -> Surface:
    """Grow a polyp out of a wall: a closed body whose foot follows the wall and dips below it."""
    out, up = _profile(polyp)
    columns = int(np.clip(np.pi * polyp.diameter_mm / _SPACING_MM, 16, 96)) // 2 * 2
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    rho = out[:, None] * np.ones(columns)
    along, around = rho * np.cos(turn), rho * np.sin(turn)
    height = np.broadcast_to(up[:, None], along.shape)
    along, around, height = _lobed(polyp, along, around, height)
    body = _placed(polyp, site, along, around, height)
    middle = np.zeros((1, 1))
    top = _placed(polyp, site, *_lobed(polyp, middle, middle, np.full((1, 1), up[0])))
    root = site.point(np.zeros(1), np.zeros(1)) - 1.5 * site.normal
    vertices = np.concatenate([body.reshape(-1, 3), top.reshape(1, 3), root])
    faces = _closed(body)
    vertices32 = vertices.astype(np.float32)
    return Surface(
        vertices_mm=vertices32,
        faces=faces,
        normals=vertex_normals(vertices32, faces),
        tint=_tints(polyp, up, columns),
        face_label=np.full(len(faces), POLYP_LABEL, np.uint8),
        face_instance=np.full(len(faces), instance, np.uint16),
    )


def _profile(polyp: Polyp) -> tuple[Float64[np.ndarray, "rows"], Float64[np.ndarray, "rows"]]:
    """Outline from near the top to the foot: distance from the polyp's own axis, and height, mm."""
    r = polyp.diameter_mm / 2
    if polyp.kind == "stalked":
        stalk = max(0.22 * r, 1.2)
        turn = np.linspace(0.03, np.pi - np.arcsin(min(stalk / r, 0.9)), 40)
        out, up = r * np.sin(turn), polyp.stalk_mm + 0.85 * r * (1 + np.cos(turn))
        lower = np.linspace(1.0, 0.0, 24)[1:]
        out = np.concatenate([out, stalk * (1 + 0.9 * np.exp(-4.0 * lower))])
        up = np.concatenate([up, up[-1] * lower])
    else:
        h = polyp.height * polyp.diameter_mm
        turn = np.linspace(0.03, 0.5 * np.pi + (0.35 if polyp.kind == "dome" else 0.0), 40)
        middle = 0.35 * h if polyp.kind == "dome" else 0.0
        out = r * np.sin(turn) ** (1.0 if polyp.kind == "dome" else 0.8)
        up = middle + (h - middle) * np.cos(turn)
    foot = np.linspace(0, 1, 6)[1:]
    out = np.concatenate([out, out[-1] + foot * 0.12 * r])
    up = np.concatenate([up, up[-1] * (1 - foot) - 0.5 * foot])
    way = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(out), np.diff(up)))])
    rows = max(int(way[-1] / _SPACING_MM), 8)
    at = np.linspace(0, way[-1], rows)
    return np.interp(at, way, out), np.interp(at, way, up)


def _lobed(
    polyp: Polyp,
    along: Float64[np.ndarray, "rows columns"],
    around: Float64[np.ndarray, "rows columns"],
    height: Float64[np.ndarray, "rows columns"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make the body uneven; the foot stays as it is."""
    r = polyp.diameter_mm / 2
    place = np.stack([along, around, height - polyp.stalk_mm], axis=-1) / r
    wave = np.sin(place @ polyp.lobes.T + polyp.lobe_phase).sum(axis=-1)
    wave *= np.sqrt(2.0 / len(polyp.lobe_phase))
    grow = polyp.lobe_depth * wave * np.clip(height / (0.3 * r), 0.0, 1.0)
    return along * (1 + grow), around * (1 + grow), height * (1 + 0.5 * grow)


def _placed(
    polyp: Polyp,
    site: Site,
    along: Float64[np.ndarray, "rows columns"],
    around: Float64[np.ndarray, "rows columns"],
    height: Float64[np.ndarray, "rows columns"],
) -> Float64[np.ndarray, "rows columns 3"]:
    """World positions: near the wall the body follows it, further out it keeps its own shape."""
    side = np.cross(site.normal, site.along)
    follow = np.clip(1.0 - height / 2.0, 0.0, 1.0)[..., None]
    lean = np.cos(polyp.towards_rad) * site.along + np.sin(polyp.towards_rad) * side
    if polyp.kind == "stalked":  # the stalk is an arc that turns from the normal towards `lean`
        total = polyp.stalk_mm + 1.7 * polyp.diameter_mm / 2
        turned = polyp.bend_rad * np.clip(height, 0.0, None) / total
        rise = total / polyp.bend_rad * np.sin(turned) + np.minimum(height, 0.0)
        drift = total / polyp.bend_rad * (1 - np.cos(turned))
        tilt = along * np.cos(polyp.towards_rad) + around * np.sin(polyp.towards_rad)
        rise, drift = rise - tilt * np.sin(turned), drift - tilt * (1 - np.cos(turned))
    else:
        rise, drift = height, np.zeros_like(height)
    foot = site.point(along, around) + rise[..., None] * site.normal
    free = site.point(np.zeros(1), np.zeros(1)) + rise[..., None] * site.normal
    free = free + along[..., None] * site.along + around[..., None] * side
    return np.asarray(
        follow * foot + (1 - follow) * free + drift[..., None] * lean, dtype=np.float64
    )


def _closed(body: Float64[np.ndarray, "rows columns 3"]) -> Int32[np.ndarray, "faces 3"]:
    """Faces of body, top and root, turning counter-clockwise seen from outside the body."""
    rows, columns = body.shape[:2]
    top, root = rows * columns, rows * columns + 1
    ring = np.arange(columns, dtype=np.int32)
    last = (rows - 1) * columns + ring
    return np.concatenate(
        [grid_faces(body), fan_faces(top, ring), fan_faces(root, last)[:, ::-1]]
    ).astype(np.int32)


def _tints(
    polyp: Polyp, up: Float64[np.ndarray, "rows"], columns: int
) -> Float32[np.ndarray, "vertices 3"]:
    """The polyp's own colour, fading to the wall's at its foot and along a stalk."""
    own = np.clip((up - 0.55 * polyp.stalk_mm) / 1.2, 0.0, 1.0)[:, None]
    rows = own * polyp.tint + (1 - own)
    tint = np.repeat(rows, columns, axis=0)
    return np.concatenate([tint, rows[:1], np.ones((1, 3))]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Ground:
    """Where polyps may grow.

    Attributes:
        wall: Grid of wall points, rows along the axis, columns around it, world frame, mm.
        rows: First row and the one after the last that may carry a polyp.
        axis_mm: Points that must stay free, world frame, mm.
    """

    wall: Float64[np.ndarray, "rows columns 3"]
    rows: tuple[int, int]
    axis_mm: Float64[np.ndarray, "points 3"]


def place_polyp(
    polyp: Polyp, ground: Ground, others: Sequence[Surface], instance: int, rng: np.random.Generator
) -> Surface:
    """Draw a place for a polyp where it leaves the axis free and touches no other.

    A polyp that fits nowhere in a few tries is made smaller until it does.
    """
    axis = cKDTree(ground.axis_mm)
    taken = [cKDTree(other.vertices_mm) for other in others]
    for _ in range(_TRIES):
        body = polyp_surface(polyp, _find_site(ground, rng), instance)
        free = axis.query(body.vertices_mm)[0].min() > _AXIS_MM
        if free and all(tree.query(body.vertices_mm)[0].min() > _APART_MM for tree in taken):
            break
        polyp = replace(polyp, diameter_mm=0.9 * polyp.diameter_mm, stalk_mm=0.8 * polyp.stalk_mm)
    return body


def _find_site(ground: Ground, rng: np.random.Generator) -> Site:
    """Draw a place on the wall, preferring the flattest of a few."""
    rows = rng.integers(*ground.rows, 12)
    columns = rng.integers(0, ground.wall.shape[1], 12)
    sites = [_site(ground.wall, int(i), int(j)) for i, j in zip(rows, columns, strict=True)]
    return min(sites, key=_unevenness)


def _site(wall: Float64[np.ndarray, "rows columns 3"], i: int, j: int) -> Site:
    columns = wall.shape[1]
    along = wall[i + 4] - wall[i - 4]
    around = wall[i, (j + 2) % columns][None] - wall[i, (j - 2) % columns][None]
    along = along[j]
    normal = unit(np.cross(along, around[0]))
    return Site(
        wall=wall,
        row=i,
        column=j,
        row_mm=float(np.linalg.norm(along)) / 8,
        column_mm=float(np.linalg.norm(around)) / 4,
        normal=normal,
        along=unit(along),
    )


def _unevenness(site: Site) -> float:
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = site.point(3.0 * np.cos(turn), 3.0 * np.sin(turn)) - site.wall[site.row, site.column]
    return float(np.abs(ring @ site.normal).max())

# SPDX-License-Identifier: Apache-2.0
"""A colon drawn from rules: `sample_colon` draws it, `shape_colon` is a pure function of the draw.

The axis comes from `route`, the wall's folds and pouches from `folds`, the polyps from `polyps`;
here they become one labelled mesh with its centre line. The two ends are closed by domes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from endoforge.distributions import draw
from endoforge.scene.anatomy.curves import transport_frames, unit
from endoforge.scene.anatomy.folds import (
    Folds,
    Taeniae,
    WallShape,
    sample_folds,
    sample_taeniae,
    wall_shape,
)
from endoforge.scene.anatomy.polyps import Ground, Polyp, place_polyp, sample_polyps
from endoforge.scene.anatomy.route import Route, sample_route
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.anatomy.surfaces import (
    fan_faces,
    grid_faces,
    join,
    vertex_normals,
    wall_distance,
)
from endoforge.scene.records import Centreline, Surface

WALL_LABEL, FOLD_LABEL = 1, 2

_WAVES = 26


@dataclass(frozen=True, eq=False)
class Waves:
    """Plane waves over the unrolled wall; their sum is its unevenness.

    Attributes:
        around: Periods in one turn about the axis, whole numbers.
        along: Angular frequency along the axis, rad/mm.
        phase: Radians.
    """

    around: Float64[np.ndarray, "waves"]
    along: Float64[np.ndarray, "waves"]
    phase: Float64[np.ndarray, "waves"]

    def at(
        self, way_mm: Float64[np.ndarray, "rows"], angle: Float64[np.ndarray, "columns"]
    ) -> Float64[np.ndarray, "rows columns"]:
        """Their sum on a grid, variance near 1."""
        row = self.along * way_mm[:, None] + self.phase
        column = self.around * angle[:, None]
        total = np.sin(row) @ np.cos(column).T + np.cos(row) @ np.sin(column).T
        return np.asarray(total * np.sqrt(2.0 / len(self.phase)), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class ColonDraw:
    """Everything random about a colon.

    Attributes:
        route: Axis and segments.
        taeniae: The three bands.
        folds: The semilunar folds.
        polyps: The polyps, not yet placed.
        relief: Unevenness of the mucosa.
        relief_mm: Its size.
        blotches: Slow change of colour.
        bulge: Depth of the pouches as a share of the radius.
        site_seed: Where the polyps come to stand.
    """

    route: Route
    taeniae: Taeniae
    folds: Folds
    polyps: tuple[Polyp, ...]
    relief: Waves
    relief_mm: float
    blotches: Waves
    bulge: float
    site_seed: int


def colon(settings: ColonSettings, rng: np.random.Generator) -> tuple[Surface, Centreline]:
    """Draw a colon.

    Args:
        settings: Ranges to draw from, and the mesh spacing.
        rng: Random numbers of this one colon.

    Returns:
        The labelled wall with its polyps, and the centre line from the anus's side to the caecum's.

    Raises:
        SceneError: The settings leave no course without kinks or touching loops.
    """
    return shape_colon(sample_colon(settings, rng), settings)


def sample_colon(settings: ColonSettings, rng: np.random.Generator) -> ColonDraw:
    """Draw everything random about a colon.

    Raises:
        SceneError: The settings leave no course without kinks or touching loops.
    """
    route = sample_route(settings, rng)
    return ColonDraw(
        route=route,
        taeniae=sample_taeniae(settings, rng),
        folds=sample_folds(settings, route, rng),
        polyps=sample_polyps(settings.polyps, rng),
        relief=_sample_waves(rng, (4.0, 15.0)),
        relief_mm=draw(settings.relief_mm, rng),
        blotches=_sample_waves(rng, (12.0, 70.0)),
        bulge=draw(settings.haustral_bulge, rng),
        site_seed=int(rng.integers(2**63)),
    )


def _sample_waves(rng: np.random.Generator, wavelengths_mm: tuple[float, float]) -> Waves:
    low, high = np.log(wavelengths_mm)
    length = np.exp(rng.uniform(low, high, _WAVES))
    direction = rng.uniform(0, 2 * np.pi, _WAVES)
    return Waves(
        around=np.round(2 * np.pi * 20.0 / length * np.cos(direction)),
        along=2 * np.pi / length * np.sin(direction),
        phase=rng.uniform(0, 2 * np.pi, _WAVES),
    )


@dataclass(frozen=True, eq=False)
class _Grid:
    """The unrolled wall: where its rows and columns lie, and how the domes at the ends close.

    Attributes:
        way_mm: Place of each row along the axis.
        close: Multiplies the radius of each row; falls to 0 at the ends.
        angle: Angle of each column.
        dome_mm: Length of each dome.
    """

    way_mm: Float64[np.ndarray, "rows"]
    close: Float64[np.ndarray, "rows"]
    angle: Float64[np.ndarray, "columns"]
    dome_mm: tuple[float, float]


def shape_colon(draw: ColonDraw, settings: ColonSettings) -> tuple[Surface, Centreline]:
    """Turn a drawn colon into a mesh and its centre line; no randomness is left."""
    route = draw.route
    grid = _grid(route, settings)
    radius = np.interp(grid.way_mm, _axis_way(route), route.radius_mm)
    shape = wall_shape(draw.folds, draw.taeniae, grid.way_mm, grid.angle, radius)
    wall = _wall(draw, grid, radius, shape)
    surface = join([_wall_surface(draw, grid, wall, shape), *_polyps(draw, grid, wall)])
    return surface, _centreline(route, grid, surface)


def _axis_way(route: Route) -> Float64[np.ndarray, "points"]:
    return np.linspace(0.0, route.length_mm, len(route.points_mm))


def _grid(route: Route, settings: ColonSettings) -> _Grid:
    """Space rows evenly along the axis and evenly along the domes that close it."""
    step = settings.axial_spacing_mm
    domes = (0.9 * float(route.radius_mm[0]), 0.9 * float(route.radius_mm[-1]))
    ends = []
    for radius in (route.radius_mm[0], route.radius_mm[-1]):
        count = int(np.ceil(0.5 * np.pi * float(radius) / step))
        ends.append((np.arange(count) + 0.5) / count * 0.5 * np.pi)
    straight = route.length_mm - domes[0] - domes[1]
    between = np.linspace(0.0, straight, int(np.ceil(straight / step)) + 1) + domes[0]
    near = domes[0] * (1 - np.cos(ends[0]))
    far = route.length_mm - domes[1] * (1 - np.cos(ends[1][::-1]))
    columns = int(np.ceil(2 * np.pi * 20.0 / settings.around_spacing_mm / 2)) * 2
    return _Grid(
        way_mm=np.concatenate([near, between, far]),
        close=np.concatenate([np.sin(ends[0]), np.ones(len(between)), np.sin(ends[1][::-1])]),
        angle=np.linspace(0, 2 * np.pi, columns, endpoint=False),
        dome_mm=domes,
    )


def _wall(
    draw: ColonDraw, grid: _Grid, radius: Float64[np.ndarray, "rows"], shape: WallShape
) -> Float64[np.ndarray, "rows columns 3"]:
    """World positions of the wall."""
    relief = draw.relief_mm * draw.relief.at(grid.way_mm, grid.angle)
    out = radius[:, None] * (1 + draw.bulge * shape.pouch) - shape.taenia_mm - shape.fold_mm
    out = (out + relief) * grid.close[:, None]
    way = grid.way_mm[:, None] + shape.lean_mm * grid.close[:, None]
    axis, side, up = _axis_at(draw.route, way)
    turned = np.cos(grid.angle)[:, None] * side + np.sin(grid.angle)[:, None] * up
    return np.asarray(axis + out[..., None] * turned, dtype=np.float64)


def _axis_at(
    route: Route, way_mm: Float64[np.ndarray, "rows columns"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axis point and the two directions across it at places along the axis."""
    frames = transport_frames(route.points_mm)
    at = np.clip(way_mm / route.step_mm, 0.0, len(route.points_mm) - 1.001)
    index = at.astype(np.int64)
    share = (at - index)[..., None]
    side, up = (v[index] * (1 - share) + v[index + 1] * share for v in (frames.side, frames.up))
    axis = route.points_mm[index] * (1 - share) + route.points_mm[index + 1] * share
    return axis, unit(side), unit(up)


def _wall_surface(
    draw: ColonDraw, grid: _Grid, wall: Float64[np.ndarray, "rows columns 3"], shape: WallShape
) -> Surface:
    rows, columns = wall.shape[:2]
    poles = np.stack([draw.route.points_mm[0], draw.route.points_mm[-1]])
    vertices = np.concatenate([wall.reshape(-1, 3), poles]).astype(np.float32)
    ring = np.arange(columns, dtype=np.int32)
    faces = np.concatenate(
        [
            grid_faces(wall),
            fan_faces(rows * columns, ring),
            fan_faces(rows * columns + 1, (rows - 1) * columns + ring)[:, ::-1],
        ]
    ).astype(np.int32)
    return Surface(
        vertices_mm=vertices,
        faces=faces,
        normals=vertex_normals(vertices, faces),
        tint=_tint(draw, grid, shape),
        face_label=_labels(shape),
        face_instance=np.zeros(len(faces), np.uint16),
    )


def _labels(shape: WallShape) -> UInt8[np.ndarray, "faces"]:
    """A cell belongs to a fold where the wall stands 1.5 mm or more into the lumen for it."""
    cell_mm, crest = _at_cells(shape.fold_mm), _at_cells(shape.crest)
    label = np.where((cell_mm > 1.5) & (crest > 0.2), FOLD_LABEL, WALL_LABEL).ravel()
    poles = np.full(2 * shape.fold_mm.shape[1], WALL_LABEL)
    return np.concatenate([label, label, poles]).astype(np.uint8)


def _at_cells(values: Float64[np.ndarray, "rows columns"]) -> Float64[np.ndarray, "cells columns"]:
    """Mean over each grid cell's four corners, in the order of `grid_faces`."""
    pairs = values[:-1] + values[1:]
    return np.asarray((pairs + np.roll(pairs, -1, axis=1)) / 4, dtype=np.float64)


def _tint(draw: ColonDraw, grid: _Grid, shape: WallShape) -> Float32[np.ndarray, "vertices 3"]:
    """Free edges are paler, pouches redder, and everything changes slowly from place to place."""
    blotch = draw.blotches.at(grid.way_mm, grid.angle)
    edge = shape.crest**2 * np.clip(shape.fold_mm / 3.0, 0, 1)
    light = 1.0 + 0.045 * blotch + 0.05 * edge - 0.05 * shape.pouch
    pale = 0.07 * edge - 0.05 * shape.pouch - 0.03 * blotch
    tint = np.stack([light, light * (1 + pale), light * (1 + 0.9 * pale)], axis=-1)
    tint = np.concatenate([tint.reshape(-1, 3), np.ones((2, 3))])
    return np.clip(tint, 0.6, 1.4).astype(np.float32)


def _polyps(
    draw: ColonDraw, grid: _Grid, wall: Float64[np.ndarray, "rows columns 3"]
) -> list[Surface]:
    """Put each polyp on the wall, clear of the domes, of the axis and of the others."""
    rng = np.random.default_rng(draw.site_seed)
    length = draw.route.length_mm
    clear = np.searchsorted(grid.way_mm, [2 * grid.dome_mm[0], length - 2 * grid.dome_mm[1]])
    ground = Ground(wall, (int(clear[0]), int(clear[1])), draw.route.points_mm)
    bodies: list[Surface] = []
    for instance, polyp in enumerate(draw.polyps, start=1):
        bodies.append(place_polyp(polyp, ground, bodies, instance, rng))
    return bodies


def _centreline(route: Route, grid: _Grid, surface: Surface) -> Centreline:
    """The axis without the domes, with its distance to the nearest wall or polyp."""
    way = _axis_way(route)
    inside = (way >= grid.dome_mm[0]) & (way <= route.length_mm - grid.dome_mm[1])
    points = route.points_mm[inside][::2]
    return Centreline(
        points_mm=points, radius_mm=wall_distance(surface.vertices_mm, surface.faces, points)
    )

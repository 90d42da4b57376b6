# SPDX-License-Identifier: Apache-2.0
"""A colon drawn from rules: `sample_colon` draws it, `shape_colon` is a pure function of the draw.

The axis comes from `route`, the wall's folds and pouches from `folds`, its closed end from
`caecum`, what is found in it from `findings`; here they become one labelled mesh with its centre
line.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import draw
from endoforge.scene.anatomy.bodies import grid_ground, site_on_grid
from endoforge.scene.anatomy.caecum import (
    APPENDIX_LABEL,
    Caecum,
    pole_shape,
    sample_caecum,
    valve_folds,
    valve_surface,
)
from endoforge.scene.anatomy.findings import (
    Bare,
    Findings,
    Found,
    sample_findings,
    up_of,
    with_findings,
)
from endoforge.scene.anatomy.folds import (
    Folds,
    Taeniae,
    WallShape,
    houston_valves,
    sample_folds,
    sample_taeniae,
    wall_shape,
    with_lone_folds,
)
from endoforge.scene.anatomy.route import Route, sample_route
from endoforge.scene.anatomy.segments import profile_at
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.anatomy.surfaces import wall_distance
from endoforge.scene.anatomy.wall import (
    Grid,
    Waves,
    axis_at,
    sample_waves,
    wall_grid,
    wall_labels,
    wall_surface,
    wall_tint,
)
from endoforge.scene.records import Centreline, Surface

_LEFT = np.array([1.0, 0.0, 0.0])
_APPENDIX, _VALVE = 1, 2  # object numbers in a piece that has them


@dataclass(frozen=True, eq=False)
class ColonDraw:
    """Everything random about a colon.

    Attributes:
        route: Axis and segments.
        taeniae: The three bands.
        folds: The semilunar folds, the rectum's and the valve's.
        caecum: The closed end, if the piece reaches it.
        findings: Polyps, pouches, fluid, stool and stains, not yet placed.
        relief: Unevenness of the mucosa.
        relief_mm: Its size.
        blotches: Slow change of colour.
        bulge: Depth of the pouches as a share of the radius.
    """

    route: Route
    taeniae: Taeniae
    folds: Folds
    caecum: Caecum | None
    findings: Findings
    relief: Waves
    relief_mm: float
    blotches: Waves
    bulge: float


def colon(settings: ColonSettings, rng: np.random.Generator) -> tuple[Surface, Centreline]:
    """Draw a colon.

    Args:
        settings: Ranges to draw from, and the mesh spacing.
        rng: Random numbers of this one colon.

    Returns:
        The labelled wall with all that is found on it, and the centre line from the anus's side to
        the caecum's.

    Raises:
        SceneError: The settings leave no course without kinks or touching loops.
    """
    found, centreline = shape_colon(sample_colon(settings, rng), settings)
    return found.surface, centreline


def sample_colon(
    settings: ColonSettings, rng: np.random.Generator, route: Route | None = None
) -> ColonDraw:
    """Draw everything random about a colon.

    Args:
        settings: Ranges to draw from.
        rng: Random numbers.
        route: Its axis; drawn if None.

    Raises:
        SceneError: The settings leave no course without kinks or touching loops.
    """
    route = route or sample_route(settings, rng)
    caecum = sample_caecum(settings, route, rng) if route.to_caecum else None
    lone = houston_valves(settings, route, route.angle_of(_LEFT, 0.0), rng)
    lone += [] if caecum is None else valve_folds(caecum)
    return ColonDraw(
        route=route,
        taeniae=sample_taeniae(settings, rng),
        folds=with_lone_folds(sample_folds(settings, route, rng), lone, rng),
        caecum=caecum,
        findings=sample_findings(settings, rng),
        relief=sample_waves(rng, (4.0, 15.0)),
        relief_mm=draw(settings.relief_mm, rng),
        blotches=sample_waves(rng, (12.0, 70.0)),
        bulge=draw(settings.haustral_bulge, rng),
    )


def shape_colon(draw: ColonDraw, settings: ColonSettings) -> tuple[Found, Centreline]:
    """Turn a drawn colon into a mesh and its centre line; no randomness is left."""
    grid = wall_grid(draw.route, draw.caecum, settings)
    radius = np.interp(grid.way_mm, draw.route.way_mm, draw.route.radius_mm)
    shape = wall_shape(draw.folds, draw.taeniae, grid.way_mm, grid.angle, radius)
    wall = _wall(draw, grid, radius, shape)
    tint = wall_tint(draw.blotches.at(grid.way_mm, grid.angle), grid, shape)
    surface = wall_surface(wall, tint, wall_labels(shape, grid))
    surface.face_instance[surface.face_label == APPENDIX_LABEL] = _APPENDIX
    found = with_findings(draw.findings, _bare(draw, grid, wall, surface))
    return found, _centreline(draw.route, grid, found.surface)


def _wall(
    draw: ColonDraw, grid: Grid, radius: Float64[np.ndarray, "rows"], shape: WallShape
) -> Float64[np.ndarray, "rows columns 3"]:
    """World positions of the wall."""
    profile = profile_at(np.interp(grid.way_mm, draw.route.way_mm, draw.route.place))
    bulge = (draw.bulge * profile.pouch)[:, None]
    out = radius[:, None] * (1 + bulge * shape.pouch) - shape.fold_mm
    out -= profile.taenia[:, None] * shape.taenia_mm
    out = (out + draw.relief_mm * draw.relief.at(grid.way_mm, grid.angle)) * grid.close[:, None]
    way = grid.way_mm[:, None] + shape.lean_mm * grid.close[:, None]
    turned = np.stack(np.broadcast_arrays(np.cos(grid.angle), np.sin(grid.angle)), axis=-1)
    across = out[..., None] * turned
    if draw.caecum is not None:
        across, way = _closed_end(draw, grid, across, way)
    axis, side, up = axis_at(draw.route, way)
    return np.asarray(axis + across[..., :1] * side + across[..., 1:] * up, dtype=np.float64)


def _closed_end(
    draw: ColonDraw,
    grid: Grid,
    across: Float64[np.ndarray, "rows columns 2"],
    way: Float64[np.ndarray, "rows columns"],
) -> tuple[np.ndarray, np.ndarray]:
    """Give the caecum's dome its fold, its pouches and the appendix."""
    assert draw.caecum is not None
    first = int(np.searchsorted(grid.way_mm, draw.route.length_mm - grid.dome_mm[1]))
    close = grid.close[first:]
    radius = float(draw.route.radius_mm[-1])
    bands = draw.taeniae.angles(grid.way_mm[first:])
    pole = pole_shape(draw.caecum, bands, radius * close, grid.angle, radius)
    sine = np.where(np.arange(len(close)) + first < grid.pit, close, 0.0)[:, None]
    unit = across[first:] / np.maximum(np.linalg.norm(across[first:], axis=-1), 1e-9)[..., None]
    bent = across[first:] - (pole.inwards_mm * sine)[..., None] * unit
    across, way = across.copy(), way.copy()
    across[first:] = np.einsum("rij,rcj->rci", pole.across, bent) + pole.aside_mm[:, None]
    way[first:] -= pole.inwards_mm * np.sqrt(1 - sine**2)
    return across, way


def _bare(
    draw: ColonDraw, grid: Grid, wall: Float64[np.ndarray, "rows columns 3"], surface: Surface
) -> Bare:
    """The wall with its valve, and the rows between the domes on which something may grow."""
    length = draw.route.length_mm
    ends = 2 * grid.dome_mm[0], length - (1.0 if draw.caecum else 2.0) * grid.dome_mm[1]
    rows = np.searchsorted(grid.way_mm, ends)
    bodies: tuple[Surface, ...] = ()
    if draw.caecum is not None:
        row = int(np.searchsorted(grid.way_mm, draw.caecum.valve_mm))
        turn = 2 * np.pi / len(grid.angle)
        site = site_on_grid(wall, row, round(draw.caecum.valve_rad / turn) % len(grid.angle))
        bodies = (valve_surface(draw.caecum, site, 0, _VALVE),)
    return Bare(
        surface=surface,
        ground=grid_ground(wall, (int(rows[0]), int(rows[1])), draw.route.points_mm),
        bodies=bodies,
        up=up_of(draw.findings.position),
        next_instance=1 if draw.caecum is None else 3,
    )


def _centreline(route: Route, grid: Grid, surface: Surface) -> Centreline:
    """The axis without the domes, with its distance to the nearest wall or body."""
    way = route.way_mm
    inside = (way >= grid.dome_mm[0]) & (way <= route.length_mm - grid.dome_mm[1])
    points = route.points_mm[inside][::2]
    return Centreline(
        points_mm=points, radius_mm=wall_distance(surface.vertices_mm, surface.faces, points)
    )

# SPDX-License-Identifier: Apache-2.0
"""Taeniae, semilunar folds and haustra: the shape of a drawn colon's wall around its axis.

Three taeniae run along the colon. Between each two stands a row of folds, crescents with a sharp
free edge that reach from one taenia to the next and not around; between folds the wall bulges. Some
folds stand alone: the valves of Houston in the rectum and the fold of the ileocaecal valve.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float64, Int64

from endoforge.distributions import draw, draw_count
from endoforge.scene.anatomy.route import Route
from endoforge.scene.anatomy.segments import profile_at
from endoforge.scene.anatomy.settings import ColonSettings

_EDGE_MM = 0.7  # rounding of a fold's free edge
_TALL_MM = 5.5  # folds above this are thicker in proportion
_REACH = 9.0  # flank widths after which a fold has ended


@dataclass(frozen=True, eq=False)
class Taeniae:
    """The three bands; angles are about the axis, radians.

    Attributes:
        angle: Angle of each band where the piece begins.
        twist: Turn of all bands along the colon, rad/mm.
        wave_mm: Length of each band's own wandering.
        wave_phase: Where each band's wandering begins.
        width_mm: Width of a band.
        relief_mm: How far it stands into the lumen.
    """

    angle: Float64[np.ndarray, "3"]
    twist: float
    wave_mm: Float64[np.ndarray, "3"]
    wave_phase: Float64[np.ndarray, "3"]
    width_mm: float
    relief_mm: float

    def angles(self, way_mm: Float64[np.ndarray, "rows"]) -> Float64[np.ndarray, "rows 3"]:
        """Angle of each band at places along the axis, in rising order, radians."""
        wander = 0.13 * np.sin(2 * np.pi * way_mm[:, None] / self.wave_mm + self.wave_phase)
        return np.asarray(self.angle + self.twist * way_mm[:, None] + wander, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Folds:
    """Semilunar folds, one entry each, ordered along the axis.

    Attributes:
        row: Which of the three rows between taeniae it stands in; from 3 on a row of its own.
        at_mm: Place of its middle along the axis.
        height: Free edge above the wall as a share of the radius.
        middle: Where its middle lies between the taeniae, -1 to 1.
        reach: Half its extent; 1 ends at the taeniae.
        tilt_mm: How much further along the axis one end stands than the other, half of it.
        bow_mm: How far its middle runs ahead of its ends.
        flank_mm: Width of the flank towards the anus and towards the caecum.
        lean: Way along the axis that the free edge hangs over, per mm of height.
        fullness: Shape of the crescent: small is boxy, large is pointed.
        notch: Phase of the free edge's waviness.
        lone_rad: Angle about the axis of the middle of each lone row, those from the fourth on.
        lone_half_rad: Half the angle that each lone row takes up.
    """

    row: Int64[np.ndarray, "folds"]
    at_mm: Float64[np.ndarray, "folds"]
    height: Float64[np.ndarray, "folds"]
    middle: Float64[np.ndarray, "folds"]
    reach: Float64[np.ndarray, "folds"]
    tilt_mm: Float64[np.ndarray, "folds"]
    bow_mm: Float64[np.ndarray, "folds"]
    flank_mm: Float64[np.ndarray, "folds 2"]
    lean: Float64[np.ndarray, "folds"]
    fullness: Float64[np.ndarray, "folds"]
    notch: Float64[np.ndarray, "folds"]
    lone_rad: Float64[np.ndarray, "lone"]
    lone_half_rad: Float64[np.ndarray, "lone"]


@dataclass(frozen=True)
class LoneFold:
    """One fold that stands in no row.

    Attributes:
        at_mm: Place of its middle along the axis.
        angle: Of its middle about the axis, radians.
        half_rad: Half the angle that it takes up.
        height: Free edge above the wall as a share of the radius.
        flank_mm: Width of its flanks.
    """

    at_mm: float
    angle: float
    half_rad: float
    height: float
    flank_mm: float


@dataclass(frozen=True, eq=False)
class WallShape:
    """What stands on or bulges from the wall at each place of a grid, rows along the axis.

    Attributes:
        fold_mm: How far folds stand into the lumen.
        crest: The same as a share of the fold's own free edge, 0 to 1.
        lean_mm: Way along the axis by which the wall hangs over.
        pouch: How far from the next fold and taenia, 0 to 1.
        taenia_mm: How far a taenia stands into the lumen.
    """

    fold_mm: Float64[np.ndarray, "rows columns"]
    crest: Float64[np.ndarray, "rows columns"]
    lean_mm: Float64[np.ndarray, "rows columns"]
    pouch: Float64[np.ndarray, "rows columns"]
    taenia_mm: Float64[np.ndarray, "rows columns"]


def sample_taeniae(settings: ColonSettings, rng: np.random.Generator) -> Taeniae:
    """Draw how the three bands run."""
    return Taeniae(
        angle=rng.uniform(0, 2 * np.pi)
        + np.arange(3) * 2 * np.pi / 3
        + rng.uniform(-0.14, 0.14, 3),
        twist=float(rng.uniform(-0.0022, 0.0022)),
        wave_mm=rng.uniform(110.0, 260.0, 3),
        wave_phase=rng.uniform(0, 2 * np.pi, 3),
        width_mm=draw(settings.taenia_width_mm, rng),
        relief_mm=draw(settings.taenia_relief_mm, rng),
    )


def sample_folds(settings: ColonSettings, route: Route, rng: np.random.Generator) -> Folds:
    """Draw the three rows of folds; the more triangular the segment, the more they keep step."""
    row, at, small = _places(settings, route, rng)
    count = len(at)
    wall = profile_at(np.interp(at, route.way_mm, route.place))
    height = draw(settings.fold_height, rng) * wall.fold_height
    thickness = draw(settings.fold_thickness_mm, rng)
    return Folds(
        row=row,
        at_mm=at,
        height=height * rng.uniform(0.72, 1.18, count) * np.where(small, 0.5, 1.0),
        middle=rng.uniform(-0.16, 0.16, count) + np.where(small, rng.uniform(-0.4, 0.4, count), 0),
        reach=rng.uniform(0.92, 1.22, count) * np.where(small, 0.55, 1.0),
        tilt_mm=rng.normal(0.0, 2.6, count),
        bow_mm=rng.normal(0.0, 1.8, count),
        flank_mm=thickness * rng.uniform(0.75, 1.35, (count, 2)),
        lean=rng.normal(0.0, 0.16, count),
        fullness=rng.uniform(0.65, 1.15, count),
        notch=rng.uniform(0, 2 * np.pi, count),
        lone_rad=np.empty(0),
        lone_half_rad=np.empty(0),
    )


def with_lone_folds(folds: Folds, lone: Sequence[LoneFold], rng: np.random.Generator) -> Folds:
    """Add folds that stand in no row; they are blunter and keep to their place."""
    count = len(lone)
    added = Folds(
        row=np.arange(3, 3 + count),
        at_mm=np.array([fold.at_mm for fold in lone], dtype=np.float64),
        height=np.array([fold.height for fold in lone], dtype=np.float64),
        middle=np.zeros(count),
        reach=np.ones(count),
        tilt_mm=rng.normal(0.0, 2.0, count),
        bow_mm=rng.normal(0.0, 1.5, count),
        flank_mm=np.array([fold.flank_mm for fold in lone])[:, None]
        * rng.uniform(0.8, 1.25, (count, 2)),
        lean=rng.normal(0.0, 0.12, count),
        fullness=rng.uniform(0.55, 0.85, count),
        notch=rng.uniform(0, 2 * np.pi, count),
        lone_rad=np.array([fold.angle for fold in lone], dtype=np.float64),
        lone_half_rad=np.array([fold.half_rad for fold in lone], dtype=np.float64),
    )
    names = [field.name for field in fields(Folds)]
    return Folds(**{n: np.concatenate([getattr(folds, n), getattr(added, n)]) for n in names})


def houston_valves(
    settings: ColonSettings, route: Route, left_rad: float, rng: np.random.Generator
) -> list[LoneFold]:
    """Draw the transverse folds of the rectum: left, right, left from below, if the piece has one.

    Args:
        settings: How many.
        route: The piece.
        left_rad: Angle about the axis of the patient's left.
        rng: Random numbers.

    Source:
        Gray's Anatomy: about 12 mm wide, usually three, two to four; the middle one about 8 cm and
        the lowest about 5 cm above the anus.
    """
    count = draw_count(settings.houston_valves, rng)
    above = np.array([0.034, 0.055, 0.078, 0.096, 0.02, 0.066])[:count]
    above = above + rng.normal(0.0, 0.003, count)
    sides = left_rad + np.arange(count) * np.pi + rng.normal(0.0, 0.35, count)
    half, height = rng.uniform(1.3, 1.9, count), rng.uniform(0.42, 0.6, count)
    flank = rng.uniform(1.8, 2.8, count)
    valves = [
        LoneFold(float(np.interp(p, route.place, route.way_mm)), *map(float, rest))
        for p, *rest in zip(above, sides, half, height, flank, strict=True)
        if route.place[0] <= p <= route.place[-1]
    ]
    return sorted(valves, key=lambda valve: valve.at_mm)


def _places(
    settings: ColonSettings, route: Route, rng: np.random.Generator
) -> tuple[Int64[np.ndarray, "folds"], Float64[np.ndarray, "folds"], np.ndarray]:
    """Draw row and place of each fold, and whether it is a small one between two others."""
    low, high = settings.fold_spacing_mm
    wall = profile_at(route.place)
    start, out = float(rng.uniform(0, high)), []
    while start < route.length_mm:
        index = min(int(start / route.step_mm), len(route.points_mm) - 1)
        step = rng.uniform(low, high) * wall.fold_spacing[index]
        phases = (np.arange(3) / 3.0 - 1 / 3.0) * (1.0 - 0.72 * wall.triangle[index])
        phases = rng.permutation(phases) + rng.normal(0.0, 0.07, 3)
        for row in range(3):
            if rng.random() < 0.94:
                out.append((row, start + step * phases[row], False))
            if step > 20.0 and rng.random() < 0.16:
                out.append((row, start + step * (phases[row] + rng.uniform(0.35, 0.65)), True))
        start += step
    out.sort(key=lambda fold: fold[1])
    rows, at, small = zip(*out, strict=True) if out else ((), (), ())
    return np.array(rows, dtype=np.int64), np.array(at, dtype=np.float64), np.array(small, bool)


def wall_shape(
    folds: Folds,
    taeniae: Taeniae,
    way_mm: Float64[np.ndarray, "rows"],
    angle: Float64[np.ndarray, "columns"],
    radius_mm: Float64[np.ndarray, "rows"],
) -> WallShape:
    """Work out the wall's shape on a grid.

    Args:
        folds: The folds.
        taeniae: The bands between the rows of folds.
        way_mm: Place of each row of the grid along the axis, rising, mm.
        angle: Angle of each column about the axis, radians.
        radius_mm: Radius of the lumen at each row, mm.
    """
    shape = (len(way_mm), len(angle))
    bands = taeniae.angles(way_mm)
    upper = np.concatenate([bands[:, 1:], bands[:, :1] + 2 * np.pi], axis=1)
    middle, half = (bands + upper) / 2, (upper - bands) / 2
    across = _wrapped(angle[None, None, :] - middle.T[:, :, None]) / half.T[:, :, None]
    fold, crest = np.zeros(shape), np.zeros(shape)
    lean, weight = np.zeros(shape), np.full(shape, 1e-9)
    nearest = np.full((3, *shape), 1e3)
    for i in range(len(folds.at_mm)):
        rows, row = _rows_near(folds, i, way_mm), int(folds.row[i])
        u = across[row, rows] if row < 3 else _across_lone(folds, row - 3, angle)
        rise, share, gap = _fold(folds, i, u, way_mm[rows], radius_mm[rows])
        lean[rows] += folds.lean[i] * rise * rise**2
        weight[rows] += rise**2
        crest[rows] = np.where(rise > fold[rows], share, crest[rows])
        fold[rows] = np.maximum(fold[rows], rise)
        if row < 3:
            nearest[row, rows] = np.minimum(nearest[row, rows], gap)
    own = np.abs(across) <= 1.0
    gap = np.where(own, nearest, 0.0).sum(axis=0) / np.maximum(own.sum(axis=0), 1)
    u = np.where(own, across, 0.0).sum(axis=0)
    pouch = (1.0 - np.exp(-((gap / 8.0) ** 2))) * np.cos(0.5 * np.pi * u) ** 0.8
    edge = (1.0 - np.abs(u)) * half.mean() * radius_mm[:, None]
    band = taeniae.relief_mm * np.exp(-((edge / (0.5 * taeniae.width_mm)) ** 2))
    return WallShape(fold, crest, lean / weight, pouch, band)


def _across_lone(
    folds: Folds, lone: int, angle: Float64[np.ndarray, "columns"]
) -> Float64[np.ndarray, "1 columns"]:
    return np.asarray(_wrapped(angle - folds.lone_rad[lone]) / folds.lone_half_rad[lone])[None]


def _fold(
    folds: Folds,
    i: int,
    across: Float64[np.ndarray, "#rows columns"],
    way_mm: Float64[np.ndarray, "rows"],
    radius_mm: Float64[np.ndarray, "rows"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One fold: its rise in mm, its rise as a share of its free edge, distance to its ridge."""
    u = (across - folds.middle[i]) / folds.reach[i]
    inside = np.clip(1.0 - u**2, 0.0, None)
    wavy = 1.0 + 0.07 * np.sin(4.0 * u + folds.notch[i]) + 0.04 * np.sin(9.0 * u - folds.notch[i])
    free_edge = folds.height[i] * radius_mm[:, None] * wavy * inside ** folds.fullness[i]
    ridge = folds.at_mm[i] + folds.tilt_mm[i] * u + folds.bow_mm[i] * (1 - u**2)
    ridge = ridge + 0.5 * np.sin(5.0 * u + 2.0 * folds.notch[i])
    along = way_mm[:, None] - ridge
    flank = np.where(along < 0, folds.flank_mm[i, 0], folds.flank_mm[i, 1])
    stout = max(1.0, float(folds.height[i] * radius_mm.mean()) / _TALL_MM) ** 0.8
    flank = stout * flank * (1.0 + 0.9 * (1.0 - inside))  # thicker towards its ends
    edge = stout * _EDGE_MM
    share = np.exp(-(np.sqrt(along**2 + edge**2) - edge) / flank)
    return free_edge * share, share, np.abs(along)


def _rows_near(folds: Folds, i: int, way_mm: Float64[np.ndarray, "rows"]) -> slice:
    reach = 12.0 + 2 * abs(folds.tilt_mm[i]) + abs(folds.bow_mm[i])
    reach += 1.5 * _REACH * float(folds.flank_mm[i].max())
    first, last = np.searchsorted(way_mm, [folds.at_mm[i] - reach, folds.at_mm[i] + reach])
    return slice(int(first), int(last))


def _wrapped(angle: np.ndarray) -> np.ndarray:
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)

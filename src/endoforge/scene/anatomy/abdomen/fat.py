# SPDX-License-Identifier: Apache-2.0
"""Fat: the bed behind the organs, and the greater omentum that drapes over the bowel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from endoforge.distributions import draw, draw_count
from endoforge.scene.anatomy.abdomen.organs import Organ, organ_from, shifted_along_normals, tinted
from endoforge.scene.anatomy.abdomen.relief import lobules, smooth_noise
from endoforge.scene.anatomy.abdomen.settings import FatSettings
from endoforge.scene.anatomy.abdomen.volumes import (
    FAR_MM,
    Grid,
    Volume,
    grid_over,
    kept_inside,
    smooth_max,
    smooth_min,
    tube_volume,
)

FAT_LABEL = 4

_KNOWN_MM = 19.0  # bodies know their distances this far out


@dataclass(frozen=True)
class Fat:
    """Measures of the fat of one abdomen.

    Attributes:
        thickness_mm: Of the omentum.
        reach: How much of the bowel it covers, 0 to 1.
        lobule_mm: Width of its lobules.
        bands: Adhesions: for each, where it is stuck and where it begins, shares from 0 to 1.
        seed: Unevenness.
    """

    thickness_mm: float
    reach: float
    lobule_mm: float
    bands: tuple[tuple[float, float], ...]
    seed: int


def sample_fat(settings: FatSettings, rng: np.random.Generator) -> Fat:
    """Draw the fat of one abdomen."""
    return Fat(
        thickness_mm=9.0 * draw(settings.amount, rng),
        reach=draw(settings.reach, rng),
        lobule_mm=draw(settings.lobule_mm, rng),
        bands=tuple(
            (float(rng.uniform()), float(rng.uniform()))
            for _ in range(draw_count(settings.adhesions, rng))
        ),
        seed=int(rng.integers(2**31)),
    )


def bed_volume(room: Volume, fat: Fat, step_mm: float) -> Volume:
    """What lies behind the organs, covered by peritoneum: fat and kidneys under a wavy floor."""
    low = room.grid.origin_mm
    high = room.grid.high_mm.copy()
    high[1] = 20.0
    grid = grid_over(low, high, step_mm)
    x, y, z = grid.axes()
    front = -44.0 + 22.0 * _rise((-z - 20.0) / 50.0) + 12.0 * np.exp(-((x / 45.0) ** 2))
    front = front + 4.0 * np.sin(x / 23.0 + fat.seed % 7) * np.cos(z / 27.0 + fat.seed % 5)
    kidney = 14.0 * np.exp(-(((np.abs(x) - 62.0) / 26.0) ** 2) - ((z + 18.0) / 42.0) ** 2)
    values = 0.85 * (y - (front + kidney))
    body = Volume(grid, np.clip(values, -FAR_MM, FAR_MM).astype(np.float32))
    return kept_inside(body, room, 0.4, 12.0)


def _rise(t: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    t = np.clip(t, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def omentum_volume(fat: Fat, room: Volume, under: Sequence[Volume], step_mm: float) -> Volume:
    """An apron over whatever lies under it, thinning out towards its rim."""
    grid = grid_over((-125.0, -35.0, room.grid.origin_mm[2]), (125.0, 70.0, -35.0), step_mm)
    ground = np.full(grid.shape, np.float32(FAR_MM))
    nearest = ground
    for body in under:
        values = body.on(grid)
        ground, nearest = smooth_min(ground, values, 14.0), np.minimum(nearest, values)
    ground = np.where(nearest < _KNOWN_MM, ground, np.float32(FAR_MM))
    values = ground - np.minimum(_thickness(fat, grid), np.float32(0.8 * _KNOWN_MM))
    behind = -22.0 - grid.axes()[1]  # nothing hangs behind the organs
    values = smooth_max(values, np.broadcast_to(behind, values.shape), 6.0)
    body = Volume(grid, np.clip(values, -FAR_MM, FAR_MM).astype(np.float32))
    return kept_inside(body, room, 2.0, 8.0)


def with_bands(
    apron: Volume, fat: Fat, stuck_mm: Float[np.ndarray, "points 3"], step_mm: float
) -> Volume:
    """Draw the apron up to what it is stuck to, in bands that widen at both ends.

    Args:
        apron: The omentum.
        fat: Says how many bands and where along the organ.
        stuck_mm: Points on the organ that it is stuck to.
        step_mm: Of the grid.
    """
    grid, values = apron.grid, apron.values
    for place, begin in fat.bands:
        end = stuck_mm[int(place * (len(stuck_mm) - 1))]
        start = np.array([end[0] - 30.0 + 50.0 * begin, -6.0, -78.0 - 12.0 * begin])
        share = np.linspace(0.0, 1.0, 60)[:, None]
        axis = (1 - share) * start + share * end
        axis[:, 1] -= 8.0 * np.sin(np.pi * share[:, 0])  # it hangs through
        uneven = 1 + 0.35 * np.sin(9.0 * share[:, 0] + 20.0 * place)
        radius = (1.8 + 8.0 * (2 * share[:, 0] - 1) ** 4) * uneven
        band = tube_volume(axis, radius, 0.75 * step_mm, 10.0)
        grid, values = _merged(Volume(grid, values), band)
    return Volume(grid, values)


def _merged(one: Volume, two: Volume) -> tuple[Grid, Float32[np.ndarray, "i j k"]]:
    """Both bodies, drawn together where they meet, on a grid that holds both."""
    low = np.minimum(one.grid.origin_mm, two.grid.origin_mm)
    high = np.maximum(one.grid.high_mm, two.grid.high_mm)
    grid = grid_over(low, high, one.grid.step_mm)
    here, there = one.on(grid), two.on(grid)
    joined = np.where(there < _KNOWN_MM, smooth_min(here, there, 12.0), here)
    return grid, joined.astype(np.float32)


def _thickness(fat: Fat, grid: Grid) -> Float32[np.ndarray, "i 1 k"]:
    """Of the apron over each place of the floor; below 0 beyond its rim."""
    x, _, z = grid.axes()
    rim = 0.18 * np.sin(x / 19.0 + fat.seed % 11) + 0.12 * np.sin(x / 8.3 + fat.seed % 3)
    lower = -118.0 - 110.0 * fat.reach * (1 + rim)
    side = 68.0 + 45.0 * fat.reach + 10.0 * np.sin(z / 21.0 + fat.seed % 13)
    inside = np.minimum((z - lower) / 22.0, (side - np.abs(x)) / 18.0)
    inside = np.minimum(inside, (-52.0 - z + 0.10 * np.abs(x)) / 16.0)
    folds = 1.0 + 0.35 * np.sin(x / 13.0 + 2.0 * np.sin(z / 25.0 + fat.seed % 17))
    thick = fat.thickness_mm * folds * np.clip(inside, 0.0, 1.0) - 4.0 * np.clip(0.2 - inside, 0, 1)
    return np.asarray(thick, dtype=np.float32)


def fat_organ(name: str, fat: Fat, body: Volume, lobulated: float) -> Organ:
    """A piece of fat with furrows between its lobules.

    Args:
        name: The piece.
        fat: Measures.
        body: The piece.
        lobulated: Depth of the furrows, 1 about a sixth of a lobule's width.
    """
    organ = organ_from(name, FAT_LABEL, "fat", body, smoothing=4)
    points = organ.vertices_mm
    warped = points + 2.5 * np.stack(
        [smooth_noise(points, 14.0, fat.seed + 20 + k) for k in range(3)], axis=1
    )
    height, own = lobules(warped, fat.lobule_mm, fat.seed)
    sunk = lobulated * (0.16 * fat.lobule_mm * (1.0 - height))
    organ = shifted_along_normals(organ, -sunk)
    light = 0.06 * own + 0.05 * smooth_noise(points, 30.0, fat.seed + 3)
    return tinted(organ, light - 0.16 * lobulated * (1.0 - height), warm=0.02)

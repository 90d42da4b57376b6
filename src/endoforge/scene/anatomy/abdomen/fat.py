# SPDX-License-Identifier: Apache-2.0
"""Fat: the bed behind the organs, and the greater omentum that drapes over the bowel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from endoforge.distributions import draw
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
)

FAT_LABEL = 4


@dataclass(frozen=True)
class Fat:
    """Measures of the fat of one abdomen.

    Attributes:
        thickness_mm: Of the omentum.
        reach: How much of the bowel it covers, 0 to 1.
        lobule_mm: Width of its lobules.
        seed: Unevenness.
    """

    thickness_mm: float
    reach: float
    lobule_mm: float
    seed: int


def sample_fat(settings: FatSettings, rng: np.random.Generator) -> Fat:
    """Draw the fat of one abdomen."""
    return Fat(
        thickness_mm=12.0 * draw(settings.amount, rng),
        reach=draw(settings.reach, rng),
        lobule_mm=draw(settings.lobule_mm, rng),
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
    for body in under:
        ground = smooth_min(ground, body.on(grid), 18.0)
    values = ground - _thickness(fat, grid)
    behind = -22.0 - grid.axes()[1]  # nothing hangs behind the organs
    values = smooth_max(values, np.broadcast_to(behind, values.shape), 6.0)
    body = Volume(grid, np.clip(values, -FAR_MM, FAR_MM).astype(np.float32))
    return kept_inside(body, room, 2.0, 8.0)


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

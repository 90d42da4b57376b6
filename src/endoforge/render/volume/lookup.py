# SPDX-License-Identifier: Apache-2.0
"""How kernels find what a transfer function says of a place: its table, its entry, its ramp.

Light and labels share this; their tables differ. Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np

from endoforge.optics.transfer import HIGHEST_HU, LOWEST_HU, GradientRamp, OrganTables
from endoforge.render.arrays import aligned
from endoforge.render.volume.steepness import PER_HU_PER_MM
from endoforge.render.volume.voxels import (
    Corner,
    Voxels,
    between,
    eight_around,
    organ_near,
    steepness_of,
)
from endoforge.scene.volume.records import CtVolume

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba


@dataclass(frozen=True, eq=False)
class Ramp:
    """A ramp over the gradient of HU.

    Attributes:
        pairs: How steep HU are, as `voxels.Voxels.pairs`.
        numbers: Where the ramp begins, its rise, and what is left below it.
    """

    pairs: Any
    numbers: Any


@dataclass(frozen=True, eq=False)
class Lookup:
    """What of a transfer function is the same for light and labels.

    Attributes:
        of_organ: First entry of the table that holds for each organ number.
        entries: Of each table.
        ramp: How the extinction depends on the gradient of HU, if it does.
    """

    of_organ: Any
    entries: int
    ramp: Ramp | None


def upload_lookup(volume: CtVolume, voxels: Voxels, tables: OrganTables) -> Lookup:
    """Put it on the device."""
    entries = tables.tables.shape[1]
    first = tables.table_of_organ.astype(np.uint32) * np.uint32(entries)
    ramp = None
    if tables.ramp is not None:
        pairs = steepness_of(volume, voxels).pairs
        ramp = Ramp(pairs, mi.Float(aligned(_numbers(tables.ramp))))
    return Lookup(mi.UInt32(aligned(first)), entries, ramp)


def _numbers(ramp: GradientRamp) -> np.ndarray:
    begin, end = (PER_HU_PER_MM * v for v in (ramp.from_hu_per_mm, ramp.to_hu_per_mm))
    return np.array([begin, (1 - ramp.floor) / (end - begin), ramp.floor], np.float32)


def table_near(
    lookup: Lookup, voxels: Voxels, size: Any, corner: Corner, active: Any = True
) -> Any:
    """First entry of the table that holds for the nearest voxel."""
    organ = organ_near(voxels, size, corner, active)
    return dr.gather(mi.UInt32, lookup.of_organ, organ, active)


def entry_of(lookup: Lookup, table: Any, hu: Any) -> tuple[Any, Any]:
    """The entry below given HU, and the share of the way to the next one."""
    step = (HIGHEST_HU - LOWEST_HU) / (lookup.entries - 1)
    place = dr.clip((hu - LOWEST_HU) * (1 / step), 0, lookup.entries - 1)
    entry = dr.minimum(mi.UInt32(place), lookup.entries - 2)
    return table + entry, place - mi.Float(entry)


def steep_around(ramp: Ramp, size: Any, corner: Corner, active: Any = True) -> tuple[Any, ...]:
    """How steep HU are at the eight voxels around a place."""
    return eight_around(ramp.pairs, size, corner, active)


def left_of(ramp: Ramp, steep: tuple[Any, ...], share: Any) -> Any:
    """The factor of the extinction at a place between eight voxels, 0 to 1."""
    begin, rise, floor = (dr.gather(mi.Float, ramp.numbers, k) for k in range(3))
    return dr.clip(dr.fma(between(steep, share) - begin, rise, floor), floor, 1)

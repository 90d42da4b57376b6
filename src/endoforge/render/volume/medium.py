# SPDX-License-Identifier: Apache-2.0
"""A transfer function on the device as labels need it, and how much light a short step stops.

Places are in voxels. Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np
from jaxtyping import Float32

from endoforge.optics.transfer import EXTINCTION, HIGHEST_HU, LOWEST_HU, OrganTables
from endoforge.render.arrays import aligned
from endoforge.render.volume.blocks import (
    BLOCK,
    BlockRanges,
    leaps,
    only_tables,
    organ_sets,
)
from endoforge.render.volume.lookup import Lookup, entry_of, upload_lookup
from endoforge.render.volume.majorants import majorants
from endoforge.render.volume.voxels import Voxels, steepness_of
from endoforge.scene.volume.records import CtVolume

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: Where HU change by less than this over a step, HU, extinction is taken as linear.
_EVEN_HU = 8.0

#: Bits of a block's word that say how far the nearest occupied one is; the others hold one more
#: than the number of the only table in the block, or 0 where there are several.
LEAP_BITS = 8


@dataclass(frozen=True, eq=False)
class Tables:
    """What stays on the device for a transfer function.

    Attributes:
        rows: Four floats per entry of each table: integral of extinction over HU up to it,
            extinction, its rise to the next entry, 0.
        lookup: What is found in them where.
        blocks: A word for each block, see `LEAP_BITS`.
        several: Some organs have tables of their own.
    """

    rows: Any
    lookup: Lookup
    blocks: Any
    several: bool


@dataclass(frozen=True, eq=False)
class Medium:
    """Volume and transfer function together, as kernels read them."""

    voxels: Voxels
    tables: Tables
    size: Any
    blocks: Any


@dataclass(frozen=True, eq=False)
class Node:
    """What is at one end of a step.

    Attributes:
        hu: Hounsfield units.
        stops: Extinction by HU alone, 1/mm.
        total: Its integral over HU from the table's start.
        left: What the gradient of HU leaves of it; None for all.
    """

    hu: Any
    stops: Any
    total: Any
    left: Any

    @property
    def extinction(self) -> Any:
        """1/mm."""
        return self.stops if self.left is None else self.stops * self.left


def upload_tables(
    volume: CtVolume, voxels: Voxels, ranges: BlockRanges, tables: OrganTables
) -> Tables:
    """Put a transfer function on the device, and where in the volume it stops any light."""
    sets = organ_sets(volume, tables.table_of_organ)
    empty = majorants(ranges, sets, tables.tables) == 0
    if tables.ramp is not None:
        empty |= steepness_of(volume, voxels).most_left(tables.ramp, BLOCK) == 0
    uploaded = Tables(
        rows=mi.Float(aligned(integrated(tables.tables[..., EXTINCTION]))),
        lookup=upload_lookup(volume, voxels, tables),
        blocks=mi.UInt32(aligned(leaps(empty) | (only_tables(sets) << np.uint32(LEAP_BITS)))),
        several=volume.organs is not None and len(tables.tables) > 1,
    )
    dr.eval(uploaded.rows, uploaded.lookup.of_organ, uploaded.blocks)
    return uploaded


def integrated(
    extinction: Float32[np.ndarray, "tables entries"],
) -> Float32[np.ndarray, "tables entries 4"]:
    """The integral of extinction over HU up to each entry, the extinction, its rise, and 0."""
    wide = extinction.astype(np.float64)
    step = (HIGHEST_HU - LOWEST_HU) / (extinction.shape[1] - 1)
    rows = np.zeros((*extinction.shape, 4))
    rows[:, 1:, 0] = np.cumsum(0.5 * (wide[:, 1:] + wide[:, :-1]) * step, axis=1)
    rows[..., 1] = wide
    rows[:, :-1, 2] = np.diff(wide, axis=1)
    return rows.astype(np.float32)


def medium_of(voxels: Voxels, tables: Tables) -> Medium:
    """Bring volume and transfer function into a kernel."""
    sizes = [dr.gather(mi.UInt32, voxels.sizes, k) for k in range(6)]
    return Medium(voxels, tables, mi.Vector3u(*sizes[:3]), mi.Vector3u(*sizes[3:]))


def node_at(medium: Medium, table: Any, hu: Any, left: Any) -> Node:
    """Extinction at given HU, and its integral."""
    entries = medium.tables.lookup.entries
    step = (HIGHEST_HU - LOWEST_HU) / (entries - 1)
    entry, share = entry_of(medium.tables.lookup, table, hu)
    row = dr.gather(mi.Vector4f, medium.tables.rows, entry)
    here = dr.fma(share, row.z, row.y)
    total = row.x + step * share * (row.y + 0.5 * share * row.z)
    beyond = hu - dr.clip(hu, LOWEST_HU, HIGHEST_HU)
    return Node(hu, here, dr.fma(beyond, here, total), left)


def depth_of_step(length: Any, first: Node, last: Node) -> Any:
    """Optical depth of a step over which HU change evenly.

    Exact for any table. Where the gradient counts, what it leaves is taken as linear over the step,
    and the extinction as linear as far as both vary together.

    Args:
        length: Of the step, mm.
        first: Where it begins.
        last: Where it ends.
    """
    rise = last.hu - first.hu
    even = dr.abs(rise) < _EVEN_HU
    mean = (last.total - first.total) / dr.select(even, 1, rise)
    mean = dr.select(even, 0.5 * (first.stops + last.stops), dr.maximum(mean, 0))
    if first.left is None:
        return length * mean
    together = (last.stops - first.stops) * (last.left - first.left) * (1 / 12)
    return length * dr.maximum(dr.fma(0.5 * (first.left + last.left), mean, together), 0)

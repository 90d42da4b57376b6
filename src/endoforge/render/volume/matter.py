# SPDX-License-Identifier: Apache-2.0
"""A transfer function on the device as light needs it: extinction, majorants, colours.

Places are in mm along the grid's axes, from the first voxel's centre. Import this file after
`render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np

from endoforge.optics.transfer import EXTINCTION, HIGHEST_HU, LOWEST_HU, OrganTables
from endoforge.render.arrays import aligned
from endoforge.render.numbers import Numbers
from endoforge.render.volume.blocks import BlockRanges
from endoforge.render.volume.majorants import CELL, majorant_cells
from endoforge.render.volume.medium import Voxels
from endoforge.render.volume.voxels import Corner, corner_at, organ_near
from endoforge.scene.volume.records import CtVolume

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

_ROW = 8  # floats of a row of colours


@dataclass(frozen=True, eq=False)
class Matter:
    """What stays on the device for a transfer function.

    Attributes:
        cells: See `majorants.majorant_cells`.
        counts: How many there are along i, j, k.
        extinction: Two floats per entry of each table: extinction, 1/mm, and its rise to the next.
        colours: Eight floats per entry: red, green, blue, roughness, f0, 0, 0, 0.
        of_organ: First entry of the table that holds for each organ number.
        entries: Of each table.
    """

    cells: Any
    counts: Any
    extinction: Any
    colours: Any
    of_organ: Any
    entries: int


@dataclass(frozen=True, eq=False)
class Medium:
    """Volume and transfer function inside a kernel.

    Attributes:
        voxels: The volume on the device.
        matter: The transfer function on the device.
        size: Voxels along i, j, k.
        blocks: Blocks of majorants along i, j, k.
        per_mm: Voxels per mm along i, j, k.
        blocks_per_mm: The same in blocks.
        extent_mm: From the first voxel's centre to the last one's.
    """

    voxels: Voxels
    matter: Matter
    size: Any
    blocks: Any
    per_mm: Any
    blocks_per_mm: Any
    extent_mm: Any


def upload_matter(volume: CtVolume, ranges: BlockRanges, tables: OrganTables) -> Matter:
    """Put a transfer function on the device, with the majorants that follow from it."""
    count, entries, _ = tables.tables.shape
    stops = np.zeros((count, entries, 2), np.float32)
    stops[..., 0] = tables.tables[..., EXTINCTION]
    stops[:, :-1, 1] = np.diff(tables.tables[..., EXTINCTION], axis=1)
    colours = np.zeros((count, entries, _ROW), np.float32)
    colours[..., :5] = tables.tables[..., EXTINCTION + 1 :]
    cells = majorant_cells(volume, ranges, tables)
    matter = Matter(
        cells=mi.Float(aligned(cells)),
        counts=mi.UInt32(aligned(np.array(cells.shape, np.uint32))),
        extinction=mi.Float(aligned(stops)),
        colours=mi.Float(aligned(colours)),
        of_organ=mi.UInt32(aligned(tables.table_of_organ.astype(np.uint32) * np.uint32(entries))),
        entries=entries,
    )
    dr.eval(matter.cells, matter.extinction, matter.colours, matter.of_organ)
    return matter


def medium_in_kernel(voxels: Voxels, matter: Matter, numbers: Numbers) -> Medium:
    """Bring volume and transfer function into a kernel."""
    size, counts = (
        mi.Vector3u(*(dr.gather(mi.UInt32, row, k) for k in range(3)))
        for row in (voxels.sizes, matter.counts)
    )
    per_mm = numbers.vector("per_mm")
    return Medium(
        voxels,
        matter,
        size,
        counts,
        per_mm,
        per_mm * (1 / CELL),
        numbers.vector("extent_mm"),
    )


def corner_of(medium: Medium, place_mm: Any) -> Corner:
    """The voxels around a place in mm."""
    return corner_at(medium.size, place_mm * medium.per_mm)


def table_of(medium: Medium, corner: Corner, active: Any = True) -> Any:
    """First entry of the table that holds for the nearest voxel."""
    if medium.voxels.organs is None:
        return mi.UInt32(0)
    organ = organ_near(medium.voxels, medium.size, corner, active)
    return dr.gather(mi.UInt32, medium.matter.of_organ, organ, active)


def entry_of(medium: Medium, table: Any, hu: Any) -> tuple[Any, Any]:
    """The entry below given HU, and the share of the way to the next one."""
    entries = medium.matter.entries
    step = (HIGHEST_HU - LOWEST_HU) / (entries - 1)
    place = dr.clip((hu - LOWEST_HU) * (1 / step), 0, entries - 1)
    entry = dr.minimum(mi.UInt32(place), entries - 2)
    return table + entry, place - mi.Float(entry)


def extinction_at(medium: Medium, table: Any, hu: Any, active: Any = True) -> Any:
    """Extinction at given HU, 1/mm."""
    entry, share = entry_of(medium, table, hu)
    row = dr.gather(mi.Vector2f, medium.matter.extinction, entry, active)
    return dr.fma(share, row.y, row.x)


def colours_at(medium: Medium, table: Any, hu: Any, active: Any = True) -> tuple[Any, Any, Any]:
    """Albedo, roughness and f0 at given HU."""
    entry, share = entry_of(medium, table, hu)
    rows = medium.matter.colours
    parts = []
    for half in (0, 1):
        ends = [dr.gather(mi.Vector4f, rows, 2 * (entry + k) + half, active) for k in (0, 1)]
        parts.append(dr.lerp(ends[0], ends[1], share))
    albedo = mi.Color3f(parts[0].x, parts[0].y, parts[0].z)
    return albedo, parts[0].w, parts[1].x

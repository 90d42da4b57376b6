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

from endoforge.optics.transfer import EXTINCTION, OrganTables
from endoforge.render.arrays import aligned
from endoforge.render.numbers import Numbers
from endoforge.render.volume.blocks import CELL, BlockRanges
from endoforge.render.volume.lookup import Lookup, entry_of, table_near, upload_lookup
from endoforge.render.volume.majorants import majorant_cells
from endoforge.render.volume.voxels import Corner, Voxels, corner_at, steepness_of
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
        lookup: What is found in them where.
    """

    cells: Any
    counts: Any
    extinction: Any
    colours: Any
    lookup: Lookup


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


def upload_matter(
    volume: CtVolume, voxels: Voxels, ranges: BlockRanges, tables: OrganTables
) -> Matter:
    """Put a transfer function on the device, with the majorants that follow from it."""
    count, entries, _ = tables.tables.shape
    stops = np.zeros((count, entries, 2), np.float32)
    stops[..., 0] = tables.tables[..., EXTINCTION]
    stops[:, :-1, 1] = np.diff(tables.tables[..., EXTINCTION], axis=1)
    colours = np.zeros((count, entries, _ROW), np.float32)
    colours[..., :5] = tables.tables[..., EXTINCTION + 1 :]
    most_left = None
    if tables.ramp is not None:
        most_left = steepness_of(volume, voxels).most_left(tables.ramp, CELL)
    cells = majorant_cells(volume, ranges, tables, most_left)
    matter = Matter(
        cells=mi.Float(aligned(cells)),
        counts=mi.UInt32(aligned(np.array(cells.shape, np.uint32))),
        extinction=mi.Float(aligned(stops)),
        colours=mi.Float(aligned(colours)),
        lookup=upload_lookup(volume, voxels, tables),
    )
    dr.eval(matter.cells, matter.extinction, matter.colours, matter.lookup.of_organ)
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
    return table_near(medium.matter.lookup, medium.voxels, medium.size, corner, active)


def extinction_at(medium: Medium, table: Any, hu: Any, active: Any = True) -> Any:
    """Extinction at given HU, 1/mm."""
    entry, share = entry_of(medium.matter.lookup, table, hu)
    row = dr.gather(mi.Vector2f, medium.matter.extinction, entry, active)
    return dr.fma(share, row.y, row.x)


def colours_at(medium: Medium, table: Any, hu: Any, active: Any = True) -> tuple[Any, Any, Any]:
    """Albedo, roughness and f0 at given HU."""
    entry, share = entry_of(medium.matter.lookup, table, hu)
    rows = medium.matter.colours
    parts = []
    for half in (0, 1):
        ends = [dr.gather(mi.Vector4f, rows, 2 * (entry + k) + half, active) for k in (0, 1)]
        parts.append(dr.lerp(ends[0], ends[1], share))
    albedo = mi.Color3f(parts[0].x, parts[0].y, parts[0].z)
    return albedo, parts[0].w, parts[1].x

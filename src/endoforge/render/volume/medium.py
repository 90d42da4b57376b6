# SPDX-License-Identifier: Apache-2.0
"""A CT and its transfer function on the device, and what the label pass reads of them.

Places are in voxels. Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np
from jaxtyping import Float32, Int16, UInt8, UInt32

from endoforge.optics.transfer import EXTINCTION, HIGHEST_HU, LOWEST_HU, OrganTables
from endoforge.render.arrays import aligned
from endoforge.render.volume.blocks import (
    BLOCK,
    BlockRanges,
    VolumeOnDevice,
    block_ranges,
    empty_blocks,
    leaps,
    organ_sets,
)
from endoforge.scene.volume.records import CtVolume

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: Where HU change by less than this over a step, HU, extinction is taken as linear.
_EVEN_HU = 8.0


@dataclass(frozen=True, eq=False)
class Voxels:
    """What stays on the device for a volume.

    Attributes:
        pairs: Each voxel's HU in the low half of a word, its neighbour's along k in the high half.
        organs: Organ numbers, four to a word; None where nothing was segmented.
        sizes: Voxels along i, j, k, then blocks along i, j, k.
    """

    pairs: Any
    organs: Any
    sizes: Any


@dataclass(frozen=True, eq=False)
class Tables:
    """What stays on the device for a transfer function.

    Attributes:
        rows: Four floats per entry of each table: integral of extinction over HU up to it,
            extinction, its rise to the next entry, 0.
        of_organ: First entry of the table that holds for each organ number.
        leaps: How many blocks away the nearest occupied one is, for each block.
        entries: Of each table.
        several: Some organs have tables of their own.
    """

    rows: Any
    of_organ: Any
    leaps: Any
    entries: int
    several: bool


@dataclass(frozen=True, eq=False)
class Medium:
    """Volume and transfer function together, as kernels read them."""

    voxels: Voxels
    tables: Tables
    size: Any
    blocks: Any


@dataclass(frozen=True, eq=False)
class Cell:
    """The eight HU around a place, and the corner they are counted from."""

    corner: Any
    values: tuple[Any, ...]


def upload_volume(volume: CtVolume) -> VolumeOnDevice:
    """Put a volume on the device and find the HU of its blocks."""
    return VolumeOnDevice(block_ranges(volume.hu), upload_voxels(volume))


def upload_voxels(volume: CtVolume) -> Voxels:
    """Put a volume on the device: four bytes per voxel, and one for its organ."""
    blocks = [max(-(-(n - 1) // BLOCK), 1) for n in volume.hu.shape]
    voxels = Voxels(
        pairs=mi.UInt32(_pairs(volume.hu)),
        organs=None if volume.organs is None else mi.UInt32(_fours(volume.organs)),
        sizes=mi.UInt32(aligned(np.array([*volume.hu.shape, *blocks], np.uint32))),
    )
    dr.eval(voxels.pairs, voxels.organs, voxels.sizes)
    return voxels


def _pairs(hu: Int16[np.ndarray, "i j k"]) -> UInt32[np.ndarray, "voxels"]:
    words = _room(hu.size)
    for target, plane in zip(words.reshape(hu.shape), hu, strict=True):
        target[:] = plane.astype(np.uint16)
        target[:, :-1] |= target[:, 1:] << np.uint32(16)
        target[:, -1] |= target[:, -1] << np.uint32(16)
    return words


def _fours(organs: UInt8[np.ndarray, "i j k"]) -> UInt32[np.ndarray, "words"]:
    words = _room(-(-organs.size // 4))
    words.view(np.uint8)[: organs.size] = organs.ravel()
    return words


def _room(count: int) -> UInt32[np.ndarray, "count"]:
    """Words that start on a 64-byte border (see `render.arrays.aligned`), not yet written."""
    room = np.empty(4 * count + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + 4 * count].view(np.uint32)


def upload_tables(volume: CtVolume, ranges: BlockRanges, tables: OrganTables) -> Tables:
    """Put a transfer function on the device, and where in the volume it stops any light."""
    sets = organ_sets(volume, tables.table_of_organ)
    entries = tables.tables.shape[1]
    first = tables.table_of_organ.astype(np.uint32) * np.uint32(entries)
    uploaded = Tables(
        rows=mi.Float(aligned(integrated(tables.tables[..., EXTINCTION]))),
        of_organ=mi.UInt32(aligned(first)),
        leaps=mi.UInt32(
            aligned(leaps(empty_blocks(ranges, sets, tables.tables)).astype(np.uint32))
        ),
        entries=entries,
        several=volume.organs is not None and len(tables.tables) > 1,
    )
    dr.eval(uploaded.rows, uploaded.of_organ, uploaded.leaps)
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


# ---- Hounsfield units ---------------------------------------------------------------------------


def cell_at(medium: Medium, place: Any, active: Any = True) -> Cell:
    """The cell that a place lies in; the nearest one for places outside."""
    last = mi.Vector3i(medium.size) - 2
    corner = dr.clip(mi.Vector3i(dr.floor(place)), 0, last)
    c = mi.Vector3u(corner)
    along_j = medium.size.z
    along_i = medium.size.y * along_j
    first = c.x * along_i + c.y * along_j + c.z
    values: list[Any] = []
    for offset in (0, along_j, along_i, along_i + along_j):
        word = dr.gather(mi.UInt32, medium.voxels.pairs, first + offset, active)
        both = dr.reinterpret_array(mi.Int32, word)
        values += [mi.Float((both << 16) >> 16), mi.Float(both >> 16)]
    return Cell(mi.Vector3f(corner), tuple(values))


def hu_in(cell: Cell, place: Any) -> Any:
    """Interpolate linearly between the eight corners."""
    share = place - cell.corner
    row = [dr.lerp(a, b, share.z) for a, b in zip(cell.values[::2], cell.values[1::2], strict=True)]
    return dr.lerp(dr.lerp(row[0], row[1], share.y), dr.lerp(row[2], row[3], share.y), share.x)


def hu_at(medium: Medium, place: Any, active: Any = True) -> Any:
    """Hounsfield units at a place within the grid; those of its border outside."""
    place = dr.clip(place, 0, mi.Vector3f(medium.size) - 1)
    return hu_in(cell_at(medium, place, active), place)


def hu_gradient(medium: Medium, place: Any, active: Any = True) -> Any:
    """Central differences over two voxels, HU per voxel along i, j, k."""
    parts = []
    for axis in range(3):
        step = mi.Vector3f(*(1.0 if k == axis else 0.0 for k in range(3)))
        ahead, behind = (hu_at(medium, place + s * step, active) for s in (1, -1))
        parts.append(0.5 * (ahead - behind))
    return mi.Vector3f(*parts)


def organ_at(medium: Medium, place: Any, active: Any = True) -> Any:
    """The organ number of the nearest voxel; 0 where nothing was segmented."""
    if medium.voxels.organs is None:
        return mi.UInt32(0)
    last = mi.Vector3i(medium.size) - 1
    near = mi.Vector3u(dr.clip(mi.Vector3i(dr.floor(place + 0.5)), 0, last))
    index = (near.x * medium.size.y + near.y) * medium.size.z + near.z
    word = dr.gather(mi.UInt32, medium.voxels.organs, index >> 2, active)
    return (word >> ((index & 3) << 3)) & 255


# ---- extinction ---------------------------------------------------------------------------------


def table_at(medium: Medium, place: Any, active: Any = True) -> Any:
    """First entry of the table that holds at a place."""
    if not medium.tables.several:
        return mi.UInt32(0)
    return dr.gather(mi.UInt32, medium.tables.of_organ, organ_at(medium, place, active), active)


def extinction(medium: Medium, table: Any, hu: Any, active: Any = True) -> tuple[Any, Any]:
    """Extinction at given HU, 1/mm, and its integral over HU from the table's start."""
    entries = medium.tables.entries
    step = (HIGHEST_HU - LOWEST_HU) / (entries - 1)
    within = dr.clip(hu, LOWEST_HU, HIGHEST_HU)
    place = (within - LOWEST_HU) * (1 / step)
    entry = dr.minimum(mi.UInt32(place), entries - 2)
    share = place - mi.Float(entry)
    row = dr.gather(mi.Vector4f, medium.tables.rows, table + entry, active)
    here = dr.fma(share, row.z, row.y)
    total = row.x + step * share * (row.y + 0.5 * share * row.z)
    return here, total + (hu - within) * here


def depth_of_step(length: Any, first: tuple[Any, Any, Any], last: tuple[Any, Any, Any]) -> Any:
    """Optical depth of a step over which HU change evenly: exact for any table.

    Args:
        length: Of the step, mm.
        first: HU, extinction and its integral where the step begins.
        last: The same where it ends.
    """
    rise = last[0] - first[0]
    even = dr.abs(rise) < _EVEN_HU
    mean = (last[2] - first[2]) / dr.select(even, 1, rise)
    return length * dr.select(even, 0.5 * (first[1] + last[1]), dr.maximum(mean, 0))

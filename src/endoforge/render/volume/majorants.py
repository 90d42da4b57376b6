# SPDX-License-Identifier: Apache-2.0
"""The most that light can be stopped within each block of voxels, and how far empty blocks reach.

Computed on the host, once for each transfer function.
"""

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int32, UInt8, UInt32

from endoforge.optics.transfer import EXTINCTION, HIGHEST_HU, LOWEST_HU, OrganTables
from endoforge.render.volume.blocks import CELL, MOST_TABLES, BlockRanges, leaps, organ_sets
from endoforge.scene.volume.records import CtVolume

#: Rounding in the kernel must not lift an interpolated extinction above its block's majorant.
_MARGIN = 1 + 1e-5


def majorant_cells(
    volume: CtVolume,
    ranges: BlockRanges,
    tables: OrganTables,
    most_left: Float64[np.ndarray, "a b c"] | None = None,
) -> Float32[np.ndarray, "a b c"]:
    """What a ray may expect in each block.

    Args:
        volume: The CT.
        ranges: Of its blocks.
        tables: The transfer function.
        most_left: The largest factor that the gradient of HU leaves of the extinction in each
            block; None for 1.

    Returns:
        Above 0: the largest extinction within the block, 1/mm. Below 0: the block is empty, and so
        are all whose number is within this distance minus 1 of its own along every axis.
    """
    sets = organ_sets(volume, tables.table_of_organ, CELL)
    most = majorants(ranges, sets, tables.tables)
    if most_left is not None:
        most *= most_left.astype(np.float32)
    away: UInt8[np.ndarray, "a b c"] = leaps(most == 0)
    return np.where(most > 0, most * _MARGIN, -away.astype(np.float32)).astype(np.float32)


def majorants(
    ranges: BlockRanges,
    sets: UInt32[np.ndarray, "a b c"],
    tables: Float32[np.ndarray, "tables entries 6"],
) -> Float32[np.ndarray, "a b c"]:
    """The largest extinction over the HU of each block, whichever of its organs it belongs to."""
    most = np.zeros(ranges.lowest.shape, np.float32)
    for number, table in enumerate(tables):
        bit = np.uint32(1) << np.uint32(min(number, MOST_TABLES - 1))
        levels = maximum_levels(table[:, EXTINCTION])
        for slab, lowest, highest, held in zip(
            most, ranges.lowest, ranges.highest, sets, strict=True
        ):
            found = range_maximum(levels, *entries_within(lowest, highest, len(table)))
            np.maximum(slab, np.where(held & bit, found, 0), out=slab)
    return most


def entries_within(
    lowest: Int16[np.ndarray, "*blocks"], highest: Int16[np.ndarray, "*blocks"], entries: int
) -> tuple[Int32[np.ndarray, "*blocks"], Int32[np.ndarray, "*blocks"]]:
    """First and last entry of a table that matter between two HU."""
    scale = (entries - 1) / (HIGHEST_HU - LOWEST_HU)
    first, last = np.floor((lowest - LOWEST_HU) * scale), np.ceil((highest - LOWEST_HU) * scale)
    clipped = (np.clip(ends, 0, entries - 1).astype(np.int32) for ends in (first, last))
    return next(clipped), next(clipped)


def maximum_levels(values: Float32[np.ndarray, "entries"]) -> Float32[np.ndarray, "levels entries"]:
    """Largest of the 1, 2, 4, … values from each entry on."""
    levels = [values]
    while 2 ** len(levels) <= len(values):
        half = 2 ** (len(levels) - 1)
        level = levels[-1].copy()
        level[:-half] = np.maximum(level[:-half], levels[-1][half:])
        levels.append(level)
    return np.stack(levels)


def range_maximum(
    levels: Float32[np.ndarray, "levels entries"],
    first: Int32[np.ndarray, "*blocks"],
    last: Int32[np.ndarray, "*blocks"],
) -> Float32[np.ndarray, "*blocks"]:
    """Largest value between two entries, both included, from two look-ups."""
    _, exponent = np.frexp(last - first + 1)
    which = exponent - 1  # of the largest power of two that fits
    return np.asarray(np.maximum(levels[which, first], levels[which, last - (1 << which) + 1]))

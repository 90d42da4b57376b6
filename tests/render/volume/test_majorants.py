# SPDX-License-Identifier: Apache-2.0
"""No extinction within a block exceeds its majorant, and empty blocks reach only empty ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from endoforge.optics.transfer import HIGHEST_HU, LOWEST_HU, organ_tables
from endoforge.render.volume.blocks import block_ranges, organ_sets
from endoforge.render.volume.majorants import (
    CELL,
    majorant_cells,
    majorants,
    maximum_levels,
    range_maximum,
)
from render import tissue


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 70), st.integers(0, 1 << 30))
def test_the_largest_of_a_range_is_found_from_two_look_ups(count, seed):
    rng = np.random.default_rng(seed)
    values = rng.random(count).astype(np.float32)
    ends = np.sort(rng.integers(count, size=(20, 2)).astype(np.int32), axis=1)
    found = range_maximum(maximum_levels(values), *ends.T)
    assert found.tolist() == [values[a : b + 1].max() for a, b in ends]


def test_the_extinction_of_any_place_lies_below_the_majorant_of_its_block():
    volume = tissue.lump()
    tables = organ_tables(tissue.tissue("phase"), volume.organ_names)
    assert len(tables.tables) == 2
    ranges = block_ranges(volume.hu, CELL)
    sets = organ_sets(volume, tables.table_of_organ, CELL)
    most = majorants(ranges, sets, tables.tables)
    last = np.array(volume.hu.shape) - 1
    places = np.random.default_rng(2).uniform(0, 1, (20000, 3)) * last
    hu = map_coordinates(volume.hu.astype(float), places.T, order=1)
    organ = volume.organs[tuple(np.floor(places + 0.5).astype(int).T)]
    grid = np.linspace(LOWEST_HU, HIGHEST_HU, tables.tables.shape[1])
    stops = np.choose(
        tables.table_of_organ[organ], [np.interp(hu, grid, t[:, 0]) for t in tables.tables]
    )
    block = np.minimum((places // CELL).astype(int), np.array(most.shape) - 1)
    bound = most[tuple(block.T)]
    assert (stops <= bound * (1 + 1e-6)).all()
    assert bound.mean() < 0.5 * tables.tables[..., 0].max()  # and much is gained by blocks


def test_a_leap_ends_before_the_first_block_that_stops_light():
    volume = tissue.lump()
    tables = organ_tables(tissue.tissue("phase"), volume.organ_names)
    cells = majorant_cells(volume, block_ranges(volume.hu, CELL), tables)
    occupied = np.argwhere(cells > 0)
    empty = np.argwhere(cells < 0)
    away = np.abs(empty[:, None] - occupied[None]).max(axis=-1).min(axis=1)
    assert len(empty) > 20
    assert (away == -cells[tuple(empty.T)]).all()
    assert (cells != 0).all()


@pytest.mark.parametrize("block", [1, 2, 4])
def test_a_block_knows_the_lowest_and_highest_voxel_of_its_corners_too(block):
    hu = np.random.default_rng(4).integers(-1000, 1000, (9, 7, 6)).astype(np.int16)
    ranges = block_ranges(hu, block)
    for index in np.ndindex(ranges.lowest.shape):
        part = hu[tuple(slice(block * k, block * (k + 1) + 1) for k in index)]
        assert (ranges.lowest[index], ranges.highest[index]) == (part.min(), part.max())

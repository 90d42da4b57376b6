# SPDX-License-Identifier: Apache-2.0
"""Bright cells of surroundings are drawn as often as they are bright."""

import numpy as np
import pytest

from endoforge.errors import ShapeError
from endoforge.optics.illumination import Surroundings
from endoforge.render.volume.surroundings import alias_table, sky_tables


def test_an_alias_table_gives_each_cell_its_share():
    share = np.random.default_rng(1).random(37) ** 4
    share[5] = 0
    share /= share.sum()
    table = alias_table(share)
    given = np.zeros(37)
    np.add.at(given, np.arange(37), table[:, 0])
    np.add.at(given, table[:, 1].astype(int), 1 - table[:, 0])
    assert np.allclose(given / 37, share, atol=1e-6)


def test_the_density_of_draws_integrates_to_one_over_the_sphere():
    radiance = np.random.default_rng(2).random((5, 8, 3)).astype(np.float32)
    sky = sky_tables(Surroundings(radiance))
    edges = np.cos(np.pi * np.arange(6) / 5)
    solid = np.repeat((edges[:-1] - edges[1:]) * 2 * np.pi / 8, 8)
    assert (sky.radiance[:, 3] * solid).sum() == pytest.approx(1, abs=1e-5)
    even = sky_tables(Surroundings(np.full((3, 4, 3), 0.7, np.float32)))
    assert even.mean == pytest.approx(0.7)
    assert even.radiance[:, 3] == pytest.approx(1 / (4 * np.pi))


def test_black_surroundings_are_drawn_evenly():
    sky = sky_tables(Surroundings(np.zeros((3, 4, 3), np.float32)))
    assert sky.mean == 0
    assert np.isfinite(sky.radiance).all()
    assert sky.radiance[:, 3] == pytest.approx(1 / (4 * np.pi))


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_surroundings_that_no_light_can_have_are_refused(wrong):
    radiance = np.ones((2, 2, 3), np.float32)
    radiance[1, 0, 2] = wrong
    with pytest.raises(ShapeError, match="clean the map"):
        sky_tables(Surroundings(radiance))
    with pytest.raises(ShapeError, match="one cell"):
        sky_tables(Surroundings(np.ones((0, 4, 3), np.float32)))

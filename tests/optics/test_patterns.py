# SPDX-License-Identifier: Apache-2.0
"""Each kind of pattern has what its tissue is known by."""

from typing import get_args

import numpy as np
import pytest

from endoforge.optics import texture
from endoforge.optics.organs import ORGANS
from endoforge.optics.patterns import GROWERS
from endoforge.optics.settings import Pattern
from endoforge.optics.texture import tissue_texture

WITHOUT_VESSELS = {"stool", "fluid", "brushed", "plain"}


def finest(kind: Pattern) -> np.ndarray:
    return tissue_texture(0, kind).levels[0].astype(np.float64) / 255


def test_every_kind_that_settings_allow_can_grow():
    assert set(get_args(Pattern)) == set(GROWERS)
    assert {organ.pattern for organ in ORGANS.values()} <= set(GROWERS)


@pytest.mark.parametrize("kind", sorted(GROWERS))
def test_every_kind_repeats_without_a_seam(kind):
    channels = [0, 1, 2, 3, texture.SLOPE_U, texture.SLOPE_V, texture.FILM]
    tile = finest(kind)[..., channels]
    for axis in (0, 1):
        steps = np.abs(np.diff(tile, axis=axis)).mean(axis=1 - axis)
        seam = np.abs(tile.take(0, axis) - tile.take(-1, axis)).mean(axis=0)
        assert (seam <= 1.3 * steps.max(axis=0) + 1e-9).all()


@pytest.mark.parametrize("kind", sorted(GROWERS))
def test_light_and_dark_balance_and_the_film_varies(kind):
    tile = finest(kind)
    assert tile[..., texture.BLOTCH].mean() == pytest.approx(0.5, abs=0.06)
    assert tile[..., texture.FILM].mean() == pytest.approx(0.5, abs=0.06)
    assert tile[..., texture.FILM].std() > 0.1


@pytest.mark.parametrize("kind", sorted(GROWERS))
def test_vessels_grow_on_tissue_only(kind):
    covered = (finest(kind)[..., : texture.FINE + 1] > 0.3).any(axis=-1).mean()
    assert (covered == 0) == (kind in WITHOUT_VESSELS)
    assert covered < 0.5


@pytest.mark.parametrize("kind", ["fibrous", "brushed"])
def test_fibres_run_along_u(kind):
    tile = finest(kind)
    along, across = tile[..., texture.SLOPE_U].std(), tile[..., texture.SLOPE_V].std()
    assert across > 1.3 * along


def test_clefts_of_fat_are_redder_than_its_lobules():
    planes = GROWERS["fat"](np.random.default_rng(0))
    low, high = np.quantile(planes.height, [0.1, 0.9])
    assert (
        planes.patch[planes.height < low].mean() > planes.patch[planes.height > high].mean() + 0.2
    )


@pytest.mark.parametrize("kind", ["round pits", "tubular pits", "gyrus pits"])
def test_pits_are_red_and_lie_deeper(kind):
    planes = GROWERS[kind](np.random.default_rng(0))
    pitted = planes.fine > 0.6
    assert 0.005 < pitted.mean() < 0.4
    assert planes.height[pitted].mean() < planes.height[~pitted].mean() - 0.5


def test_kinds_with_the_same_seed_differ():
    first = [tissue_texture(1, kind).levels[3] for kind in ("liver", "fat", "serosa")]
    assert all((first[0] != other).any() for other in first[1:])

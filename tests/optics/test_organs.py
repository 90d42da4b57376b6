# SPDX-License-Identifier: Apache-2.0
"""Every shipped look can be drawn, absorbs, and keeps the order of colours that surgeons know."""

import numpy as np
import pytest

from endoforge.errors import SettingsError
from endoforge.optics.organs import ORGANS, organ_settings, sample_organ
from endoforge.streams import stream

METALS = ("steel", "titanium", "gold")


def mean_albedo(name: str) -> np.ndarray:
    return np.mean([sample_organ(name, stream(1, name, k)).albedo for k in range(40)], axis=0)


@pytest.mark.parametrize("name", sorted(ORGANS))
def test_every_look_absorbs_and_reflects_what_it_can(name):
    for k in range(20):
        tissue = sample_organ(name, stream(0, name, k))
        assert all(0 < share < 1 for share in tissue.albedo)
        assert (tissue.f0 > 0.4) == (name in METALS)
        assert tissue.pattern == ORGANS[name].pattern
        assert 0 <= tissue.texture_seed < ORGANS[name].textures


def test_fat_is_yellow_liver_is_purple_brown_and_blood_is_red():
    fat, liver, blood = (mean_albedo(name) for name in ("fat", "liver", "blood"))
    assert fat[2] < 0.7 * fat[1]
    assert liver[2] > liver[1]
    assert liver.sum() < 0.5 * fat.sum()
    assert blood[0] > 10 * blood[1]


def test_steel_is_grey_and_gold_is_not():
    steel, gold = mean_albedo("steel"), mean_albedo("gold")
    assert np.ptp(steel) < 0.1 * steel.mean()
    assert gold[2] < 0.5 * gold[0]


def test_the_same_stream_draws_the_same_look():
    assert sample_organ("liver", stream(0, "x")) == sample_organ("liver", stream(0, "x"))


def test_an_unknown_material_is_refused_with_the_nearest_name():
    with pytest.raises(SettingsError, match=r"'livre'.*'liver'"):
        organ_settings("livre")

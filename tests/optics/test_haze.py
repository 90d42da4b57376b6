# SPDX-License-Identifier: Apache-2.0
"""Veils take contrast away, not light; smoke drifts without jumps; smears stay where they are."""

import numpy as np
import pytest

from endoforge.optics.haze import Veils, dirt_share, fog_share, shares, smoke_share, veil

EACH = [Veils(glare=0.4), Veils(dirt=0.9, seed=1), Veils(fog=0.7), Veils(smoke=0.8)]


def checkered() -> np.ndarray:
    rows, columns = np.indices((64, 80))
    return np.repeat(((rows // 2 + columns // 2) % 2)[..., None], 3, -1).astype(np.float32)


@pytest.mark.parametrize("veils", EACH, ids=str)
def test_every_veil_lowers_contrast(veils):
    assert veil(checkered(), veils, 0.0).std() < 0.97 * checkered().std()


@pytest.mark.parametrize("veils", EACH, ids=str)
def test_a_grey_picture_stays_about_as_bright(veils):
    grey = np.full((64, 80, 3), 0.4, np.float32)
    assert veil(grey, veils, 0.0) == pytest.approx(grey, rel=0.31)


def test_no_veil_gives_the_picture_back():
    light = checkered()
    assert veil(light, Veils(seed=5), 3.0) is light


def test_the_shares_lie_between_nothing_and_all():
    kept, blurred, grey = shares(16, 20, Veils(0.2, 0.8, 0.5, 0.5, 2), 7.0)
    for share in (kept, blurred, grey):
        assert share.min() >= 0
        assert share.max() <= 1
    assert (kept + blurred + grey).max() <= 1 + 1e-6


def test_smoke_drifts_smoothly_and_comes_round():
    now, soon, later = (smoke_share(32, 40, 3, t) for t in (0.0, 0.1, 40.0))
    assert np.abs(now - soon).max() < 0.1
    assert np.abs(now - later).max() > 0.2
    np.testing.assert_allclose(smoke_share(32, 40, 3, 1000.0), now, atol=1e-3)


def test_another_seed_has_other_smears_and_clouds():
    for share in (fog_share, dirt_share):
        assert (share(32, 40, 1) != share(32, 40, 2)).any()
        assert 0 <= share(32, 40, 1).min() <= share(32, 40, 1).max() <= 1


def test_in_place_is_the_same():
    light, veils = checkered(), Veils(0.1, 0.5, 0.3, 0.3, 4)
    apart = veil(light, veils, 2.0)
    np.testing.assert_array_equal(veil(light, veils, 2.0, out=light), apart)

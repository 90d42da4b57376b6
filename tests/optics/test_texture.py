# SPDX-License-Identifier: Apache-2.0
"""The mucosa pattern repeats without a seam, is a function of its seed, and averages honestly."""

import numpy as np
import pytest

from endoforge.optics import texture as pattern
from endoforge.optics.texture import sample_texture, tissue_texture


@pytest.fixture(scope="module")
def skin() -> pattern.TissueTexture:
    return tissue_texture(0)


def test_a_seed_always_grows_the_same_pattern(skin):
    again = tissue_texture.__wrapped__(0)
    other = tissue_texture.__wrapped__(1)
    assert skin.packed().tobytes() == again.packed().tobytes()
    assert skin.packed().tobytes() != other.packed().tobytes()


def test_the_pattern_has_no_seam(skin):
    finest = skin.levels[0].astype(np.int16)[..., : pattern.ROUGHENING]
    for axis in (0, 1):
        steps = np.abs(np.diff(finest, axis=axis)).mean(axis=1 - axis)
        seam = np.abs(finest.take(0, axis) - finest.take(-1, axis)).mean(axis=0)
        assert (seam <= 1.2 * steps.max(axis=0)).all()


def test_the_pattern_repeats_at_whole_numbers(skin):
    points = np.random.default_rng(0).random((200, 2))
    here = sample_texture(skin, points, 1)
    np.testing.assert_allclose(
        sample_texture(skin, points + np.array([3.0, -2.0]), 1), here, atol=1e-9
    )


def test_interpolation_meets_the_texels_at_their_centres(skin):
    centre = np.array([[10.5, 20.5]]) / skin.levels[2].shape[0]
    expected = skin.levels[2][20, 10] / 255
    np.testing.assert_allclose(sample_texture(skin, centre, 2)[0], expected)


def test_coarser_levels_keep_the_mean(skin):
    means = [level.mean(axis=(0, 1))[: pattern.SLOPE_U] for level in skin.levels]
    for mean in means:
        np.testing.assert_allclose(mean, means[0], atol=0.6)


def test_what_slopes_lose_by_averaging_becomes_roughness(skin):
    for level in skin.levels[:-1]:
        slopes = pattern.SLOPE_SPAN * (
            level[..., pattern.SLOPE_U : pattern.SLOPE_V + 1] / 127.5 - 1
        )
        kept = np.mean(np.sum(slopes**2, axis=-1))
        lost = np.mean(level[..., pattern.ROUGHENING] / 255.0)
        assert 0.8 < kept + lost < 1.05  # the largest losses are clipped at 1


def test_vessels_cover_some_of_the_tile_but_not_most(skin):
    for channel in (pattern.COARSE, pattern.FINE):
        covered = (skin.levels[0][..., channel] > 80).mean()
        assert 0.005 < covered < 0.35


def test_the_packed_row_holds_every_level(skin):
    assert len(skin.packed()) == sum(level.size for level in skin.levels)
    assert [level.shape[0] for level in skin.levels] == [
        pattern.SIZE >> k for k in range(pattern.LEVELS)
    ]

# SPDX-License-Identifier: Apache-2.0
import sys

import numpy as np
import pytest

from endoforge.errors import MissingDependency
from endoforge.render.denoise import Guides, denoised, guided
from endoforge.render.engine import start
from endoforge.render.oidn import by_oidn

start("cpu")


def wall(height: int = 48, width: int = 64, distance: float = 30.0) -> Guides:
    """A flat wall square to the axis."""
    v, u = np.mgrid[:height, :width].astype(np.float32)
    place = np.stack([(u - width / 2) * 0.3, (v - height / 2) * 0.3, np.full_like(u, distance)], -1)
    normal = np.broadcast_to(np.float32([0, 0, -1]), place.shape).copy()
    return Guides(place, normal, np.ones((height, width), bool))


def noise(guides: Guides, level: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(3)
    return (1 + level * rng.standard_normal((*guides.found.shape, 3))).astype(np.float32)


def test_even_light_stays_as_it_is():
    guides = wall()
    flat = np.full((48, 64, 3), 0.7, np.float32)
    np.testing.assert_allclose(guided(flat, guides), flat, rtol=1e-5)


def test_noise_is_smoothed_and_the_mean_kept():
    guides = wall()
    noisy = noise(guides)
    smooth = guided(noisy, guides)
    assert smooth.std() < 0.08 * noisy.std()
    assert smooth.mean() == pytest.approx(noisy.mean(), rel=0.02)


@pytest.mark.parametrize("edge", ["depth", "bend"])
def test_light_does_not_cross_an_edge_of_the_shape(edge):
    guides = wall()
    left = np.arange(64) < 32
    if edge == "depth":
        guides.place_mm[:, left] *= 2.5  # the same pixels, much farther away
    else:
        guides.normal[:, left] = [-1, 0, 0]
    light = np.where(left[None, :, None], np.float32(0.1), np.float32(1.0))
    light = np.broadcast_to(light, (48, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(guided(light, guides), light, rtol=0.03)


def test_what_is_not_seen_is_black_and_lends_no_light():
    guides = wall()
    guides.found[:, :20] = False
    light = np.full((48, 64, 3), 0.5, np.float32)
    light[:, :20] = np.nan
    smooth = denoised(light, guides, "guided")
    assert np.all(smooth[:, :20] == 0)
    np.testing.assert_allclose(smooth[:, 20:], 0.5, rtol=1e-5)
    assert np.array_equal(denoised(light, guides, "off")[:, 20:], light[:, 20:])


def test_intels_denoiser_smooths_too():
    pytest.importorskip("mitsuba_oidn", exc_type=ImportError)
    guides = wall(64, 64)
    noisy = np.abs(noise(guides))
    smooth = denoised(noisy, guides, "oidn")
    assert smooth.shape == noisy.shape and smooth.dtype == np.float32
    assert smooth.std() < 0.3 * noisy.std()


def test_a_missing_denoiser_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mitsuba_oidn", None)
    with pytest.raises(MissingDependency, match=r"endoforge\[denoise\]"):
        by_oidn(np.zeros((4, 4, 3), np.float32))

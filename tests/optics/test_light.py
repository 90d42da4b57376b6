# SPDX-License-Identifier: Apache-2.0
"""Sources beside the lens: inverse square, beam, and what is drawn from the settings."""

import numpy as np
import pytest

from endoforge.optics.light import LightSource, irradiance, sample_lights
from endoforge.optics.settings import LightSettings, PlacedSource
from endoforge.streams import stream


def test_irradiance_falls_with_the_square_of_distance():
    light = LightSource(position_mm=(1.0, 0.0, 0.0))
    near, far = irradiance(light, np.array([[1.0, 0, 20], [1.0, 0, 40]]))
    assert near / far == pytest.approx(4.0)


def test_the_beam_follows_its_law():
    light = LightSource(mu=2.0, intensity=1.0)
    angle = np.linspace(0, np.pi / 2, 10)
    ring = 5 * np.stack([np.sin(angle), np.zeros(10), np.cos(angle)], -1)
    np.testing.assert_allclose(irradiance(light, ring), np.exp(-2 * (1 - np.cos(angle))) / 25)


def test_without_narrowness_light_is_the_same_all_around():
    around = np.random.default_rng(0).normal(size=(20, 3))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    np.testing.assert_allclose(irradiance(LightSource(mu=0.0, intensity=3.0), around), 3.0)


@pytest.mark.parametrize("sources", [1, 3, 4])
def test_drawn_lights_stay_within_the_settings(sources):
    settings = LightSettings(sources=sources, balance=(1.0, 1.0))
    lights = sample_lights(settings, stream(3, "light", 0))
    offsets = [np.linalg.norm(light.position_mm) for light in lights]
    assert len(lights) == sources
    assert all(2.0 <= offset <= 4.0 for offset in offsets)
    assert len({(light.mu, light.colour) for light in lights}) == 1
    total = sum(light.intensity for light in lights)
    assert settings.intensity[0] <= total <= settings.intensity[1]


def test_the_same_stream_draws_the_same_lights():
    draws = [sample_lights(LightSettings(), stream(3, "light", 0)) for _ in range(2)]
    assert draws[0] == draws[1]
    assert draws[0] != sample_lights(LightSettings(), stream(3, "light", 1))


def test_a_ring_behind_the_lens_leans_outwards_by_the_stated_angle():
    settings = LightSettings(sources=4, behind_mm=(3.0, 3.0), tilt_deg=(20.0, 20.0))
    for light in sample_lights(settings, stream(3, "light", 0)):
        x, y, z = light.position_mm
        assert z == -3.0
        assert light.axis[2] == pytest.approx(np.cos(np.deg2rad(20)))
        outward = np.array([x, y]) / np.hypot(x, y)
        np.testing.assert_allclose(light.axis[:2], np.sin(np.deg2rad(20)) * outward)


def test_placed_sources_replace_the_ring_and_may_have_their_own_lamp():
    one = PlacedSource(x_mm=(1.0, 1.0), z_mm=(-2.0, -2.0), axis=(0, 3.0, 4.0), share=(0.5, 0.5))
    two = PlacedSource(kelvin=(3000.0, 3000.0), mu=(9.0, 9.0))
    settings = LightSettings(placed=(one, two), intensity=(1000.0, 1000.0), warmth=(0.0, 0.0))
    first, second = sample_lights(settings, stream(0, "light"))
    assert first.position_mm == (1.0, 0.0, -2.0)
    np.testing.assert_allclose(first.axis, (0, 0.6, 0.8))
    assert (first.intensity, second.intensity) == (250.0, 500.0)
    assert first.colour == (1.0, 1.0, 1.0)
    assert second.colour[0] > 1.3
    assert second.mu == 9.0
    assert first.mu < 2.5


def test_a_beam_without_direction_is_refused():
    with pytest.raises(ValueError, match=r"direction.*\(0\.0, 0\.0, 0\.0\)"):
        PlacedSource(axis=(0, 0, 0))

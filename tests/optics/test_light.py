# SPDX-License-Identifier: Apache-2.0
"""Sources beside the lens: inverse square, beam, and what is drawn from the settings."""

import numpy as np
import pytest

from endoforge.optics.light import LightSource, irradiance, sample_lights
from endoforge.optics.settings import LightSettings
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

# SPDX-License-Identifier: Apache-2.0
"""The sensor's response: pure power law, a smooth shoulder, exposure without a memory."""

import numpy as np
import pytest

from endoforge.optics.sensor import (
    SensorResponse,
    develop,
    exposure,
    respond,
    sample_sensor,
)
from endoforge.optics.settings import SensorSettings
from endoforge.streams import stream


def flat(value: float) -> np.ndarray:
    return np.full((16, 20, 3), value, np.float32)


def test_below_the_shoulder_the_response_is_the_power_law():
    value = np.linspace(0, 0.6, 50)
    np.testing.assert_allclose(respond(value, SensorResponse()), value ** (1 / 2.2))


def test_the_shoulder_joins_without_step_or_kink_and_ends_at_white():
    sensor = SensorResponse(gamma=1.0, shoulder=0.6)
    step = 1e-6
    before, at, after = respond(np.array([0.6 - step, 0.6, 0.6 + step]), sensor)
    assert after - at == pytest.approx(at - before, rel=1e-3)
    value = respond(np.linspace(0, 50, 5000), sensor)
    assert (np.diff(value) >= 0).all()
    assert value[-1] == pytest.approx(1)


def test_the_picture_is_the_rounded_response():
    sensor = SensorResponse(gain=1.3)
    radiance = np.random.default_rng(0).random((40, 50, 3), np.float32) * 3
    expected = respond(radiance.astype(np.float64) * 1.3, sensor) * 255
    assert np.abs(develop(radiance, sensor) - expected).max() <= 1.01


def test_developing_leaves_the_radiance_alone():
    radiance = flat(0.3)
    develop(radiance, SensorResponse(blur_px=0.8, metering=1.0))
    assert (radiance == np.float32(0.3)).all()


def test_full_metering_brings_every_flat_picture_to_the_target():
    sensor = SensorResponse(metering=1.0, target=0.25)
    for value in (0.01, 0.1, 0.8):
        assert exposure(flat(value), sensor) * value == pytest.approx(0.25, rel=1e-5)


def test_half_metering_corrects_half_of_the_error():
    sensor = SensorResponse(metering=0.5, target=0.25)
    ratio = exposure(flat(0.1), sensor) * 0.1 / (exposure(flat(0.4), sensor) * 0.4)
    assert ratio == pytest.approx(0.5, rel=1e-5)


def test_without_metering_the_gain_is_fixed_and_black_stays_black():
    assert exposure(flat(0.7), SensorResponse(gain=1.5)) == 1.5
    assert develop(flat(0.0), SensorResponse(metering=1.0)).max() == 0


def test_blur_spreads_a_point_and_keeps_its_light():
    radiance = flat(0.0)
    radiance[8, 10] = 0.5
    sharp, soft = (develop(radiance, SensorResponse(gamma=1.0, blur_px=b)) for b in (0.0, 0.7))
    assert soft[8, 10, 0] < sharp[8, 10, 0]
    assert soft[..., 0].astype(int).sum() == pytest.approx(int(sharp[..., 0].sum()), abs=4)


def test_drawn_sensors_stay_within_the_settings():
    settings = SensorSettings()
    sensor = sample_sensor(settings, stream(0, "sensor", 5))
    for name in type(settings).model_fields:
        low, high = getattr(settings, name)
        assert low <= getattr(sensor, name) <= high

# SPDX-License-Identifier: Apache-2.0
"""The processor's curve: a power law with a smooth shoulder; what is flat stays as it is."""

import numpy as np
import pytest

from endoforge.optics.exposure import LUMINANCE
from endoforge.optics.response import quantised, respond, saturate, sharpen


def test_below_the_shoulder_the_response_is_the_power_law():
    value = np.linspace(0, 0.6, 50)
    np.testing.assert_allclose(respond(value, 2.2, 0.6), value ** (1 / 2.2))


def test_the_shoulder_joins_without_step_or_kink_and_ends_at_white():
    step = 1e-6
    before, at, after = respond(np.array([0.6 - step, 0.6, 0.6 + step]), 1.0, 0.6)
    assert after - at == pytest.approx(at - before, rel=1e-3)
    value = respond(np.linspace(0, 50, 5000), 1.0, 0.6)
    assert (np.diff(value) >= 0).all()
    assert value[-1] == pytest.approx(1)


def test_the_table_is_the_curve_in_whole_steps():
    value = np.linspace(-0.1, 6, 3000, dtype=np.float32).reshape(10, 100, 3)
    exact = respond(value.astype(np.float64), 2.2, 0.6) * 255
    assert np.abs(quantised(value, 2.2, 0.6) - exact).max() <= 1.01


def test_saturation_keeps_brightness_and_grey():
    value = np.random.default_rng(0).random((8, 9, 3), np.float32)
    changed = saturate(value, 1.6)
    np.testing.assert_allclose(changed @ LUMINANCE, value @ LUMINANCE, atol=1e-6)
    grey = np.full((4, 4, 3), 0.3, np.float32)
    np.testing.assert_allclose(saturate(grey, 1.6), grey, rtol=1e-6)


def test_saturation_in_place_is_the_same():
    value = np.random.default_rng(0).random((8, 9, 3), np.float32)
    apart = saturate(value, 0.7)
    np.testing.assert_array_equal(saturate(value, 0.7, out=value), apart)


def test_no_saturation_leaves_grey_only():
    value = np.random.default_rng(0).random((8, 9, 3), np.float32)
    assert np.ptp(saturate(value, 0.0), axis=-1).max() < 1e-6


def test_sharpening_lifts_an_edge_and_leaves_flat_parts():
    image = np.full((20, 40, 3), 80, np.uint8)
    image[:, 20:] = 160
    sharp = sharpen(image, 0.8, 1.0)
    assert sharp[10, 20, 0] > 165
    assert sharp[10, 19, 0] < 75
    assert (sharp[:, :10] == 80).all()
    assert (sharp[:, 30:] == 160).all()

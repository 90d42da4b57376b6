# SPDX-License-Identifier: Apache-2.0
"""Noise has the variance that the sensor's model says, and no memory of other frames."""

import numpy as np
import pytest

from endoforge.optics.noise import add_noise


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_the_variance_is_that_of_light_and_read_out(value):
    flat = np.full((200, 300, 3), value, np.float32)
    noisy = add_noise(flat, 0.03, 0.01, np.random.default_rng(0))
    assert noisy.mean() == pytest.approx(value, abs=5e-4)
    assert noisy.var() == pytest.approx(0.03**2 * value + 0.01**2, rel=0.02)


def test_neighbours_channels_and_frames_are_independent():
    flat = np.zeros((256, 320, 3), np.float32)
    one, two = (add_noise(flat, 0.0, 1.0, np.random.default_rng(k)) for k in range(2))
    pairs = [(one, two), (one[..., 0], one[..., 1]), (one[1:], one[:-1]), (one[:, 1:], one[:, :-1])]
    for a, b in pairs:
        assert abs(np.mean(a * b)) < 0.02


def test_the_same_generator_state_gives_the_same_noise():
    flat = np.full((20, 30, 3), 0.5, np.float32)
    one, two = (add_noise(flat, 0.1, 0.1, np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_without_noise_the_values_come_back():
    flat = np.full((4, 5, 3), 0.5, np.float32)
    assert add_noise(flat, 0.0, 0.0, np.random.default_rng(0)) is flat

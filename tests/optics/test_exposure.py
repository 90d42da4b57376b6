# SPDX-License-Identifier: Apache-2.0
"""Automatic exposure: it aims at a mean, corrects a stated share, and has no memory."""

import numpy as np
import pytest

from endoforge.optics.exposure import exposure


def flat(value: float) -> np.ndarray:
    return np.full((16, 20, 3), value, np.float32)


def test_full_metering_brings_every_flat_picture_to_the_target():
    for value in (0.01, 0.1, 0.8):
        assert exposure(flat(value), 1.0, 1.0, 0.25) * value == pytest.approx(0.25, rel=1e-5)


def test_half_metering_corrects_half_of_the_error():
    dark, bright = (exposure(flat(v), 1.0, 0.5, 0.25) * v for v in (0.1, 0.4))
    assert dark / bright == pytest.approx(0.5, rel=1e-5)


def test_a_few_reflections_count_no_more_than_white():
    one, two = flat(0.2), flat(0.2)
    one[0, 0], two[0, 0] = 1.0, 1000.0
    assert exposure(one, 1.0, 1.0, 0.25) == pytest.approx(exposure(two, 1.0, 1.0, 0.25))


def test_the_black_around_a_round_picture_does_not_count():
    framed = np.zeros((64, 64, 3), np.float32)
    framed[16:48, 16:48] = 0.2
    assert exposure(framed, 1.0, 1.0, 0.25) == pytest.approx(exposure(flat(0.2), 1.0, 1.0, 0.25))


def test_without_metering_the_gain_is_fixed():
    assert exposure(flat(0.7), 1.5, 0.0, 0.25) == 1.5


def test_a_black_frame_keeps_the_gain():
    assert exposure(flat(0.0), 1.5, 1.0, 0.25) == 1.5

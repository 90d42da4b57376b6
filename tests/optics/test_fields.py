# SPDX-License-Identifier: Apache-2.0
"""Fields repeat without a seam and have the frequencies, cells and slopes that were asked for."""

import numpy as np
import pytest

from endoforge.optics import fields


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def spectrum(tile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power along u and along v, by frequency."""
    power = np.abs(np.fft.fft2(tile)) ** 2
    half = fields.SIZE // 2
    return power.sum(axis=0)[1:half], power.sum(axis=1)[1:half]


def test_noise_has_unit_variance_and_no_frequency_below_the_lowest():
    tile = fields.noise(rng(), 6, 30)
    assert tile.std() == pytest.approx(1, rel=1e-3)
    power = np.abs(np.fft.fft2(tile)) ** 2
    frequency = np.fft.fftfreq(fields.SIZE, 1 / fields.SIZE)
    low = np.hypot(frequency[:, None], frequency[None]) < 6
    assert power[low].sum() < 1e-6 * power.sum()


def test_stretched_noise_is_longer_along_u():
    along_u, along_v = spectrum(fields.noise(rng(), 3, 90, stretch=8))
    frequency = np.arange(1, fields.SIZE // 2)
    mean_u, mean_v = ((p @ frequency) / p.sum() for p in (along_u, along_v))
    assert mean_v > 4 * mean_u


def test_ring_noise_keeps_to_its_frequency():
    power = np.abs(np.fft.fft2(fields.ring_noise(rng(), 40, 0.1))) ** 2
    frequency = np.fft.fftfreq(fields.SIZE, 1 / fields.SIZE)
    radius = np.hypot(frequency[:, None], frequency[None])
    assert power[(radius > 28) & (radius < 52)].sum() > 0.98 * power.sum()


def test_cells_cover_the_tile_and_are_deepest_in_their_middle():
    inside, number = fields.cells(rng(), 12)
    assert set(np.unique(number)) == set(range(144))
    assert inside.min() < 0.05
    assert 0.7 < np.quantile(inside, 0.97) < 1.5
    sizes = np.bincount(number.ravel())
    assert sizes.min() > 0.2 * sizes.mean()


def test_cells_go_on_across_the_border():
    _, number = fields.cells(rng(), 12)
    across = (number[:, 0] == number[:, -1]).mean()
    inside = (number[:, 400] == number[:, 401]).mean()
    assert across == pytest.approx(inside, abs=0.03)


def test_bending_by_whole_texels_is_a_roll():
    tile = fields.noise(rng(), 1, 200)
    shift = np.full_like(tile, 5.0)
    moved = fields.bent(tile, shift, np.zeros_like(tile))
    np.testing.assert_allclose(moved, np.roll(tile, -5, axis=1), atol=1e-4)


def test_blur_keeps_the_mean_and_has_no_seam():
    tile = np.zeros((fields.SIZE, fields.SIZE), np.float32)
    tile[0, 0] = 1
    soft = fields.blurred(tile, 2.0)
    assert soft.sum() == pytest.approx(1, rel=1e-3)
    assert soft[0, -1] == pytest.approx(soft[0, 1], rel=1e-4)


def test_slopes_of_a_wave_are_its_derivative_at_unit_strength():
    place = 2 * np.pi * np.arange(fields.SIZE) / fields.SIZE
    height = np.broadcast_to(np.sin(3 * place)[None], (fields.SIZE, fields.SIZE))
    along_u, along_v = fields.slopes(height.astype(np.float32))
    np.testing.assert_allclose(along_u[0], np.sqrt(2) * np.cos(3 * place), atol=1e-2)
    assert np.abs(along_v).max() < 1e-6

# SPDX-License-Identifier: Apache-2.0
"""What a scanner does: blur as wide as it says, noise as strong and as coarse as it says."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from endoforge.scene.volume.phantom_settings import ScannerSettings
from endoforge.scene.volume.scanner import Scan, enlarged, filtered, sample_scan, scanned

QUIET = Scan(kernel="soft", noise_hu=0.0, slice_mm=2.0, streaks=0.0, seed=5)
WATER = np.zeros((64, 64, 64), np.float32)


def test_a_thin_sheet_is_as_thick_as_the_slice_profile():
    sheet = np.full((9, 9, 81), -1000.0, np.float32)
    sheet[:, :, 40] = 1000.0
    step = 0.25
    profile = scanned(sheet, step, replace(QUIET, slice_mm=3.0))[4, 4].astype(float) + 1000.0
    above = np.flatnonzero(profile >= profile.max() / 2)
    assert (above[-1] - above[0] + 1) * step == pytest.approx(3.0, abs=2 * step)
    assert profile.sum() == pytest.approx(2000.0, rel=0.02)


@pytest.mark.parametrize("noise", [8.0, 30.0])
def test_noise_has_the_deviation_that_was_asked_for_in_the_middle(noise):
    hu = scanned(WATER, 1.4, replace(QUIET, noise_hu=noise))
    assert hu[24:40, 24:40].std() == pytest.approx(noise, rel=0.2)
    assert abs(hu.mean()) < 0.1 * noise
    corner = hu[:8, :8].std()
    assert corner < hu[24:40, 24:40].std()


def correlation(hu, axis):
    a = np.moveaxis(hu.astype(float), axis, 0)
    return float((a[1:] * a[:-1]).mean() / (a * a).mean())


def test_a_soft_kernel_has_coarser_grains_than_a_sharp_one():
    soft = scanned(WATER, 0.7, replace(QUIET, noise_hu=20.0))
    sharp = scanned(WATER, 0.7, replace(QUIET, noise_hu=20.0, kernel="sharp"))
    assert correlation(soft, 0) > correlation(sharp, 0) + 0.2


def test_noise_has_no_slow_part():
    hu = scanned(WATER, 1.4, replace(QUIET, noise_hu=20.0)).astype(float)
    white = np.random.default_rng(0).normal(0, hu.std(), hu.shape)
    slow = [ndimage.uniform_filter(v, (16, 16, 1))[8:-8, 8:-8].std() for v in (hu, white)]
    assert slow[0] < slow[1]


def test_the_same_seed_is_the_same_noise():
    scan = replace(QUIET, noise_hu=12.0)
    np.testing.assert_array_equal(scanned(WATER, 1.4, scan), scanned(WATER, 1.4, scan))
    assert (scanned(WATER, 1.4, scan) != scanned(WATER, 1.4, replace(scan, seed=6))).mean() > 0.8


def test_between_two_dense_bones_it_gets_darker():
    hips = WATER.copy()
    hips[8:16, 28:36, 24:40] = hips[48:56, 28:36, 24:40] = 1200.0
    hu = scanned(hips, 4.0, replace(QUIET, streaks=1.0))
    assert hu[32, 32, 32] < -5
    assert abs(int(hu[32, 8, 32])) < 2  # beside the line between them
    assert (scanned(hips, 4.0, QUIET)[32, 32, 32]) == 0


def test_filtering_matches_scipy():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, (11, 13, 17)).astype(np.float32)
    kernels = [np.array([0.2, 0.6, 0.2], np.float32), np.array([1.0], np.float32),
               np.array([0.1, 0.2, 0.4, 0.2, 0.1], np.float32)]  # fmt: skip
    expected = values
    for axis, kernel in enumerate(kernels):
        expected = ndimage.correlate1d(expected, kernel, axis, mode="nearest")
    np.testing.assert_allclose(filtered(values, kernels), expected, atol=1e-5)


def test_a_coarse_grid_is_spread_linearly():
    ramp = np.broadcast_to(np.arange(4, dtype=np.float32)[:, None, None], (4, 3, 2))
    fine = enlarged(ramp, (16, 9, 8))
    assert fine.shape == (16, 9, 8)
    np.testing.assert_allclose(fine[2:-2, 4, 4], (np.arange(2, 14) + 0.5) / 4 - 0.5, atol=1e-5)


def test_scans_are_drawn_within_their_ranges():
    settings = ScannerSettings(noise_hu=(9.0, 11.0), kernel="sharp")
    drawn = [sample_scan(settings, np.random.default_rng(k)) for k in range(5)]
    assert all(9 <= scan.noise_hu <= 11 and scan.kernel == "sharp" for scan in drawn)
    assert len({scan.seed for scan in drawn}) == 5

# SPDX-License-Identifier: Apache-2.0
"""The rules and the denoiser with the renderer itself, inside a small tube with folds."""

import time
from dataclasses import fields, replace

import numpy as np
import pytest

from endoforge.geometry.cameras import PinholeCamera
from endoforge.geometry.poses import look_at
from endoforge.optics.light import LightSource
from endoforge.optics.transfer_file import preset
from endoforge.render.volume.convergence import displayed, exposed, merged, noise_of, tally
from endoforge.render.volume.denoise import denoised
from endoforge.render.volume.renderer import VolumeRenderer
from endoforge.render.volume.settings import QualitySettings
from endoforge.render.volume.view import VolumeView
from endoforge.scene.volume.records import CtVolume

SIZE = 56
TRUE_SAMPLES = 96  # in each of two halves


def tube() -> CtVolume:
    """Gas in soft tissue, with folds, scanner noise and 1.5 mm voxels."""
    rng = np.random.default_rng(5)
    x, y, z = (np.mgrid[:40, :40, :48] - np.array([20.0, 20.0, 0.0])[:, None, None, None]) * 1.5
    radius = 16 + 4 * np.cos(z / 4) + 1.5 * np.cos(3 * np.arctan2(y, x))
    wall = np.clip((np.hypot(x, y) - radius) / 1.5 + 0.5, 0, 1)
    hu = -1000 + 1040 * wall + rng.normal(0, 10, wall.shape)
    pose = np.diag([1.5, 1.5, 1.5, 1.0])
    pose[:3, 3] = [-30, -30, 0]
    return CtVolume(hu.astype(np.int16), pose)


@pytest.fixture(scope="module")
def renderer() -> VolumeRenderer:
    lens = PinholeCamera.from_field_of_view(SIZE, SIZE, horizontal_deg=90)
    return VolumeRenderer(tube(), lens, preset("colon-lumen"), "cpu")


@pytest.fixture(scope="module")
def view() -> VolumeView:
    pose = look_at(np.array([2.0, 1.0, 8.0]), np.array([0.0, 0.0, 40.0]), np.array([0.0, 1.0, 0.0]))
    return VolumeView(pose, (LightSource((2.0, 0.0, 0.0), mu=1.0),), seed=3)


@pytest.fixture(scope="module")
def halves(renderer, view) -> list[np.ndarray]:
    """Two independent pictures that are nearly converged."""
    return [
        renderer.expose(view, TRUE_SAMPLES, first_sample=first).radiance
        for first in (1 << 20, 1 << 21)
    ]


def squared_error(picture, halves) -> float:
    """Of the displayed picture, without the reference's own noise."""
    white = float(np.percentile(sum(halves) / 2, 99))
    shown, one, other = (displayed(p, white) for p in (picture, *halves))
    return float(np.mean((shown - one) * (shown - other)))


@pytest.mark.parametrize("method", ["guided", "oidn"])
def test_four_samples_gain_eight_decibels_and_keep_their_brightness(renderer, view, halves, method):
    if method == "oidn":
        pytest.importorskip("mitsuba_oidn", exc_type=ImportError)
    shot, labels = exposed(renderer, view, QualitySettings(samples=4)), renderer.labels(view)
    smooth = denoised(shot, labels, method)
    gain = squared_error(shot.radiance, halves) / squared_error(smooth, halves)
    assert 10 * np.log10(gain) > 8
    assert smooth.mean() == pytest.approx(
        shot.radiance.mean(), rel=0.01 if method == "guided" else 0.05
    )


def test_labels_are_the_same_to_the_bit_whatever_the_quality(renderer, view):
    before = renderer.labels(view)
    for quality in (QualitySettings(samples=2), QualitySettings(noise=0.2, denoise="off")):
        shot = exposed(renderer, view, quality)
        after = renderer.labels(view)
        denoised(shot, after, quality.denoise)
        for entry in fields(before):
            one, other = getattr(before, entry.name), getattr(after, entry.name)
            if isinstance(one, np.ndarray):
                assert one.tobytes() == other.tobytes(), entry.name


def test_passes_draw_other_paths_and_agree_with_one_long_pass(renderer, view, halves):
    quality = QualitySettings(samples=32, progressive=True)
    passes = exposed(renderer, view, quality)
    assert not np.array_equal(
        renderer.expose(view, 4).radiance, renderer.expose(view, 4, first_sample=4).radiance
    )
    long = renderer.expose(view, TRUE_SAMPLES, first_sample=1 << 22)
    apart = (passes.radiance - long.radiance)[..., 0]
    variance = (passes.variance + long.variance)[..., 0]
    assert abs(apart.sum()) < 4 * np.sqrt(variance.sum())
    assert np.square(apart).mean() == pytest.approx(variance.mean(), rel=0.15)


def test_a_noise_target_means_that_error(renderer, view, halves):
    shot = exposed(renderer, view, QualitySettings(noise=0.06))
    assert noise_of(shot) <= 0.06
    assert 0.75 * 0.06 < np.sqrt(squared_error(shot.radiance, halves)) < 1.15 * 0.06
    again = exposed(renderer, replace(view), QualitySettings(noise=0.06))
    assert again.samples == shot.samples
    assert again.radiance.tobytes() == shot.radiance.tobytes()


def test_a_time_budget_holds_with_denoising(renderer, view):
    labels = renderer.labels(view)
    quality = QualitySettings(seconds=1.0, max_samples=1 << 16)
    ratios = []
    for seed in range(3):  # the machine may be busy with something else
        begin = time.perf_counter()
        shot = exposed(renderer, replace(view, seed=seed), quality)
        denoised(shot, labels, quality.denoise)
        ratios.append((time.perf_counter() - begin) / 1.0)
    assert 0.8 < np.median(ratios) < 1.2


def test_merging_what_the_renderer_gives_loses_nothing(renderer, view):
    parts = [renderer.expose(view, n, first_sample=f) for n, f in ((3, 0), (5, 3))]
    both = merged(*(tally(part) for part in parts)).exposure()
    mean = (3 * parts[0].radiance + 5 * parts[1].radiance) / 8
    np.testing.assert_allclose(both.radiance, mean, rtol=1e-5, atol=1e-7)
    assert both.samples == 8 and both.variance is not None

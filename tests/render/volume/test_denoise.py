# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from endoforge.errors import ShapeError
from endoforge.render.volume.denoise import denoised, without_fireflies
from endoforge.render.volume.view import Exposure, VolumeLabels

HEIGHT, WIDTH = 72, 96
METHODS = ("guided", "oidn")


def labels() -> VolumeLabels:
    """A wall to the left, a farther one to the right, nothing at the far right."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    found = u < 80
    distance = np.where(u < 40, 30.0, 60.0) + 0.05 * v
    normal = np.zeros((HEIGHT, WIDTH, 3))
    normal[..., 0] = np.where(u < 40, 0.6, 0.0)
    normal[..., 2] = -np.sqrt(1 - normal[..., 0] ** 2)
    seen = np.where(found, distance, np.nan).astype(np.float32)
    return VolumeLabels(
        distance_mm=seen,
        expected_mm=seen,
        first_mm=seen,
        opacity=found.astype(np.float32),
        normal_camera=np.where(found[..., None], normal, np.nan).astype(np.float32),
        hu=np.where(found, 40, -1024).astype(np.int16),
        organ=np.zeros(found.shape, np.uint8),
        found=found,
    )


def truth() -> np.ndarray:
    """Light falls off along each wall; the walls meet at an edge."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    light = np.where(u < 40, 0.9 - 0.004 * v, 0.25 + 0.002 * v)
    light = np.where(u < 80, light, 0.0)
    return (light[..., None] * [1.0, 0.6, 0.5]).astype(np.float32)


def shot(samples: int = 4, seed: int = 0) -> Exposure:
    """Samples that are exponentially distributed, which is long-tailed as light is."""
    rng = np.random.default_rng(seed)
    draws = rng.exponential(size=(samples, HEIGHT, WIDTH, 1))
    tint = rng.choice([0.2, 1.8], size=(samples, HEIGHT, WIDTH, 3))
    values = truth() * draws * tint
    albedo = np.where(labels().found[..., None], np.float32(0.7), np.float32(0))
    return Exposure(
        radiance=values.mean(axis=0).astype(np.float32),
        samples=samples,
        variance=(values.var(axis=0, ddof=1) / samples).astype(np.float32) if samples > 1 else None,
        albedo=np.repeat(albedo, 3, axis=-1),
        seconds=0.0,
    )


def error(radiance: np.ndarray, where: np.ndarray | bool = True) -> float:
    apart = np.square(radiance - truth()).mean(axis=-1)
    return float(np.sqrt(apart[np.broadcast_to(where, apart.shape)].mean()))


@pytest.fixture(params=METHODS)
def method(request) -> str:
    if request.param == "oidn":
        pytest.importorskip("mitsuba_oidn", exc_type=ImportError)
    return request.param


def test_noise_is_smoothed_and_the_mean_kept(method):
    noisy = shot()
    smooth = denoised(noisy, labels(), method)
    assert smooth.dtype == np.float32
    assert error(smooth) < error(noisy.radiance) / 4
    means = [denoised(shot(seed=k), labels(), method).mean() for k in range(5)]
    assert np.mean(means) == pytest.approx(truth().mean(), rel=0.01)


def test_light_does_not_cross_an_edge_of_the_shape():
    u = np.arange(WIDTH)[None].repeat(HEIGHT, axis=0)
    rim = (u >= 38) & (u < 42)
    noisy = shot(samples=16)
    smooth = denoised(noisy, labels(), "guided")
    assert error(smooth, rim) < 0.6 * error(noisy.radiance, rim)
    blind = replace(labels(), distance_mm=np.full_like(labels().distance_mm, 40.0))
    blind.normal_camera[:] = [0, 0, -1]
    blind.opacity[:] = 1
    worse = denoised(noisy, replace(blind, found=np.ones((HEIGHT, WIDTH), bool)), "guided")
    assert error(worse, rim) > 1.5 * error(smooth, rim)


def test_where_no_light_met_matter_the_picture_stays_to_the_bit(method):
    noisy = shot()
    smooth = denoised(noisy, labels(), method)
    empty = ~labels().found
    assert np.array_equal(smooth[empty], noisy.radiance[empty])
    assert smooth.min() >= 0


def test_labels_and_picture_are_left_as_they_were(method):
    known, noisy = labels(), shot()
    denoised(noisy, known, method)
    for name in ("distance_mm", "opacity", "normal_camera", "hu", "found"):
        np.testing.assert_array_equal(getattr(known, name), getattr(labels(), name))
    for name in ("radiance", "variance", "albedo"):
        np.testing.assert_array_equal(getattr(noisy, name), getattr(shot(), name))


def test_the_same_picture_is_smoothed_to_the_same_bits(method):
    twice = [denoised(shot(), labels(), method) for _ in range(2)]
    assert np.array_equal(*twice)


def test_a_single_sample_is_smoothed_by_what_its_neighbours_say():
    one = shot(samples=1)
    assert error(denoised(one, labels(), "guided")) < error(one.radiance) / 4


def test_a_depth_that_is_missing_where_something_was_found_is_no_guide():
    known = labels()  # by another rule of depth, more pixels have one
    all_found = replace(known, found=np.ones_like(known.found))
    smooth = denoised(shot(), all_found, "guided")
    np.testing.assert_array_equal(smooth, denoised(shot(), known, "guided"))


def test_off_is_off():
    noisy = shot()
    assert denoised(noisy, labels(), "off") is noisy.radiance


def test_labels_of_another_size_are_refused(plain_shapes):
    small = replace(shot(), radiance=np.ones((4, 4, 3), np.float32))
    with pytest.raises(ShapeError, match=r"\(72, 96\).*\(4, 4\)"):
        denoised(small, labels(), "guided")


# ---- fireflies ----------------------------------------------------------------------------------


def lit(value: float, own_error: float) -> Exposure:
    """An even picture of noise 0.02 with one bright pixel."""
    radiance = np.full((15, 15, 3), 0.5, np.float32)
    variance = np.full_like(radiance, 0.02**2)
    radiance[7, 7], variance[7, 7] = value, own_error**2
    return Exposure(radiance, 16, variance, np.ones_like(radiance), 0.0)


def test_a_firefly_comes_down_to_what_is_plausible():
    limited = without_fireflies(lit(40.0, 39.0))
    assert limited[7, 7, 0] == pytest.approx(0.5 + 8 * 0.02, rel=1e-3)
    others = np.ones((15, 15), bool)
    others[7, 7] = False
    assert np.all(limited[others] == np.float32(0.5))


def test_a_highlight_that_every_sample_finds_stays():
    shining = lit(40.0, 2.0)
    assert np.array_equal(without_fireflies(shining), shining.radiance)


def test_usual_noise_is_hardly_limited_and_never_brightened():
    noisy = shot()
    limited = without_fireflies(noisy)
    assert np.all(limited <= noisy.radiance)
    assert limited.mean() > 0.998 * noisy.radiance.mean()


def test_fireflies_can_be_kept():
    noisy = shot()
    noisy.radiance[30, 20], noisy.variance[30, 20] = 500.0, 500.0**2
    kept = denoised(noisy, labels(), "guided", limit_fireflies=False)
    limited = denoised(noisy, labels(), "guided")
    assert kept[25:35, 15:25].mean() > 3 * limited[25:35, 15:25].mean()
    assert limited[25:35, 15:25].mean() == pytest.approx(truth()[25:35, 15:25].mean(), rel=0.1)

# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.render.volume.regression import Noisy, fitted, solved

HEIGHT, WIDTH = 90, 130  # no multiples of a cell


def guides() -> list[np.ndarray]:
    """A smooth one and one with a sharp edge."""
    v, u = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    return [np.sin(u / 9) * np.cos(v / 13), np.where(u + v > 110, np.float32(1), np.float32(0))]


def picture() -> np.ndarray:
    """What the guides explain altogether."""
    smooth, edge = guides()
    parts = [0.6 + 0.2 * smooth + 0.5 * edge, 0.5 - 0.1 * smooth + 0.2 * edge, 0.3 + 0.1 * edge]
    return np.stack(parts, axis=-1).astype(np.float32)


def noisy(deviation: float, seed: int = 0) -> Noisy:
    draws = np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH, 3))
    variance = np.full((HEIGHT, WIDTH), deviation**2, np.float32)
    counts = np.ones((HEIGHT, WIDTH), bool)
    return Noisy((picture() + deviation * draws).astype(np.float32), variance, counts)


def error(radiance: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(radiance - picture()))))


def test_many_small_systems_are_solved_as_one_by_one():
    rng = np.random.default_rng(1)
    count, systems = 5, 40
    half = rng.standard_normal((systems, count, count))
    full = half @ half.transpose(0, 2, 1) + 0.5 * np.eye(count)
    right = rng.standard_normal((systems, count, 3))
    entries = {(i, j): full[:, i, j] for i in range(count) for j in range(i, count)}
    found = solved(entries, [right[:, i].T for i in range(count)])
    wanted = np.linalg.solve(full, right)
    np.testing.assert_allclose(np.stack(found).transpose(2, 0, 1), wanted, rtol=1e-7, atol=1e-9)


def test_what_the_guides_explain_is_found_below_the_noise_edge_and_all():
    smooth = fitted(noisy(0.3), guides())
    assert error(smooth) < 0.3 / 9
    _, edge = guides()
    rim = np.abs(np.diff(edge, axis=1, prepend=edge[:, :1])) > 0
    assert np.sqrt(np.mean(np.square(smooth - picture())[rim])) < 0.3 / 6


def test_detail_that_no_guide_explains_returns_as_the_noise_falls():
    blind = [np.zeros((HEIGHT, WIDTH), np.float32)]
    errors = [error(fitted(noisy(deviation), blind)) for deviation in (0.3, 0.03, 0.003)]
    assert errors[0] < 0.3 / 2 and errors[1] < 0.03 and errors[2] < 0.0031


def test_a_picture_without_noise_stays_as_it_is():
    np.testing.assert_allclose(fitted(noisy(0.0), guides()), picture(), atol=1e-5)


def test_the_mean_is_kept():
    for seed in range(4):
        before = noisy(0.3, seed)
        after = fitted(before, guides(), [(0, 1), (0,)])
        assert after.mean() == pytest.approx(before.radiance.mean(), rel=3e-3)


def test_pixels_that_do_not_count_lend_nothing():
    clean, masked = noisy(0.1), noisy(0.1)
    masked.counts[:, :40] = False
    masked.radiance[:, :40] = 1e4
    inside = (slice(None), slice(40, None))
    without = fitted(masked, guides())[inside]
    assert np.sqrt(np.mean(np.square(without - picture()[inside]))) < 0.1 / 5
    assert np.abs(without - fitted(clean, guides())[inside])[:, 60:].max() < 0.02


@pytest.mark.parametrize("shape", [(5, 9), (33, 200), (64, 64)])
def test_every_size_works(shape):
    even = np.full((*shape, 3), 0.4, np.float32)
    flat = Noisy(even, np.full(shape, 0.01, np.float32), np.ones(shape, bool))
    np.testing.assert_allclose(fitted(flat, [np.zeros(shape, np.float32)]), even, rtol=1e-4)

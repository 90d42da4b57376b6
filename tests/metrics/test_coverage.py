# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.errors import ShapeError
from endoforge.metrics.coverage import coverage


def slow(real, made, k):
    """The definitions with loops."""

    def radius(points, i):
        return sorted(np.linalg.norm(points[i] - q) for q in points)[k]

    radii = [radius(real, i) for i in range(len(real))]
    inside = [[np.linalg.norm(r - m) <= radii[i] for m in made] for i, r in enumerate(real)]
    density = sum(map(sum, inside)) / (k * len(made))
    return density, sum(map(any, inside)) / len(real)


def test_it_counts_as_the_definition_with_loops():
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(30, 3)), rng.normal(size=(25, 3)) * 0.7 + 0.3
    found = coverage(real, made, 4)
    assert (found.density, found.coverage) == pytest.approx(slow(real, made, 4))


def test_by_hand_on_a_line():
    real = np.array([[0.0], [1.0], [3.0]])  # radii with k = 1: 1, 1, 2
    made = np.array([[0.5], [10.0]])
    found = coverage(real, made, 1)
    assert found.density == 2 / 2  # 0.5 lies in the balls of 0 and of 1
    assert found.coverage == pytest.approx(2 / 3)
    assert found.precision == 0.5
    assert found.recall == 1.0  # both made balls reach 9.5 px far


def test_one_repeated_picture_is_dense_but_covers_little():
    rng = np.random.default_rng(1)
    real = rng.normal(size=(200, 4))
    collapsed = np.repeat(real.mean(0)[None], 50, axis=0) + 1e-6 * rng.normal(size=(50, 4))
    same = coverage(real[:100], real[100:])
    lazy = coverage(real, collapsed)
    assert same.coverage > 0.9
    assert lazy.precision == 1.0
    assert lazy.density > 1
    assert lazy.coverage < 0.5
    assert lazy.recall < 0.05


@pytest.mark.parametrize(("real", "made"), [((5, 4), (9, 4)), ((9, 4), (9, 5))])
def test_sets_that_cannot_be_compared_are_refused(real, made):
    with pytest.raises(ShapeError, match="more than k = 5"):
        coverage(np.zeros(real), np.zeros(made))

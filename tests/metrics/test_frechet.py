# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import scipy.linalg

from endoforge.errors import ShapeError
from endoforge.metrics.frechet import frechet_distance


def test_of_one_dimension_it_is_the_difference_of_means_and_deviations():
    rng = np.random.default_rng(0)
    first, second = rng.normal(2, 3, (40, 1)), rng.normal(-1, 0.5, (70, 1))
    expected = (first.mean() - second.mean()) ** 2
    expected += (first.std(ddof=1) - second.std(ddof=1)) ** 2
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-12)


def test_it_is_the_matrix_root_of_the_paper():
    rng = np.random.default_rng(1)
    first = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    second = rng.normal(size=(150, 6)) @ rng.normal(size=(6, 6)) + 1
    covariances = [np.cov(x.T) for x in (first, second)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    expected = np.square(first.mean(0) - second.mean(0)).sum()
    expected += np.trace(covariances[0] + covariances[1] - 2 * root.real)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9)


def test_it_is_zero_for_equal_sets_symmetric_and_the_shift_squared_for_moved_ones():
    x = np.random.default_rng(2).normal(size=(8, 30))  # fewer pictures than features
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + 2) == pytest.approx(4 * 30, rel=1e-9)
    y = x[:5] * 2
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)


@pytest.mark.parametrize(("first", "second"), [((1, 4), (9, 4)), ((9, 4), (9, 5))])
def test_sets_that_cannot_be_compared_are_refused(first, second):
    with pytest.raises(ShapeError, match="at least 2 pictures"):
        frechet_distance(np.zeros(first), np.zeros(second))


def test_features_that_are_no_numbers_are_refused():
    with pytest.raises(ShapeError, match="finite"):
        frechet_distance(np.full((4, 2), np.nan), np.zeros((4, 2)))

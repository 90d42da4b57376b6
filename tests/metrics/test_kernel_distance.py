# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.errors import ShapeError
from endoforge.metrics.kernel_distance import kernel_distance


def clouds(shift: float, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(count, 8)), rng.normal(size=(count + 20, 8)) + shift


def test_it_is_the_double_sum_of_its_definition():
    first, second = clouds(0.5, 6)

    def k(x, y):
        return (float(x @ y) / 8 + 1) ** 3

    def mean(a, b, own):
        pairs = [k(x, y) for i, x in enumerate(a) for j, y in enumerate(b) if not (own and i == j)]
        return sum(pairs) / len(pairs)

    expected = mean(first, first, True) + mean(second, second, True)
    expected -= 2 * mean(first, second, False)
    found = kernel_distance(first, second, np.random.default_rng(0))
    assert found.value == pytest.approx(expected, rel=1e-12)


def test_equal_distributions_are_near_zero_and_shifted_ones_grow_apart():
    rng = np.random.default_rng(0)
    same, near, far = (kernel_distance(*clouds(shift), rng) for shift in (0.0, 0.5, 1.0))
    assert abs(same.value) < 3 * same.deviation
    assert near.value > 5 * near.deviation / 2
    assert far.value > 3 * near.value


@pytest.mark.parametrize(("first", "second"), [((3, 8), (9, 8)), ((9, 8), (9, 7))])
def test_sets_that_cannot_be_compared_are_refused(first, second):
    with pytest.raises(ShapeError, match="at least 4 pictures"):
        kernel_distance(np.zeros(first), np.zeros(second), np.random.default_rng(0))

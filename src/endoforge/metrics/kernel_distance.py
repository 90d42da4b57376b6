# SPDX-License-Identifier: Apache-2.0
"""How far two sets of pictures are apart in the features of a network that is named beside it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from endoforge.errors import ShapeError


@dataclass(frozen=True)
class KernelDistance:
    """A kernel distance with its uncertainty.

    Attributes:
        value: Squared maximum mean discrepancy, unbiased: near 0, even below, for equal sets.
        deviation: Standard deviation of the value over random subsets of both sets.
    """

    value: float
    deviation: float


def kernel_distance(
    first: Float[np.ndarray, "pictures features"],
    second: Float[np.ndarray, "others _"],
    rng: np.random.Generator,
    subsets: int = 50,
) -> KernelDistance:
    """Distance of two sets of feature vectors under the kernel (x·y / features + 1)³.

    Args:
        first: One row per picture.
        second: One row per picture of the other set.
        rng: Draws the subsets for the deviation.
        subsets: How many subsets of half of each set.

    Raises:
        ShapeError: A set has fewer than four pictures, or the features differ in number.

    Source:
        Bińkowski et al., *Demystifying MMD GANs*, ICLR 2018, equation 4 and section 4. It is
        called KID only when the features are those of Inception.
    """
    if min(len(first), len(second)) < 4 or first.shape[1] != second.shape[1]:
        raise ShapeError(
            f"a kernel distance needs two sets of at least 4 pictures with as many features, got "
            f"{first.shape} and {second.shape}"
        )
    within, across, other = (_kernel(a, b) for a, b in _pairs(first, second))
    values = []
    for _ in range(subsets):
        i = rng.permutation(len(first))[: len(first) // 2]
        j = rng.permutation(len(second))[: len(second) // 2]
        values.append(_unbiased(within[np.ix_(i, i)], across[np.ix_(i, j)], other[np.ix_(j, j)]))
    return KernelDistance(_unbiased(within, across, other), float(np.std(values)))


def _pairs(first: np.ndarray, second: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    return (first, first), (first, second), (second, second)


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    product = first.astype(np.float64) @ second.astype(np.float64).T
    return np.asarray((product / first.shape[1] + 1) ** 3)


def _unbiased(within: np.ndarray, across: np.ndarray, other: np.ndarray) -> float:
    n, m = across.shape
    own = (within.sum() - np.trace(within)) / (n * (n - 1))
    others = (other.sum() - np.trace(other)) / (m * (m - 1))
    return float(own + others - 2 * across.mean())

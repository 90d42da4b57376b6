# SPDX-License-Identifier: Apache-2.0
"""Fréchet distance of two sets of feature vectors, as if both were Gaussian."""

import numpy as np
from jaxtyping import Float

from endoforge.errors import ShapeError


def frechet_distance(
    first: Float[np.ndarray, "pictures features"], second: Float[np.ndarray, "others _"]
) -> float:
    """Squared Fréchet distance |m - m'|² + tr(C + C' - 2 (C C')^½) of two sets.

    The trace of the root is the sum of the singular values of A A'ᵀ, where A and A' are the centred
    sets over the square root of their number less one. That is never complex, and it is exact also
    with fewer pictures than features, where a matrix root of C C' fails.

    Args:
        first: One row per picture.
        second: One row per picture of the other set.

    Raises:
        ShapeError: A set has fewer than two pictures, the features differ in number, or a feature
            is not finite.

    Source:
        Dowson and Landau, *The Fréchet distance between multivariate normal distributions*, 1982;
        Heusel et al., NIPS 2017, equation 6. It is called FID only when the features are those of
        Inception. Its bias falls with the number of pictures: compare sets of equal
        size.
    """
    if min(len(first), len(second)) < 2 or first.shape[1] != second.shape[1]:
        raise ShapeError(
            f"a Fréchet distance needs two sets of at least 2 pictures with as many features, got "
            f"{first.shape} and {second.shape}"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ShapeError("a Fréchet distance needs finite features, got NaN or infinity; mend them")
    (mean, spread), (other_mean, other_spread) = _moments(first), _moments(second)
    root = np.linalg.svd(spread @ other_spread.T, compute_uv=False).sum()
    variances = np.square(spread).sum() + np.square(other_spread).sum()
    shift = np.square(mean - other_mean).sum()
    return float(max(shift + variances - 2 * root, 0.0))


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and the centred rows over sqrt(n - 1), whose Gram matrix is the covariance."""
    mean = features.mean(axis=0, dtype=np.float64)
    return mean, (features - mean) / np.sqrt(len(features) - 1)

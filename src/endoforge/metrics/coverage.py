# SPDX-License-Identifier: Apache-2.0
"""How true made-up pictures are, and how much of reality they show, apart from each other.

A distance between sets mixes two faults: pictures that look like nothing real, and real pictures
that nothing looks like. Density and precision count the first, coverage and recall the second.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from endoforge.errors import ShapeError


@dataclass(frozen=True)
class Coverage:
    """Four shares; all are 1 or near it for equal sets, density may exceed 1.

    Attributes:
        density: Mean number of real neighbourhoods that a made picture lies in, over k.
        coverage: Share of real neighbourhoods that hold a made picture.
        precision: Share of made pictures that lie in a real neighbourhood.
        recall: Share of real pictures that lie in a made neighbourhood.
    """

    density: float
    coverage: float
    precision: float
    recall: float


def coverage(
    real: Float[np.ndarray, "pictures features"],
    made: Float[np.ndarray, "others _"],
    neighbours: int = 5,
) -> Coverage:
    """Count in how many neighbourhoods the pictures of the other set lie.

    A picture's neighbourhood is the ball that reaches to its k-th nearest of its own set.

    Args:
        real: One row of features per picture.
        made: One row per made picture.
        neighbours: k.

    Raises:
        ShapeError: A set has k pictures or fewer, or the features differ in number.

    Source:
        Naeem et al., *Reliable fidelity and diversity metrics*, ICML 2020, equations 2 to 4 with
        k = 5; precision and recall are those of Kynkäänniemi et al., NeurIPS 2019.
    """
    if min(len(real), len(made)) <= neighbours or real.shape[1] != made.shape[1] or neighbours < 1:
        raise ShapeError(
            f"density and coverage need two sets of more than k = {neighbours} >= 1 pictures with "
            f"as many features, got {real.shape} and {made.shape}"
        )
    across = _distances(real, made)
    in_real = across <= _radii(real, neighbours)[:, None]
    in_made = across <= _radii(made, neighbours)[None, :]
    return Coverage(
        density=float(in_real.sum() / (neighbours * len(made))),
        coverage=float(in_real.any(axis=1).mean()),
        precision=float(in_real.any(axis=0).mean()),
        recall=float(in_made.any(axis=1).mean()),
    )


def _radii(features: np.ndarray, neighbours: int) -> np.ndarray:
    """Distance of each to its k-th nearest other."""
    distances = _distances(features, features)
    np.fill_diagonal(distances, 0.0)
    return np.asarray(np.partition(distances, neighbours, axis=1)[:, neighbours])


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    one, other = first.astype(np.float64), second.astype(np.float64)
    middle = other.mean(axis=0)
    one, other = one - middle, other - middle
    squared = np.square(one).sum(1)[:, None] + np.square(other).sum(1) - 2 * one @ other.T
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))

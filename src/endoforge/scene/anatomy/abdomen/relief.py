# SPDX-License-Identifier: Apache-2.0
"""Unevenness of organs: smooth noise in space, and lobules with furrows between them."""

import numpy as np
from jaxtyping import Float, Float64
from scipy import ndimage
from scipy.spatial import cKDTree


def smooth_noise(
    points_mm: Float[np.ndarray, "points 3"], wavelength_mm: float, seed: int
) -> Float64[np.ndarray, "points"]:
    """Smooth random values in space with mean 0 and deviation near 1.

    Args:
        points_mm: Where to read it.
        wavelength_mm: Distance between hills, about.
        seed: Which noise; the same seed gives the same values wherever the points lie.
    """
    rng = np.random.default_rng(seed)
    lattice = rng.normal(0.0, 1.0, (32, 32, 32))
    at = np.asarray(points_mm, dtype=np.float64) / (0.5 * wavelength_mm) + rng.uniform(0, 32, 3)
    values = ndimage.map_coordinates(lattice, at.T, order=3, mode="grid-wrap")
    return np.asarray(values / 0.62, dtype=np.float64)


def lobules(
    points_mm: Float[np.ndarray, "points 3"], size_mm: float, seed: int
) -> tuple[Float64[np.ndarray, "points"], Float64[np.ndarray, "points"]]:
    """Round lobules packed side by side.

    Returns:
        Height from 0 in a furrow to 1 on top of a lobule, and a value from -1 to 1 that is the
        same all over one lobule.
    """
    rng = np.random.default_rng(seed)
    points = np.asarray(points_mm, dtype=np.float64)
    low = np.floor(points.min(axis=0) / size_mm) - 2
    count = (np.ceil(points.max(axis=0) / size_mm) + 2 - low).astype(int)
    cells = np.stack(np.meshgrid(*(np.arange(n) for n in count), indexing="ij"), axis=-1)
    seeds = (low + cells.reshape(-1, 3) + rng.uniform(0, 1, (int(count.prod()), 3))) * size_mm
    near, index = cKDTree(seeds, balanced_tree=False).query(points, k=2)
    height = np.clip((near[:, 1] - near[:, 0]) / (0.6 * size_mm), 0.0, 1.0)
    own = rng.uniform(-1.0, 1.0, len(seeds))[index[:, 0]]
    return np.sqrt(height * (2.0 - height)), own

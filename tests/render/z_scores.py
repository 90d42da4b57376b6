# SPDX-License-Identifier: Apache-2.0
"""Whether two noisy pictures of one scene differ by more than their noise: shared by tests."""

import numpy as np

from endoforge.render.volume.view import Exposure

#: One seed in some ten thousand fails by chance; ours do not, and do not change.
UNLIKELY = 3.9


def apart(ours: Exposure, twin: Exposure) -> tuple[np.ndarray, np.ndarray]:
    """The difference of two pictures, and the standard deviation that their noise gives it."""
    spread = np.sqrt(ours.variance.astype(np.float64) + twin.variance)
    return ours.radiance.astype(np.float64) - twin.radiance, spread


def z_of_total(error: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """How many standard deviations the sum over all pixels is off, for each colour."""
    return np.abs(error.sum(axis=(0, 1))) / np.sqrt((spread**2).sum(axis=(0, 1)))

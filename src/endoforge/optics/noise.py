# SPDX-License-Identifier: Apache-2.0
"""Noise of the sensor: of the light itself, and of reading it out."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float32

from endoforge.optics.scratch import scratch

_SHORTEST_REEL = 1 << 20


def add_noise(
    value: Float32[np.ndarray, "height width 3"],
    shot: float,
    read: float,
    rng: np.random.Generator,
    out: Float32[np.ndarray, "height width 3"] | None = None,
) -> Float32[np.ndarray, "height width 3"]:
    """Add noise whose variance is shot² · value + read².

    The normal numbers come from a reel that is drawn once; `rng` says where this frame starts to
    read it. That takes a tenth of the time of drawing them anew.

    Args:
        value: Sensor values, 1 for white.
        shot: Standard deviation of the light's noise at white: 1 / √(electrons at white).
        read: Standard deviation of the read-out, in sensor values.
        rng: Random numbers of this frame.
        out: Where the result goes; may be the values themselves.

    Returns:
        Values that can be below 0.

    Source:
        Poisson-Gaussian model: Foi et al., *Practical Poissonian-Gaussian noise modeling and
        fitting for single-image raw-data*, IEEE TIP 2008, equation 3.
    """
    if shot == 0 and read == 0:
        return value
    reel = _reel(_reel_length(value.size))
    start = int(rng.integers(len(reel) - value.size))
    deviation = np.maximum(value, 0, out=scratch("deviation", value.shape))
    deviation *= np.float32(shot**2)
    deviation += np.float32(read**2)
    np.sqrt(deviation, out=deviation)
    deviation *= reel[start : start + value.size].reshape(value.shape)
    noisy: Float32[np.ndarray, "height width 3"] = np.add(value, deviation, out=out)
    return noisy


def _reel_length(values: int) -> int:
    """At least four times what a frame needs, so that frames hardly ever overlap in place."""
    return max(_SHORTEST_REEL, 1 << (4 * values - 1).bit_length())


@lru_cache(maxsize=2)
def _reel(length: int) -> Float32[np.ndarray, "numbers"]:
    return np.random.default_rng(length).standard_normal(length, dtype=np.float32)

# SPDX-License-Identifier: Apache-2.0
"""Named, counter-based random streams: the only source of randomness in the package.

A stream is a pure function of the seed, its purpose and a counter. Adding a new purpose therefore
never shifts the numbers of another, and sequence 17 is the same whichever worker makes it.
"""

import zlib

import numpy as np


def stream(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return the random numbers of one purpose at one place.

    Args:
        seed: The run's seed, 0 or more.
        purpose: What the numbers are for, e.g. ``"anatomy"``; part of the stream's identity.
        *counters: Where in the run, e.g. the sequence number.

    Example:
        >>> bool(stream(7, "anatomy", 3).random() == stream(7, "anatomy", 3).random())
        True
        >>> bool(stream(7, "anatomy", 3).random() == stream(7, "tissue", 3).random())
        False
    """
    key = (zlib.crc32(purpose.encode()), *counters)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))

# SPDX-License-Identifier: Apache-2.0
"""Random numbers of each lane: xoroshiro64**, cheap in 32-bit words.

Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

_UNIT = 2.0**-24


@dataclass
class Chance:
    """Two words of state; never both 0.

    Source:
        Blackman, Vigna, *Scrambled linear pseudorandom number generators*, 2021, xoroshiro64**.
    """

    low: Any
    high: Any

    def next(self) -> Any:
        """A number from 0 to below 1."""
        low, high = self.low, self.high ^ self.low
        word = _turned(low * mi.UInt32(0x9E3779BB), 5) * mi.UInt32(5)
        self.low = _turned(low, 26) ^ high ^ (high << 9)
        self.high = _turned(high, 13)
        return mi.Float(word >> 8) * _UNIT


def chance_of(lanes: int, seed: Any) -> Chance:
    """A stream for each lane.

    Args:
        lanes: How many there are.
        seed: Three whole numbers below 2^16, as floats.
    """
    first, second, third = (mi.UInt32(part) for part in seed)
    lane = dr.arange(mi.UInt32, lanes) ^ (third << 16)
    low, high = mi.sample_tea_32(lane, first + (second << 16), 8)
    return Chance(low | 1, high)


def _turned(word: Any, by: int) -> Any:
    return (word << by) | (word >> (32 - by))

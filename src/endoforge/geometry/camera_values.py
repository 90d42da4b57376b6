# SPDX-License-Identifier: Apache-2.0
"""Checks of the single values that describe a camera; each error names the key and the value."""

import math
import operator
from typing import Any

from endoforge.errors import CameraError

#: Pixels along the longest side of an image.
LARGEST_SIDE = 65_536
#: Distortion coefficients are around 1; even a lens described in another unit stays below this.
LARGEST_COEFFICIENT = 1e6


def half_angle_rad(name: str, value: Any, widest_deg: float) -> float:
    """Half of a field of view, rad, from its full angle in degrees."""
    angle = finite(name, value)
    if not 0 < angle <= widest_deg:
        raise CameraError(f"{name} must be above 0 and at most {widest_deg:g}, got {value!r}")
    return math.radians(angle) / 2


def image_side(name: str, value: Any) -> int:
    """A width or height, px."""
    try:
        side = operator.index(value)
    except TypeError:
        raise CameraError(
            f"camera key {name!r} must be a whole number, got {value!r:.80}"
        ) from None
    if isinstance(value, bool) or not 1 <= side <= LARGEST_SIDE:
        raise CameraError(f"{name!r} must be from 1 to {LARGEST_SIDE} px, got {value!r:.80}")
    return side


def finite(name: str, value: Any) -> float:
    """A finite number."""
    if isinstance(value, str | bytes | bool) or not hasattr(value, "__float__"):
        raise CameraError(f"camera key {name!r} must be a number, got {value!r:.80}")
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise CameraError(f"camera key {name!r} must be a finite number, got {value!r:.80}")
    return number


def numbers(name: str, values: Any, count: int) -> tuple[float, ...]:
    """A list of coefficients of a known length."""
    if isinstance(values, str | bytes) or not hasattr(values, "__len__") or len(values) != count:
        raise CameraError(f"camera key {name!r} must hold {count} numbers, got {values!r:.80}")
    result = tuple(finite(name, value) for value in values)
    if any(abs(value) > LARGEST_COEFFICIENT for value in result):
        raise CameraError(
            f"camera key {name!r} must hold numbers up to {LARGEST_COEFFICIENT:g}, got {result}"
        )
    return result

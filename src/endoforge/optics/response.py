# SPDX-License-Identifier: Apache-2.0
"""How a camera processor turns sensor values into what the screen shows: colour, curve, edges."""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from endoforge.optics.exposure import LUMINANCE
from endoforge.optics.scratch import scratch

#: Sensor value at the end of the table; the shoulder has reached 1 before.
TABLE_END = 4.0

_TABLE_SIZE = 4096


def respond(
    value: Float[np.ndarray, "..."], gamma: float, shoulder: float
) -> Float[np.ndarray, "..."]:
    """Turn exposed sensor values into display values between 0 and 1.

    Below the shoulder the response is the pure power law; above it, highlights approach 1 along
    an exponential that joins without a kink.

    Args:
        value: Sensor values, 1 for white; below 0 counts as 0.
        gamma: Exponent of the display's response.
        shoulder: Sensor value above which highlights are compressed, 0 to 1 (exclusive).

    Example:
        >>> round(respond(np.array([0.5]), gamma=2.0, shoulder=0.6).item(), 4)
        0.7071
    """
    room = 1 - shoulder
    over = np.maximum(value - shoulder, 0)
    compressed = shoulder + room * (1 - np.exp(-over / room))
    linear = np.where(value > shoulder, compressed, np.maximum(value, 0))
    result: Float[np.ndarray, "..."] = linear ** (1 / gamma)
    return result


def quantised(
    value: Float32[np.ndarray, "height width 3"], gamma: float, shoulder: float
) -> UInt8[np.ndarray, "height width 3"]:
    """The response in whole display values, 0 to 255, by a table; within 1 of `respond`."""
    place = np.clip(value, 0, TABLE_END, out=scratch("place", value.shape))
    np.sqrt(place, out=place)  # spreads the dark values over the table
    place *= np.float32((_TABLE_SIZE - 1) / TABLE_END**0.5)
    place += np.float32(0.5)
    index = scratch("index", value.shape, np.uint16)
    np.copyto(index, place, casting="unsafe")
    picture: UInt8[np.ndarray, "height width 3"] = _table(gamma, shoulder).take(index)
    return picture


@lru_cache(maxsize=16)
def _table(gamma: float, shoulder: float) -> UInt8[np.ndarray, "entries"]:
    value = np.linspace(0, 1, _TABLE_SIZE) ** 2 * TABLE_END
    table: UInt8[np.ndarray, "entries"] = np.rint(respond(value, gamma, shoulder) * 255)
    return table.astype(np.uint8)


def saturate(
    value: Float32[np.ndarray, "height width 3"],
    saturation: float,
    out: Float32[np.ndarray, "height width 3"] | None = None,
) -> Float32[np.ndarray, "height width 3"]:
    """Move colours away from grey of the same brightness (above 1) or towards it (below 1)."""
    if saturation == 1:
        return value
    matrix = saturation * np.eye(3) + (1 - saturation) * np.outer(np.ones(3), LUMINANCE)
    coloured: Float32[np.ndarray, "height width 3"] = cv2.transform(value, matrix, dst=out)
    return coloured


def sharpen(
    image: UInt8[np.ndarray, "height width 3"], amount: float, radius_px: float
) -> UInt8[np.ndarray, "height width 3"]:
    """Lift edges as camera processors do: add what a blur takes away, times an amount.

    Args:
        image: Display values.
        amount: Share of the difference that is added; 0 for none.
        radius_px: Standard deviation of the blur, px.
    """
    if amount == 0:
        return image
    blurred = cv2.GaussianBlur(image, (0, 0), radius_px)
    sharp: UInt8[np.ndarray, "height width 3"] = cv2.addWeighted(
        image, 1 + amount, blurred, -amount, 0
    )
    return sharp

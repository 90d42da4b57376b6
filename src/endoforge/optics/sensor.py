# SPDX-License-Identifier: Apache-2.0
"""From scene-linear radiance to the 8-bit picture: exposure, point spread, shoulder and gamma."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from endoforge.distributions import draw
from endoforge.optics.settings import SensorSettings

#: Linear weights of red, green and blue in brightness (ITU-R BT.709).
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)

_TABLE_SIZE = 4096
_TABLE_END = 4.0  # sensor value at the end of the table; the shoulder has reached 1 before


@dataclass(frozen=True)
class SensorResponse:
    """How a camera processor turns radiance into a picture.

    Attributes:
        gain: Sensor value per unit of radiance, before automatic exposure.
        gamma: Exponent of the display's response.
        shoulder: Sensor value above which highlights are compressed, 0 to 1 (exclusive).
        metering: How much of a brightness error automatic exposure corrects, 0 none, 1 all.
        target: Mean linear value that automatic exposure aims at.
        blur_px: Standard deviation of the lens's point spread, px; 0 for none.
    """

    gain: float = 1.0
    gamma: float = 2.2
    shoulder: float = 0.6
    metering: float = 0.0
    target: float = 0.27
    blur_px: float = 0.0


def sample_sensor(settings: SensorSettings, rng: np.random.Generator) -> SensorResponse:
    """Draw one sensor response from the ranges in the settings."""
    return SensorResponse(
        gain=draw(settings.gain, rng),
        gamma=draw(settings.gamma, rng),
        shoulder=draw(settings.shoulder, rng),
        metering=draw(settings.metering, rng),
        target=draw(settings.target, rng),
        blur_px=draw(settings.blur_px, rng),
    )


def respond(value: Float[np.ndarray, "..."], sensor: SensorResponse) -> Float[np.ndarray, "..."]:
    """Turn exposed sensor values into display values between 0 and 1.

    Below the shoulder the response is the pure power law; above it, highlights approach 1 along
    an exponential that joins without a kink.

    Example:
        >>> round(respond(np.array([0.5]), SensorResponse(gamma=2.0)).item(), 4)
        0.7071
    """
    room = 1 - sensor.shoulder
    over = np.maximum(value - sensor.shoulder, 0)
    compressed = sensor.shoulder + room * (1 - np.exp(-over / room))
    linear = np.where(value > sensor.shoulder, compressed, np.maximum(value, 0))
    result: Float[np.ndarray, "..."] = linear ** (1 / sensor.gamma)
    return result


def exposure(radiance: Float32[np.ndarray, "height width 3"], sensor: SensorResponse) -> float:
    """Return the gain after automatic exposure has looked at the frame.

    Brightness is metered on every fourth pixel, with highlights counted as no more than white, so
    that a few reflections do not darken the picture. One frame is enough: nothing is remembered.
    """
    metered = radiance[::4, ::4] @ LUMINANCE * sensor.gain
    brightness = float(np.minimum(metered, 1).mean())
    if sensor.metering == 0 or brightness <= 0:
        return sensor.gain
    return sensor.gain * float((sensor.target / brightness) ** sensor.metering)


def develop(
    radiance: Float32[np.ndarray, "height width 3"], sensor: SensorResponse
) -> UInt8[np.ndarray, "height width 3"]:
    """Turn radiance into the picture that the camera processor shows.

    Args:
        radiance: Scene-linear, finite, 0 or more.
        sensor: Gain, automatic exposure, blur and response.

    Returns:
        Display-referred RGB, 0 to 255.
    """
    exposed = radiance * np.float32(exposure(radiance, sensor) / _TABLE_END)
    np.minimum(exposed, 1, out=exposed)  # a highlight does not bleed further than white does
    if sensor.blur_px > 0:
        exposed = cv2.GaussianBlur(exposed, (0, 0), sensor.blur_px)
    np.sqrt(exposed, out=exposed)  # spreads the dark values over the table
    exposed *= _TABLE_SIZE - 1
    table = _response_table(sensor.gamma, sensor.shoulder)
    image: UInt8[np.ndarray, "height width 3"] = table[(exposed + 0.5).astype(np.uint16)]
    return image


@lru_cache(maxsize=16)
def _response_table(gamma: float, shoulder: float) -> UInt8[np.ndarray, "entries"]:
    value = np.linspace(0, 1, _TABLE_SIZE) ** 2 * _TABLE_END
    display = respond(value, SensorResponse(gamma=gamma, shoulder=shoulder))
    table: UInt8[np.ndarray, "entries"] = np.rint(display * 255).astype(np.uint8)
    return table

# SPDX-License-Identifier: Apache-2.0
"""The colour of a lamp from its colour temperature."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float64

from endoforge.optics.exposure import LUMINANCE

Triple = tuple[float, float, float]

_SECOND_RADIATION_CONSTANT_NM_K = 1.438776877e7

#: XYZ to linear RGB with the primaries of ITU-R BT.709 (IEC 61966-2-1, equation 8).
_RGB_FROM_XYZ = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)


def lamp_colour(kelvin: float, white_kelvin: float) -> Triple:
    """How a lamp looks to a camera that is balanced for another lamp.

    A lamp at the camera's own temperature is (1, 1, 1); a colder one is red. The brightness
    (BT.709 luminance) is 1 for all. Xenon lamps and white LEDs are no black bodies: the number is
    their correlated colour temperature.

    Args:
        kelvin: Colour temperature of the lamp, K.
        white_kelvin: Colour temperature at which white looks white to the camera, K.

    Returns:
        Linear RGB factors.

    Example:
        >>> lamp_colour(6500.0, 6500.0)
        (1.0, 1.0, 1.0)
        >>> red, green, blue = lamp_colour(4000.0, 6500.0)
        >>> red > green > blue
        True
    """
    seen = np.maximum(black_body_rgb(kelvin), 0) / black_body_rgb(white_kelvin)
    red, green, blue = seen / (seen @ LUMINANCE.astype(np.float64) / LUMINANCE.sum(dtype=float))
    return round(float(red), 12), round(float(green), 12), round(float(blue), 12)


@lru_cache(maxsize=64)
def black_body_rgb(kelvin: float) -> Float64[np.ndarray, "3"]:
    """Linear RGB of a black body's light, with a brightness of 1.

    Source:
        Planck's law, weighed with the colour matching functions in the form of Wyman, Sloan,
        Shirley, *Simple analytic approximations to the CIE XYZ color matching functions*, JCGT
        2013, equation 4.
    """
    wavelength_nm = np.arange(360.0, 831.0, 5.0)
    spectrum = wavelength_nm**-5 / np.expm1(
        _SECOND_RADIATION_CONSTANT_NM_K / (wavelength_nm * kelvin)
    )
    xyz = colour_matching(wavelength_nm) @ spectrum
    rgb: Float64[np.ndarray, "3"] = _RGB_FROM_XYZ @ xyz / xyz[1]
    return rgb


def colour_matching(
    wavelength_nm: Float64[np.ndarray, "wavelengths"],
) -> Float64[np.ndarray, "3 wavelengths"]:
    """x, y and z of the CIE 1931 observer, fitted with eight bell curves."""

    def bell(height: float, centre: float, left: float, right: float) -> np.ndarray:
        slope = np.where(wavelength_nm < centre, left, right)
        bent: np.ndarray = height * np.exp(-0.5 * ((wavelength_nm - centre) * slope) ** 2)
        return bent

    x = bell(0.362, 442.0, 0.0624, 0.0374) + bell(1.056, 599.8, 0.0264, 0.0323)
    x += bell(-0.065, 501.1, 0.0490, 0.0382)
    y = bell(0.821, 568.8, 0.0213, 0.0247) + bell(0.286, 530.9, 0.0613, 0.0322)
    z = bell(1.217, 437.0, 0.0845, 0.0278) + bell(0.681, 459.0, 0.0385, 0.0725)
    return np.stack([x, y, z])

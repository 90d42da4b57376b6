# SPDX-License-Identifier: Apache-2.0
"""Lamps: published chromaticities, white where the camera is balanced, redder where colder."""

import numpy as np
import pytest

from endoforge.optics.exposure import LUMINANCE
from endoforge.optics.lamp import black_body_rgb, colour_matching, lamp_colour


@pytest.mark.parametrize(
    ("kelvin", "x", "y"), [(2856, 0.4476, 0.4074), (4000, 0.3805, 0.3768), (6500, 0.3135, 0.3237)]
)
def test_black_bodies_lie_on_the_published_locus(kelvin, x, y):
    """CIE illuminant A, and the Planckian locus as tabulated in Wyszecki & Stiles."""
    wavelength = np.arange(360.0, 831.0)
    spectrum = wavelength**-5 / np.expm1(1.438776877e7 / (wavelength * kelvin))
    xyz = colour_matching(wavelength) @ spectrum
    assert xyz[0] / xyz.sum() == pytest.approx(x, abs=0.002)
    assert xyz[1] / xyz.sum() == pytest.approx(y, abs=0.002)


def test_a_lamp_at_the_cameras_temperature_is_white():
    for kelvin in (3200.0, 5600.0, 6500.0):
        np.testing.assert_allclose(lamp_colour(kelvin, kelvin), 1.0, atol=1e-6)


def test_red_falls_and_blue_rises_with_temperature():
    colours = np.array([lamp_colour(k, 6500.0) for k in (2500.0, 4000.0, 6500.0, 9000.0)])
    assert (np.diff(colours[:, 0]) < 0).all()
    assert (np.diff(colours[:, 2]) > 0).all()


def test_every_lamp_is_equally_bright():
    for kelvin in (3000.0, 5000.0, 8000.0):
        assert np.asarray(lamp_colour(kelvin, 6500.0)) @ LUMINANCE == pytest.approx(1, rel=1e-5)
        assert black_body_rgb(kelvin) @ LUMINANCE == pytest.approx(1, rel=1e-3)

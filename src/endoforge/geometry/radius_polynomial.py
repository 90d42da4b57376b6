# SPDX-License-Identifier: Apache-2.0
"""The omnidirectional lens for a focal length of 1: how far it holds, and its inverse there.

A point of the image at radius t is seen along (t, f(t)), across and forwards, with
f(t) = 1 + k1 t + k2 t² + k3 t³ + k4 t⁴. The field ends where the angle nearly ceases to grow.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.polynomial import Polynomial
from numpy.polynomial.chebyshev import Chebyshev

from endoforge.geometry.lens_equations import polynomial_radius, power_series

#: The ray must turn outwards at least by this share of what it does in the centre.
LEAST_TURN = 0.02

_FARTHEST = 1000.0
_START_DEGREE = 7
_NODES = 2001
_SHRINK = 0.97
_EXACT = 1e-11
_FAINT = 1e-14  # coefficients below this change nothing within the field
_HALVINGS = 60


class RadiusPolynomial(NamedTuple):
    """A polynomial and start values for its inverse.

    Attributes:
        shape: k1 to k4.
        start: Coefficients that give t over the angle, from the angle; Newton's first guess.
        end: Largest t of the field.
        end_rad: Angle off axis there, rad.
    """

    shape: tuple[float, ...]
    start: tuple[float, ...]
    end: float
    end_rad: float

    def forward(self, t: Any) -> Any:
        """F(t), how far forward the ray points where it points t outwards."""
        return power_series(t, (1.0, *self.shape))


@lru_cache(maxsize=64)
def radius_polynomial(shape: tuple[float, ...], limit_rad: float) -> RadiusPolynomial:
    """Find the field and the inverse of a polynomial.

    The field is narrowed until the fixed number of Newton steps that every caller makes settles all
    over it; only polynomials that turn nearly flat halfway need that.
    """
    end = _end_of_field(shape, limit_rad)
    while True:
        lens = RadiusPolynomial(shape, _start(shape, end), end, angle_of(end, shape))
        t = np.linspace(0.0, end, _NODES)
        angle = angle_of(t, shape)
        with np.errstate(all="ignore"):
            found = polynomial_radius(angle, np.sin(angle), np.cos(angle), lens[:3], np)
        wrong = np.flatnonzero(~(np.abs(found - t) <= _EXACT * (1 + t)))
        if not len(wrong) or end < 1e-6:
            return lens
        end *= _SHRINK


def angle_of(t: Any, shape: tuple[float, ...]) -> Any:
    """Angle off axis of the ray at a radius, rad."""
    angle = np.arctan2(t, power_series(t, (1.0, *shape)))
    return float(angle) if np.ndim(angle) == 0 else angle


def _end_of_field(shape: tuple[float, ...], limit_rad: float) -> float:
    """First t where the ray turns too little or too far off axis."""
    t, f = Polynomial([0.0, 1.0]), Polynomial([1.0, *shape])
    roots = (f - t * f.deriv() - LEAST_TURN * (t * t + f * f)).trim(_FAINT).roots()
    real = roots.real[(np.abs(roots.imag) < 1e-9 * (1 + np.abs(roots))) & (roots.real > 0)]
    end = min(float(real.min(initial=_FARTHEST)), _FARTHEST)
    if angle_of(end, shape) <= limit_rad:
        return end
    low, high = 0.0, end
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if angle_of(middle, shape) <= limit_rad else (low, middle)
    return low


def _start(shape: tuple[float, ...], end: float) -> tuple[float, ...]:
    """Fit t over angle as a polynomial of the angle, evenly good all over the field."""
    t = end * np.sin(np.linspace(0.0, np.pi / 2, 201)[1:])
    angle: Float64[np.ndarray, "nodes"] = angle_of(t, shape)
    fit = Chebyshev.fit(angle, t / angle, _START_DEGREE, domain=[0.0, float(angle[-1])])
    powers = fit.convert(kind=Polynomial).coef
    return tuple(float(c) for c in np.pad(powers, (0, _START_DEGREE + 1 - len(powers))))

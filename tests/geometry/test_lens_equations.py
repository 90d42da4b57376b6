# SPDX-License-Identifier: Apache-2.0
"""The bare formulas give the same with plain numbers, arrays and tensors."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from endoforge.geometry.cameras import Camera
from endoforge.geometry.lens_equations import (
    brown_conrady_project,
    kannala_brandt_project,
    odd_polynomial,
    odd_polynomial_slope,
    omnidirectional_project,
)
from geometry.lenses import LENSES

PLAIN = SimpleNamespace(sqrt=math.sqrt, atan2=math.atan2, where=lambda c, a, b: a if c else b)
POINT = (0.31, -0.22, 0.9)
lenses = pytest.mark.parametrize("camera", LENSES.values(), ids=LENSES.keys())


def formula(camera: Camera):
    return {
        "pinhole": brown_conrady_project,
        "fisheye": kannala_brandt_project,
        "omnidirectional": omnidirectional_project,
    }[camera.model]


@lenses
def test_one_formula_serves_plain_numbers_numpy_and_torch(camera: Camera) -> None:
    p = camera.parameters()
    plain = formula(camera)(*POINT, p, PLAIN)
    arrays = formula(camera)(*(np.array([value]) for value in POINT), p, np)
    tensors = formula(camera)(*(torch.tensor([v], dtype=torch.float64) for v in POINT), p, torch)
    assert [float(value[0]) for value in arrays] == pytest.approx(plain, abs=1e-12)
    assert [float(value[0]) for value in tensors] == pytest.approx(plain, abs=1e-12)
    assert camera.project(np.array(POINT)).tolist() == pytest.approx(plain, abs=1e-12)


@lenses
def test_the_axis_meets_the_image_at_the_principal_point(camera: Camera) -> None:
    pixel = formula(camera)(0.0, 0.0, 3.0, camera.parameters(), PLAIN)
    assert pixel == (camera.cx, camera.cy)


def test_a_fisheye_sees_behind_its_own_plane() -> None:
    p = (10.0, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    angle = math.radians(100)
    u, v = kannala_brandt_project(math.sin(angle), 0.0, math.cos(angle), p, PLAIN)
    assert (u, v) == pytest.approx((10 * angle, 0.0))


def test_brown_conrady_by_hand() -> None:
    p = (1.0, 1.0, 0.0, 0.0, 0.1, 0.01, 0.02, 0.03, 0.001)
    a, b, r2 = 0.5, -1.0, 1.25
    radial = 1 + 0.1 * r2 + 0.01 * r2**2 + 0.001 * r2**3
    u = a * radial + 2 * 0.02 * a * b + 0.03 * (r2 + 2 * a * a)
    v = b * radial + 0.02 * (r2 + 2 * b * b) + 2 * 0.03 * a * b
    assert brown_conrady_project(1.0, -2.0, 2.0, p, PLAIN) == pytest.approx((u, v), abs=1e-14)


def test_the_slope_is_the_derivative_of_the_radial_map() -> None:
    k, step = (0.3, -0.2, 0.05, 0.01), 1e-6
    for value in (0.0, 0.4, 1.3):
        rise = odd_polynomial(value + step, k) - odd_polynomial(value - step, k)
        assert odd_polynomial_slope(value, k) == pytest.approx(rise / (2 * step), rel=1e-8)

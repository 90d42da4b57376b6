# SPDX-License-Identifier: Apache-2.0
"""The inverse of the radial map: over its whole table, and where Newton is of no use."""

import numpy as np
import pytest
import torch

from endoforge.geometry import lens_inverse
from endoforge.geometry.lens_equations import odd_polynomial
from endoforge.geometry.lens_inverse import (
    WIDEST_PINHOLE_RAD,
    fisheye_table,
    invert_radial,
    pinhole_table,
    undistort,
)

DISTORTIONS = [(-0.5, 0.0, 0.0), (0.9, 0.4, 0.2), (-0.42, 0.19, -0.036), (1e-12, 0.0, 0.0)]


@pytest.mark.parametrize("k", DISTORTIONS)
def test_the_inverse_undoes_the_map_from_the_axis_to_the_end(k: tuple[float, ...]) -> None:
    table = pinhole_table((k[0], k[1], 0.0, 0.0, k[2]))
    values = np.linspace(0, table.nodes[-1], 9973)
    found = invert_radial(odd_polynomial(values, k), table)
    np.testing.assert_allclose(found, values, rtol=1e-9, atol=1e-11)


def test_bisection_takes_over_when_newton_has_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    table = fisheye_table((-0.2, 0.0, 0.0, 0.0), 1.9)
    values = np.linspace(0, table.nodes[-1], 997)
    monkeypatch.setattr(lens_inverse, "_RADIAL_STEPS", 0)
    found = invert_radial(odd_polynomial(values, table.coefficients), table)
    np.testing.assert_allclose(found, values, rtol=1e-9, atol=1e-11)


def test_damped_steps_take_over_when_full_steps_have_not_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distortion = (-0.3, 0.1, 0.05, -0.05, 0.0)
    a, b = (0.6 * part for part in np.random.default_rng(0).uniform(-1, 1, (2, 500)))
    expected = undistort(a, b, distortion, pinhole_table(distortion))
    monkeypatch.setattr(lens_inverse, "_TANGENTIAL_STEPS", 0)
    found = undistort(a, b, distortion, pinhole_table(distortion))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    tensors = undistort(torch.tensor(a), torch.tensor(b), distortion, pinhole_table(distortion))
    np.testing.assert_allclose(tensors[0], expected[0], atol=1e-9)


def test_a_lens_without_a_fold_is_used_up_to_the_stated_limit() -> None:
    straight = pinhole_table((0.0, 0.0, 0.0, 0.0, 0.0))
    assert straight.nodes[-1] == pytest.approx(np.tan(WIDEST_PINHOLE_RAD))
    assert fisheye_table((0.0, 0.0, 0.0, 0.0), 2.5).nodes[-1] == pytest.approx(2.5)


def test_a_fold_that_comes_and_goes_ends_the_field_at_its_first_side() -> None:
    k = (-0.9, 0.3, 0.0)  # 1 - 2.7 r² + 1.5 r⁴ is under the least slope from r² = 0.51 to 1.29
    end = pinhole_table((k[0], k[1], 0.0, 0.0, 0.0)).nodes[-1]
    assert end**2 == pytest.approx((2.7 - np.sqrt(2.7**2 - 4 * 1.5 * 0.99)) / 3.0)


def test_tilting_a_lens_only_ever_narrows_its_field() -> None:
    ends = [pinhole_table((-0.3, 0.0, p, 0.0, 0.0)).nodes[-1] for p in (0.0, 0.01, 0.03, 0.1)]
    assert ends == sorted(ends, reverse=True)
    turned = pinhole_table((-0.3, 0.0, 0.0, -0.03, 0.0)).nodes[-1]
    assert turned == pytest.approx(ends[2])  # whichever way it tilts

# SPDX-License-Identifier: Apache-2.0
"""The omnidirectional lens against the formulas of its toolbox, over random lenses, in float32."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import CameraError
from endoforge.geometry.cameras import OmnidirectionalCamera, camera_from_dict, pixel_centres
from endoforge.geometry.lens_equations import omnidirectional_project
from endoforge.geometry.radius_polynomial import LEAST_TURN, angle_of, radius_polynomial
from geometry.lenses import omnidirectional

#: The direct mapping, centre (row, column) and c, d, e of a 1024 x 768 camera, as OCamCalib's
#: tutorial prints results of this kind: a0 negative, a1 zero.
OCAM = (
    (-1.79234e2, 0.0, 2.171872e-3, -2.4e-6, 1.4e-8),
    (381.3, 512.6),
    (0.9998, 3.1e-4, -2.7e-4),
)


def ray_by_the_toolbox(row: float, column: float) -> np.ndarray:
    """What `cam2world` of the toolbox's C code computes, turned to x right, y down, z forward."""
    polynomial, (row0, column0), (c, d, e) = OCAM
    determinant = 1 / (c - d * e)
    x = determinant * ((row - row0) - d * (column - column0))
    y = determinant * (-e * (row - row0) + c * (column - column0))
    z = sum(a * math.hypot(x, y) ** power for power, a in enumerate(polynomial))
    ray = np.array([y, x, -z])  # rows are y, columns x; the toolbox looks along -z
    return ray / np.linalg.norm(ray)


def test_a_camera_of_the_toolbox_sees_what_the_toolbox_says() -> None:
    camera = OmnidirectionalCamera.from_ocamcalib((1024, 768), *OCAM)
    for row, column in ((381.3, 512.6), (210.0, 700.0), (540.25, 330.5), (383.0, 515.0)):
        ray = camera.unproject(np.array([column + 0.5, row + 0.5]))
        np.testing.assert_allclose(ray, ray_by_the_toolbox(row, column), atol=1e-12)


def test_the_whole_field_of_a_190_degree_lens_returns_within_a_millionth_pixel() -> None:
    camera = OmnidirectionalCamera.from_ocamcalib((1024, 768), *OCAM)
    pixels = pixel_centres(1024, 768)
    rays = camera.unproject(pixels)
    seen = camera.valid()
    assert seen.mean() > 0.4 and math.degrees(camera.field_angle_rad) == pytest.approx(110)
    assert np.abs(camera.project(rays[seen]) - pixels[seen]).max() < 1e-6


shapes = st.tuples(
    st.just(0.0) | st.floats(-0.3, 0.3), st.floats(-1, 0.6), st.floats(-0.5, 0.5), st.floats(-1, 1)
)


@given(shape=shapes, stretch=st.tuples(st.floats(0.8, 1.25), *[st.floats(-0.05, 0.05)] * 2))
@settings(max_examples=80, deadline=None)
def test_any_omnidirectional_lens_returns_over_its_field(
    shape: tuple[float, ...], stretch: tuple[float, float, float]
) -> None:
    camera = omnidirectional(*shape, stretch=stretch)
    pixels = pixel_centres(160, 120)
    rays = camera.unproject(pixels)
    seen = np.isfinite(rays[..., 2])
    back = camera.project(rays[seen] * (1 - 1e-12))
    inside = np.isfinite(back[:, 0])  # a ray on the rim may fall either way
    assert np.abs(back - pixels[seen])[inside].max() < 1e-6
    assert inside.sum() >= seen.sum() - 8
    assert camera_from_dict(camera.to_dict()) == camera


@given(shape=shapes, limit=st.floats(0.1, 3.0))
@settings(max_examples=60, deadline=None)
def test_rays_turn_outwards_all_over_the_field_of_any_lens(
    shape: tuple[float, ...], limit: float
) -> None:
    lens = radius_polynomial(shape, limit)
    t = np.linspace(0, lens.end, 2000)
    assert lens.end_rad <= limit + 1e-9
    turn = np.diff(angle_of(t, shape)) / np.diff(t)
    assert (turn > 0.9 * LEAST_TURN).all()


def test_a_stereographic_lens_is_one() -> None:
    camera = OmnidirectionalCamera.from_field_of_view(200, 200, 180.0)
    angle = np.radians(np.linspace(0, 85, 18))
    pixels = camera.project(np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=-1))
    corner = math.hypot(100, 100)  # 2 f tan(45°) = the corner's radius
    np.testing.assert_allclose(pixels[:, 0] - 100, corner * np.tan(angle / 2), atol=1e-9)


def test_the_formula_holds_in_single_precision() -> None:
    camera = OmnidirectionalCamera.from_ocamcalib((1024, 768), *OCAM)
    rays = camera.rays()[camera.valid()][::97]
    x, y, z = (torch.tensor(rays[:, k], dtype=torch.float32) for k in range(3))
    u, v = omnidirectional_project(x, y, z, camera.parameters(), torch)
    exact = camera.project(rays)
    assert np.abs(u.numpy() - exact[:, 0]).max() < 2e-3
    assert np.abs(v.numpy() - exact[:, 1]).max() < 2e-3


def test_gradients_flow_through_both_directions() -> None:
    camera = omnidirectional(0.0, -0.389, 0.077, -0.081)
    points = torch.tensor([[0.1, 0.2, 2.0], [0.3, -0.2, -0.01]], dtype=torch.float64)
    pixels = camera.project(points)
    assert torch.autograd.gradcheck(camera.project, points.requires_grad_(), atol=1e-6)
    assert torch.autograd.gradcheck(camera.unproject, pixels.requires_grad_(), atol=1e-6)


def test_focal_lengths_are_the_slopes_next_to_the_axis() -> None:
    camera = omnidirectional(0.0, -0.3, 0.1, 0.0)
    step = camera.project(np.array([[1e-7, 0, 1], [0, 1e-7, 1]])) - (camera.cx, camera.cy)
    assert step[0, 0] / 1e-7 == pytest.approx(camera.fx, rel=1e-5)
    assert step[1, 1] / 1e-7 == pytest.approx(camera.fy, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"polynomial": [-50, 0, 0, 0, 0]}, r"polynomial's a0 must be above 0 px, got -50\.0"),
        ({"polynomial": [50, 0, 0]}, r"'polynomial' must hold 5 numbers, got"),
        ({"polynomial": [50, 900, 0, 0, 0]}, r"folds back .* degrees off axis"),
        ({"stretch": [1, 0]}, r"'stretch' must hold 3 numbers"),
        ({"stretch": [-1, 0, 0]}, r"stretch must hold c, d, e near 1, 0, 0 .* got \(-1\.0"),
        ({"max_angle_rad": 4.0}, r"max_angle_rad must be above 0 and at most 3\.05"),
        ({"fx": 3.0}, r"unknown camera key 'fx'"),
        ({"polynomial": ...}, r"'polynomial' is missing; a omnidirectional camera needs it"),
    ],
)
def test_a_lens_that_cannot_exist_is_refused_by_key_and_value(
    change: dict[str, object], message: str, plain_shapes: None
) -> None:
    values = {**omnidirectional(0.0, -0.25, 0.0, 0.0).to_dict(), **change}
    with pytest.raises(CameraError, match=message):
        camera_from_dict({key: value for key, value in values.items() if value is not ...})


def test_a_field_of_view_that_folds_is_refused(plain_shapes: None) -> None:
    with pytest.raises(CameraError, match=r"needs 89"):
        OmnidirectionalCamera.from_field_of_view(10, 10, 178.0, (0.0, 0.0, 0.0, 0.0))
    with pytest.raises(CameraError, match=r"begin with a c above 0, got \(0"):
        OmnidirectionalCamera.from_ocamcalib((10, 10), OCAM[0], (5.0, 5.0), (0.0, 0.0, 0.0))


def test_resizing_unequally_keeps_the_polynomial_exact() -> None:
    camera = omnidirectional(0.0, -0.389, 0.077, -0.081)
    tall = camera.resized(80, 240)
    rays = camera.rays()[camera.valid()]
    np.testing.assert_allclose(tall.project(rays), camera.project(rays) * (0.5, 2), atol=1e-9)
    back = tall.resized(160, 120)
    assert back.polynomial == pytest.approx(camera.polynomial)
    assert back.stretch == pytest.approx(camera.stretch)

# SPDX-License-Identifier: Apache-2.0
"""Camera models: round trips over the whole field, OpenCV as oracle, refusals that name the key."""

import dataclasses
import json
import math
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import CameraError, ShapeError
from endoforge.geometry.cameras import (
    Camera,
    FisheyeCamera,
    PinholeCamera,
    camera_from_dict,
    pixel_centres,
)
from endoforge.geometry.lens_inverse import LEAST_SLOPE
from geometry.lenses import LENSES, fisheye, pinhole


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors on a busy machine wait longer for a second thread than it saves."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


lenses = pytest.mark.parametrize("camera", LENSES.values(), ids=LENSES.keys())


def dense_pixels(camera: Camera) -> np.ndarray:
    """Positions over the whole image, borders and corners included, half a pixel apart."""
    u = np.linspace(0, camera.width, 321)
    v = np.linspace(0, camera.height, 241)
    return np.stack(np.meshgrid(u, v), axis=-1)


@lenses
def test_pixel_to_ray_to_pixel_returns_over_the_whole_field(camera: Camera) -> None:
    pixels = dense_pixels(camera)
    rays = camera.unproject(pixels)
    seen = np.isfinite(rays[..., 2])
    assert seen.mean() > 0.2
    assert np.abs(camera.project(rays[seen] * 0.999999) - pixels[seen]).max() < 1e-6
    np.testing.assert_allclose(np.linalg.norm(rays[seen], axis=-1), 1, atol=1e-14)


@lenses
def test_torch_returns_as_numpy_does(camera: Camera) -> None:
    pixels = dense_pixels(camera)
    rays = camera.unproject(torch.tensor(pixels))
    assert rays.dtype == torch.float64
    np.testing.assert_allclose(rays.numpy(), camera.unproject(pixels), atol=1e-12)
    seen = rays[..., 2].isfinite()
    back = camera.project(rays[seen])
    assert (back - torch.tensor(pixels)[seen]).abs().max() < 1e-6


@lenses
def test_direction_to_pixel_to_direction_returns_out_to_the_rim(camera: Camera) -> None:
    angle = np.linspace(0, 0.9999 * camera.field_angle_rad, 400)[:, None]
    azimuth = np.linspace(0, 2 * np.pi, 73)
    rays = np.stack(
        np.broadcast_arrays(
            np.sin(angle) * np.cos(azimuth), np.sin(angle) * np.sin(azimuth), np.cos(angle)
        ),
        axis=-1,
    )
    pixels = camera.project(7.0 * rays)
    assert np.isfinite(pixels).all()
    whole = dataclasses.replace(camera, content=None, corner_cut_px=0.0)  # the rim may be cut off
    assert np.abs(whole.unproject(pixels) - rays).max() < 1e-8


@lenses
def test_nothing_is_seen_beyond_the_rim(camera: Camera) -> None:
    angle = camera.field_angle_rad + np.array([1e-4, 0.01, 0.1])
    outside = np.stack([np.sin(angle), np.zeros(3), np.cos(angle)], axis=-1)
    assert np.isnan(camera.project(outside)).all()


@lenses
def test_outwards_in_space_is_outwards_in_the_image_by_the_stated_least(camera: Camera) -> None:
    angle = np.linspace(0, 0.9999 * camera.field_angle_rad, 4000)
    rays = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=-1)
    steps = np.diff(camera.project(rays)[:, 0]) / camera.fx
    outwards = np.tan(angle) if isinstance(camera, PinholeCamera) else angle
    assert (steps > 0.99 * LEAST_SLOPE * np.diff(outwards)).all()


@lenses
def test_float32_tensors_stay_float32_and_return_within_a_hundredth_pixel(camera: Camera) -> None:
    pixels = torch.tensor(dense_pixels(camera), dtype=torch.float32)
    rays = camera.unproject(pixels)
    assert rays.dtype == torch.float32
    back = camera.project(rays)
    seen = back[..., 0].isfinite()
    assert (back - pixels)[seen].abs().max() < 0.01
    doubtful = seen != camera.unproject(pixels.double())[..., 0].isfinite()
    assert doubtful.double().mean() < 0.002  # only at the rim


@pytest.mark.parametrize("name", ["pinhole", "tilted", "strong barrel", "tilted pincushion"])
def test_pinhole_agrees_with_opencv(name: str) -> None:
    camera = LENSES[name]
    points = np.random.default_rng(1).uniform((-40, -30, 60), (40, 30, 90), (500, 3))
    matrix = np.array([[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]])
    theirs, _ = cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), matrix, np.array(camera.distortion)
    )
    assert np.abs(camera.project(points) - (theirs[:, 0] + 0.5)).max() < 1e-9


@pytest.mark.parametrize("name", ["fisheye", "fisheye, barrel", "fisheye, pincushion"])
def test_fisheye_agrees_with_opencv(name: str) -> None:
    camera = LENSES[name]
    points = np.random.default_rng(2).uniform((-90, -90, 30), (90, 90, 60), (500, 3))
    matrix = np.array([[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]])
    theirs, _ = cv2.fisheye.projectPoints(
        points[:, None], np.zeros(3), np.zeros(3), matrix, np.array(camera.distortion)
    )
    assert np.abs(camera.project(points) - (theirs[:, 0] + 0.5)).max() < 1e-9


@given(
    k=st.tuples(*[st.floats(-1, 1)] * 3),
    p=st.tuples(*[st.floats(-0.1, 0.1)] * 2),
    where=st.tuples(st.floats(0, 160), st.floats(0, 120)),
)
@settings(max_examples=150, deadline=None)
def test_any_pinhole_returns_or_says_it_cannot_see(
    k: tuple[float, float, float], p: tuple[float, float], where: tuple[float, float]
) -> None:
    camera = pinhole(k[0], k[1], p[0], p[1], k[2])
    ray = camera.unproject(np.array(where))
    error = np.abs(camera.project(ray) - where)
    assert np.isnan(ray).all() or np.isnan(error).all() or error.max() < 1e-6
    assert np.isfinite(camera.project(np.array([0.0, 0.0, 1.0]))).all()


@given(k=st.tuples(*[st.floats(-0.5, 0.5)] * 4), limit=st.floats(0.1, 3.0))
@settings(max_examples=60, deadline=None)
def test_any_fisheye_returns_over_its_field(
    k: tuple[float, float, float, float], limit: float
) -> None:
    camera = FisheyeCamera(160, 120, 50.0, 50.0, 80.0, 60.0, k, limit)
    pixels = pixel_centres(160, 120)
    rays = camera.unproject(pixels)
    seen = np.isfinite(rays[..., 2])
    assert np.nanmax(np.abs(camera.project(rays[seen]) - pixels[seen]), initial=0) < 1e-6


def test_the_fold_of_pure_barrel_is_where_calculus_puts_it() -> None:
    k1 = -0.5  # slope 1 + 3 k1 r² falls to the stated least at r² = (1 - least) / (-3 k1)
    tangent = math.sqrt((1 - LEAST_SLOPE) / (-3 * k1))
    assert pinhole(k1, 0, 0, 0, 0).field_angle_rad == pytest.approx(math.atan(tangent), abs=1e-12)
    k1 = -0.2
    angle = math.sqrt((1 - LEAST_SLOPE) / (-3 * k1))
    assert fisheye(k1, 0, 0, 0).field_angle_rad == pytest.approx(angle, abs=1e-12)


def test_a_tilted_lens_has_its_field_cut_before_the_jacobian_turns_singular() -> None:
    camera = LENSES["barrel that folds, tilted"]
    tangent, step = 0.9999 * math.tan(camera.field_angle_rad), 1e-6
    azimuth = np.linspace(0, 2 * np.pi, 181)
    x, y = tangent * np.cos(azimuth), tangent * np.sin(azimuth)

    def image(dx: float, dy: float) -> np.ndarray:
        pixels = camera.project(np.stack([x + dx, y + dy, np.ones_like(x)], axis=-1))
        return (pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy)

    jacobian = np.stack([image(step, 0) - image(-step, 0), image(0, step) - image(0, -step)], -1)
    assert np.isfinite(jacobian).all()  # the finite differences did not step over the rim
    values = np.linalg.eigvalsh(jacobian / (2 * step))
    assert 0.5 * LEAST_SLOPE < values.min() < 5 * LEAST_SLOPE


def test_the_first_pixel_centre_is_half_a_pixel_from_the_corner() -> None:
    assert pixel_centres(4, 3)[0, 0].tolist() == [0.5, 0.5]
    assert pixel_centres(4, 3)[2, 3].tolist() == [3.5, 2.5]
    camera = PinholeCamera(4, 4, 2.0, 2.0, 2.0, 2.0)
    np.testing.assert_allclose(camera.project(np.array([-1.5, -1.5, 2.0])), [0.5, 0.5])


def test_rays_are_the_unprojected_centres_and_cannot_be_changed() -> None:
    camera = LENSES["fisheye that folds"]
    rays = camera.rays()
    np.testing.assert_array_equal(rays, camera.unproject(pixel_centres(160, 120)))
    assert dataclasses.replace(camera).rays() is rays
    with pytest.raises(ValueError, match="read-only"):
        rays[0, 0, 0] = 1
    np.testing.assert_array_equal(camera.valid(), np.isfinite(rays[..., 0]))
    assert 0.1 < camera.valid().mean() < 0.9


def test_in_field_wants_both_the_image_and_the_lens() -> None:
    camera = LENSES["fisheye that folds"]
    pixels = np.array([[79.2, 61.4], [-0.1, 61.4], [0.1, 0.1], [np.nan, 5.0], [79.2, 90.0]])
    inside = [True, False, False, False, True]
    assert camera.in_field(pixels).tolist() == inside
    assert camera.in_field(torch.tensor(pixels)).tolist() == inside


@lenses
def test_resizing_moves_every_point_with_the_picture(camera: Camera) -> None:
    half = camera.resized(80, 40)
    rays = camera.unproject(dense_pixels(camera))
    expected = camera.project(rays) * (80 / camera.width, 40 / camera.height)
    np.testing.assert_allclose(half.project(rays), expected, atol=1e-9)
    assert half.field_angle_rad == pytest.approx(camera.field_angle_rad, abs=1e-12)


def test_fields_of_view_reach_the_stated_borders() -> None:
    camera = PinholeCamera.from_field_of_view(200, 100, 90.0, (-0.2, 0.05, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(camera.project(np.array([1.0, 0, 1.0])), [200, 50], atol=1e-9)
    wide = FisheyeCamera.from_field_of_view(160, 120, 190.0, (-0.02, 0.0, 0.0, 0.0))
    corner = wide.unproject(np.array([160.0, 120.0]))
    assert math.degrees(math.acos(corner[2])) == pytest.approx(95.0, abs=1e-9)
    assert wide.valid().all()


@pytest.mark.parametrize("name", ["tilted", "strong barrel", "fisheye, barrel"])
def test_gradients_flow_through_both_directions(name: str) -> None:
    camera = LENSES[name]
    points = torch.tensor([[0.0, 0.0, 2.0], [0.3, -0.2, 1.0]], dtype=torch.float64)
    pixels = camera.project(points)
    assert torch.autograd.gradcheck(camera.project, points.requires_grad_(), atol=1e-6)
    assert torch.autograd.gradcheck(camera.unproject, pixels.requires_grad_(), atol=1e-6)


def test_points_that_no_lens_can_see_have_no_pixel() -> None:
    points = np.array([[0, 0, 0.0], [1, 1, 0.0], [0, 0, -1.0], [np.nan, 0, 1], [np.inf, 0, 1]])
    assert np.isnan(pinhole().project(points)).all()
    assert np.isnan(fisheye().project(points)[[0, 2, 3]]).all()
    assert np.isfinite(fisheye().project(points)[1]).all()  # 90 degrees off axis: seen by a fisheye


@lenses
def test_plain_values_survive_json(camera: Camera) -> None:
    assert camera_from_dict(json.loads(json.dumps(camera.to_dict()))) == camera


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fx": 0}, r"fx must be above 0 px, got 0\.0"),
        ({"fy": -3.0}, r"fy must be above 0"),
        ({"fx": math.nan}, r"'fx' must be a finite number, got nan"),
        ({"cx": "12"}, r"'cx' must be a number, got '12'"),
        ({"cx": 10**400}, r"'cx' must be a finite number"),
        ({"cy": None}, r"'cy' must be a number, got None"),
        ({"width": 12.5}, r"'width' must be a whole number, got 12\.5"),
        ({"width": 0}, r"'width' must be from 1 to 65536 px, got 0"),
        ({"height": True}, r"'height' must be from 1"),
        ({"distortion": [0, 0, 0]}, r"'distortion' must hold 5 numbers, got \(0, 0, 0\)"),
        ({"distortion": [0, 0, 0, 0, "a"]}, r"'distortion' must be a number, got 'a'"),
        ({"distortion": 1}, r"'distortion' must hold 5 numbers, got 1"),
        ({"distortion": [0, 0, 0, 0, 1e300]}, r"'distortion' must hold numbers up to 1e\+06"),
        ({"distortion": [-1e5, 0, 0, 0, 0]}, r"folds back 0\.104 degrees off axis, expected 1"),
        (
            {"model": "orthographic"},
            r"'model' must be 'pinhole', 'fisheye' or 'omnidirectional', got 'ortho",
        ),
        ({"model": ["pinhole"]}, r"'model' must be"),
        ({"model": "fisheye"}, r"'distortion' must hold 4"),
        ({"focal": 3}, r"unknown camera key .focal.; valid: width, height, content, corner_cut_px"),
        ({"fx": ...}, r"'fx' is missing"),
    ],
)
def test_a_camera_that_cannot_exist_is_refused_by_key_and_value(
    change: dict[str, object], message: str, plain_shapes: None
) -> None:
    values = {**pinhole(0.1, 0, 0, 0, 0).to_dict(), **change}
    values = {key: value for key, value in values.items() if value is not ...}
    with pytest.raises(CameraError, match=message):
        camera_from_dict(values)


def test_fields_of_view_that_cannot_exist_are_refused(plain_shapes: None) -> None:
    with pytest.raises(CameraError, match=r"horizontal_deg .* at most 178, got 180"):
        PinholeCamera.from_field_of_view(10, 10, 180.0)
    with pytest.raises(CameraError, match=r"folds back 39.* needs 40"):
        PinholeCamera.from_field_of_view(10, 10, 80.0, (-0.5, 0, 0, 0, 0))
    with pytest.raises(CameraError, match="max_angle_rad must be above 0"):
        FisheyeCamera(10, 10, 5.0, 5.0, 5.0, 5.0, max_angle_rad=4.0)
    with pytest.raises(CameraError, match="a camera must be a group of keys, got 3"):
        camera_from_dict(3)


def test_points_and_pixels_need_their_own_last_axis(plain_shapes: None) -> None:
    with pytest.raises(ShapeError, match=r"points must end in an axis of 3, got shape \(5, 2\)"):
        pinhole().project(np.zeros((5, 2)))
    with pytest.raises(ShapeError, match=r"pixels must end in an axis of 2, got shape \(3,\)"):
        pinhole().unproject(np.zeros(3))
    assert pinhole().project([[0, 0, 1]]).shape == (1, 2)

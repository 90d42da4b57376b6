# SPDX-License-Identifier: Apache-2.0
"""Depth, distance, points and normals against planes and spheres in closed form, for every lens."""

import math

import numpy as np
import pytest
import torch

from endoforge.errors import ShapeError
from endoforge.geometry.cameras import Camera, FisheyeCamera, PinholeCamera
from endoforge.geometry.depth import (
    depth_from_distance,
    distance_from_depth,
    normals_from_depth,
    points_from_depth,
)
from geometry.lenses import LENSES

lenses = pytest.mark.parametrize("camera", LENSES.values(), ids=LENSES.keys())


def plane_depth(rays: np.ndarray, normal: np.ndarray, offset_mm: float) -> np.ndarray:
    """Depth of the plane normal · point = -offset, where a forward ray meets it within 1 m."""
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = -offset_mm / (rays @ normal)
        met = (distance > 0) & (distance < 1000) & (rays[..., 2] > 0)
    return np.where(met, distance * rays[..., 2], np.nan)


def sphere_depth(rays: np.ndarray, centre: np.ndarray, radius_mm: float) -> np.ndarray:
    """Depth of the far side of a sphere that the camera is in."""
    along = rays @ centre
    distance = along + np.sqrt(along**2 + radius_mm**2 - centre @ centre)
    return np.where(rays[..., 2] > 0, distance * rays[..., 2], np.nan)


def angles_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle between unit vectors, accurate for small ones; NaN where either is invalid."""
    apart = np.linalg.norm(a - b, axis=-1)
    return np.degrees(2 * np.arctan2(apart, np.linalg.norm(a + b, axis=-1)))


@lenses
def test_distance_to_depth_to_distance_returns(camera: Camera) -> None:
    rays = camera.rays()
    distance = np.random.default_rng(0).uniform(1, 100, rays.shape[:2])
    depth = depth_from_distance(distance, rays)
    has_depth = rays[..., 2] > 0
    np.testing.assert_array_equal(np.isfinite(depth), has_depth)
    back = distance_from_depth(depth, rays)
    np.testing.assert_allclose(back[has_depth], distance[has_depth], rtol=1e-12)


def test_forty_degrees_off_axis_the_distance_is_31_percent_larger() -> None:
    ray = np.array([[[math.sin(math.radians(40)), 0.0, math.cos(math.radians(40))]]])
    distance = distance_from_depth(np.array([[30.0]]), ray)
    assert distance[0, 0] / 30.0 == pytest.approx(1.305, abs=5e-4)


@lenses
def test_points_project_back_to_the_pixels_they_came_from(camera: Camera) -> None:
    rays = camera.rays()
    depth = np.random.default_rng(1).uniform(1, 100, rays.shape[:2])
    points = points_from_depth(depth, rays)
    seen = np.isfinite(points[..., 0])
    np.testing.assert_allclose(points[seen][:, 2], depth[seen], rtol=1e-12)
    rows, columns = np.nonzero(seen)
    inner = 0.999999 * points[seen] + [0, 0, 1e-9]  # the rim itself may fall to either side
    expected = np.stack([columns + 0.5, rows + 0.5], axis=-1)
    assert np.nanmax(np.abs(camera.project(inner) - expected)) < 1e-4


@lenses
@pytest.mark.parametrize("tilt_deg", [0.0, 25.0, 50.0])
def test_normals_of_a_plane_are_exact_and_face_the_camera(camera: Camera, tilt_deg: float) -> None:
    tilt = math.radians(tilt_deg)
    normal = np.array([math.sin(tilt), 0.0, -math.cos(tilt)])
    found = normals_from_depth(plane_depth(camera.rays(), normal, 100.0), camera.rays())
    known = np.isfinite(found[..., 0])
    assert known.mean() > 0.15
    assert angles_deg(found[known], normal).max() < 1e-4


def test_a_wall_faced_squarely_has_normal_0_0_minus_1() -> None:
    camera = LENSES["pinhole"]
    normals = normals_from_depth(np.full((120, 160), 50.0), camera.rays())
    np.testing.assert_allclose(normals, np.broadcast_to([0.0, 0.0, -1.0], (120, 160, 3)), atol=1e-9)


@pytest.mark.parametrize(
    "camera",
    [
        PinholeCamera.from_field_of_view(640, 480, 70.0, (-0.2, 0.05, 1e-3, -1e-3, 0.0)),
        FisheyeCamera.from_field_of_view(640, 480, 140.0),
        FisheyeCamera.from_field_of_view(640, 480, 170.0, (-0.02, 0.001, 0.0, 0.0)),
    ],
)
def test_normals_inside_a_sphere_point_to_its_centre_within_a_tenth_degree(camera: Camera) -> None:
    centre, radius = np.array([10.0, -5.0, 20.0]), 100.0
    depth = sphere_depth(camera.rays(), centre, radius)
    found = normals_from_depth(depth, camera.rays())
    expected = (centre - points_from_depth(depth, camera.rays())) / radius
    inner = (slice(1, -1), slice(1, -1))  # one-sided differences at the border are coarser
    assert np.isfinite(found[inner]).all()
    assert angles_deg(found[inner], expected[inner]).max() < 0.1


def test_finer_pixels_make_normals_better_by_the_square() -> None:
    errors = []
    for size in (60, 120, 240):
        camera = FisheyeCamera.from_field_of_view(size, size, 120.0)
        centre = np.array([5.0, 0.0, 10.0])
        depth = sphere_depth(camera.rays(), centre, 40.0)
        normals = normals_from_depth(depth, camera.rays())
        expected = (centre - points_from_depth(depth, camera.rays())) / 40.0
        errors.append(float(np.median(angles_deg(normals, expected)[1:-1, 1:-1])))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_mirroring_the_image_mirrors_the_normals() -> None:
    camera = PinholeCamera.from_field_of_view(32, 24, 60.0)
    depth = np.random.default_rng(3).uniform(40, 60, (24, 32))
    normals = normals_from_depth(depth, camera.rays())
    mirrored = normals_from_depth(depth[:, ::-1], camera.rays())[:, ::-1]
    np.testing.assert_allclose(mirrored, normals * (-1, 1, 1), atol=1e-9)


def test_one_invalid_pixel_spoils_itself_and_its_four_neighbours_only() -> None:
    camera = PinholeCamera.from_field_of_view(32, 24, 60.0)
    depth = np.full((24, 32), 50.0)
    depth[10, 20] = np.nan
    unknown = np.argwhere(np.isnan(normals_from_depth(depth, camera.rays())[..., 0]))
    assert unknown.tolist() == [[9, 20], [10, 19], [10, 20], [10, 21], [11, 20]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_torch_batches_agree_with_numpy_one_by_one(dtype: torch.dtype) -> None:
    camera = LENSES["fisheye, 190 degrees"]
    rays = camera.rays()
    depth = np.random.default_rng(4).uniform(20, 60, (2, 120, 160))
    batch = torch.tensor(depth, dtype=dtype)
    tensor_rays = torch.tensor(rays, dtype=dtype)
    loose = 1e-9 if dtype == torch.float64 else 2e-4
    for function in (distance_from_depth, depth_from_distance, points_from_depth):
        result = function(batch, tensor_rays)
        assert result.dtype == dtype
        np.testing.assert_allclose(result[1].numpy(), function(depth[1], rays), rtol=loose)
    normals = normals_from_depth(batch, tensor_rays)
    expected = normals_from_depth(depth[0], rays)
    np.testing.assert_allclose(normals[0].numpy(), expected, atol=10 * loose)


def test_gradients_reach_depth_through_the_normals() -> None:
    camera = PinholeCamera.from_field_of_view(5, 4, 60.0)
    depth = torch.rand(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 9
    rays = torch.tensor(camera.rays())
    assert torch.autograd.gradcheck(lambda d: normals_from_depth(d, rays), depth.requires_grad_())


def test_float32_depth_answers_in_float32() -> None:
    rays = LENSES["pinhole"].rays()
    assert points_from_depth(np.full((120, 160), 9.0, np.float32), rays).dtype == np.float32


def test_images_of_another_size_are_refused(plain_shapes: None) -> None:
    rays = LENSES["pinhole"].rays()
    with pytest.raises(ShapeError, match=r"depth_mm is \(3, 4\) but the rays are \(120, 160\)"):
        distance_from_depth(np.ones((3, 4)), rays)
    with pytest.raises(ShapeError, match="distance_mm is"):
        depth_from_distance(np.ones((3, 4)), rays)
    with pytest.raises(ShapeError, match=r"2 x 2 or more, got \(1, 160\)"):
        normals_from_depth(np.ones((1, 160)), rays[:1])

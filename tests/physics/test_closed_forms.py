# SPDX-License-Identifier: Apache-2.0
"""Depth and normals of the renderer against spheres, planes and cylinders, for every lens."""

import numpy as np
import pytest

from endoforge.frames.frame import Frame
from endoforge.geometry.cameras import Camera
from endoforge.render.surface import SurfaceRenderer
from endoforge.scene.records import Scene
from render import worlds

DEPTH_MM = 0.01
ANGLE_DEG = 0.1

LENSES = list(worlds.lenses(80, 60))


@pytest.fixture(params=LENSES)
def camera(request: pytest.FixtureRequest) -> Camera:
    return worlds.lenses(80, 60)[request.param]


@pytest.fixture(scope="module")
def sphere() -> Scene:
    return worlds.sphere(100.0)


def shot(scene: Scene, camera: Camera, pose: np.ndarray | None = None) -> Frame:
    return SurfaceRenderer(scene, camera, "cpu").render(worlds.view(pose))


def angle_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle between unit vectors, exact for small ones."""
    return np.degrees(2 * np.arcsin(np.linalg.norm(a - b, axis=-1) / 2))


def test_a_sphere_around_the_camera_is_exact(camera, sphere):
    frame = shot(sphere, camera)
    rays = camera.rays()
    known = camera.valid()
    np.testing.assert_array_equal(frame.valid, known)
    assert np.abs(frame.depth_mm - 100 * rays[..., 2])[known].max() < DEPTH_MM
    assert angle_deg(frame.normal_camera, -rays)[known].max() < ANGLE_DEG


def test_a_sphere_seen_from_off_its_centre_is_exact(camera, sphere):
    place = np.array([20.0, -15.0, 30.0])
    frame = shot(sphere, camera, worlds.turned(place, 0.0))
    rays = camera.rays()
    along = rays @ place
    distance = -along + np.sqrt(along**2 + 100.0**2 - place @ place)
    known = camera.valid()
    assert np.abs(frame.depth_mm - distance * rays[..., 2])[known].max() < DEPTH_MM
    normals = -(place + distance[..., None] * rays) / 100
    assert angle_deg(frame.normal_camera, normals)[known].max() < ANGLE_DEG


@pytest.mark.parametrize("tilt_rad", [0.0, 0.3])
def test_a_plane_is_exact(camera, tilt_rad):
    frame = shot(worlds.plane(100.0), camera, worlds.turned(np.zeros(3), tilt_rad))
    towards = np.array([-np.sin(tilt_rad), 0.0, np.cos(tilt_rad)])  # of the wall, camera frame
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = 100 / (camera.rays() @ towards)
        near = (distance > 0) & (distance < 300)
    expected = distance * camera.rays()[..., 2]
    relative = np.abs(frame.depth_mm - expected)[near] / np.maximum(distance[near] / 100, 1)
    assert near.mean() > 0.5
    assert relative.max() < DEPTH_MM
    assert angle_deg(frame.normal_camera, -towards)[near].max() < ANGLE_DEG


def test_a_cylinder_is_exact(camera):
    radius, place = 25.0, np.array([4.0, -6.0, 0.0])
    frame = shot(worlds.cylinder(radius, 120.0), camera, worlds.turned(place))
    rays = camera.rays()
    square = np.sum(rays[..., :2] ** 2, axis=-1)
    along = rays[..., :2] @ place[:2]
    room = radius**2 - place @ place
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = (-along + np.sqrt(along**2 + square * room)) / square
        near = distance * rays[..., 2] < 100
    assert near.mean() > 0.4
    assert np.abs(frame.depth_mm - distance * rays[..., 2])[near].max() < DEPTH_MM
    normals = np.zeros_like(rays)
    normals[..., :2] = -(place[:2] + distance[..., None] * rays[..., :2]) / radius
    assert angle_deg(frame.normal_camera, normals)[near].max() < ANGLE_DEG


def test_a_wall_faced_squarely_has_the_normal_that_the_conventions_state():
    frame = shot(worlds.plane(50.0), worlds.lenses(80, 60)["pinhole"])
    np.testing.assert_allclose(frame.normal_camera[30, 40], [0, 0, -1], atol=1e-6)


@pytest.mark.parametrize("name", LENSES)
def test_points_land_where_the_flow_says(name, sphere):
    camera = worlds.lenses(80, 60)[name]
    here = worlds.turned(np.array([5.0, 0.0, 10.0]), 0.05, 0.1)
    there = worlds.turned(np.array([3.0, 2.0, 16.0]), 0.02, 0.15)
    renderer = SurfaceRenderer(sphere, camera, "cpu")
    frame = renderer.render(worlds.view(here, there))
    rays = camera.rays()
    points = frame.depth_mm.astype(np.float64)[..., None] * rays / rays[..., 2:]
    step = there @ np.linalg.inv(here)
    landed = camera.project(points @ step[:3, :3].T + step[:3, 3])
    u, v = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
    seen = frame.valid & ~frame.occluded
    error = np.linalg.norm(landed - np.stack([u, v], -1) - frame.flow_px, axis=-1)
    assert seen.mean() > 0.5
    assert error[seen].max() < 0.05
    # the next picture holds the same wall where the flow leads to
    ahead = renderer.render(worlds.view(there))
    column, row = np.floor(np.nan_to_num(landed)).astype(int).reshape(-1, 2).T
    column, row = column.clip(0, 79).reshape(60, 80), row.clip(0, 59).reshape(60, 80)
    wall = np.linalg.norm(
        ahead.depth_mm[row, column, None] * rays[row, column] / rays[row, column, 2:], axis=-1
    )
    expected = np.linalg.norm(points @ step[:3, :3].T + step[:3, 3], axis=-1)
    gap = np.abs(wall - expected)[seen]
    assert np.nanmedian(gap) < 0.5

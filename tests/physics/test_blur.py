# SPDX-License-Identifier: Apache-2.0
"""Depth of field against the thin lens, motion blur against the mean of rendered instants."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from endoforge.geometry.cameras import Camera, PinholeCamera
from endoforge.optics.light import LightSource
from endoforge.render.surface import SurfaceRenderer
from endoforge.render.transport import Transport
from endoforge.render.view import View
from endoforge.scene.records import Scene
from render import worlds

WIDE = PinholeCamera.from_field_of_view(160, 24, 70.0)
FAR_LAMP = LightSource(position_mm=(0.0, 0.0, -4000.0), mu=0.0, intensity=1e8)


def radiance(scene: Scene, camera: Camera, view: View, transport: Transport) -> np.ndarray:
    renderer = SurfaceRenderer(scene, camera, "cpu")
    return renderer.render_linear(view, transport).radiance.astype(np.float64)


def two_halves(distance_mm: float) -> Scene:
    """A wall whose left half is black and whose right half is white."""
    x = np.array([-300.0, 0, 0, 300])
    corners = [(x[0], x[1]), (x[2], x[3])]
    vertices = np.array(
        [(side, y, distance_mm) for pair in corners for y in (-300.0, 300) for side in pair]
    )
    faces = np.array([[0, 2, 1], [1, 2, 3], [4, 6, 5], [5, 6, 7]])
    tint = np.repeat([[0.0] * 3, [1.0] * 3], 4, axis=0).astype(np.float32)
    return worlds.scene_of(vertices, faces, np.tile([0.0, 0, -1], (8, 1)), tint=tint)


@pytest.mark.parametrize(("focus_mm", "aperture_mm"), [(20.0, 3.0), (100.0, 6.0)])
def test_an_edge_spreads_as_the_circle_of_confusion_says(focus_mm, aperture_mm):
    distance = 40.0
    lens = Transport(aperture_mm=aperture_mm, focus_mm=focus_mm, subsamples=200)
    picture = radiance(two_halves(distance), WIDE, worlds.view(lights=(FAR_LAMP,)), lens)
    profile = picture[..., 1].mean(axis=0)
    place = np.arange(1, WIDE.width) - WIDE.cx
    radius_px = WIDE.fx * aperture_mm / 2 * abs(1 / distance - 1 / focus_mm)
    near = np.abs(place) < 2 * radius_px  # farther out only the lamp's fall-off is left
    place, spread = place[near], np.diff(profile)[near]
    spread /= spread.sum()
    middle = np.sum(spread * place)
    assert radius_px > 4
    assert middle == pytest.approx(0, abs=0.05)
    # a disc seen edge on has a variance of a quarter of its squared radius, a pixel one of 1/12
    variance = np.sum(spread * (place - middle) ** 2)
    assert variance == pytest.approx(radius_px**2 / 4 + 1 / 12, rel=0.02)


def test_what_is_in_focus_is_sharp_whatever_the_aperture():
    lens = Transport(aperture_mm=2.0, focus_mm=40.0, subsamples=8)
    scene, view = two_halves(40.0), worlds.view(lights=(FAR_LAMP,))
    sharp = SurfaceRenderer(scene, WIDE, "cpu").render_linear(view).radiance
    blurred = radiance(scene, WIDE, view, lens)
    edge = np.abs(np.arange(WIDE.width) + 0.5 - WIDE.cx) < 1
    np.testing.assert_allclose(blurred[:, ~edge], sharp[:, ~edge], rtol=1e-3, atol=1e-5)


def test_a_wide_lens_is_in_focus_on_a_sphere():
    camera = worlds.lenses(64, 48)["kannala-brandt"]
    spots = np.random.default_rng(0)
    ball = worlds.sphere(30.0, level=4)
    tint = spots.uniform(0.2, 1.0, ball.surface.tint.shape).astype(np.float32)
    scene = replace(ball, surface=replace(ball.surface, tint=tint))
    view = worlds.view(lights=(LightSource(mu=0.0, intensity=500.0),))
    sharp = SurfaceRenderer(scene, camera, "cpu").render_linear(view).radiance
    contrast = sharp.std()
    at, off = (
        np.sqrt(np.mean((radiance(scene, camera, view, lens) - sharp) ** 2))
        for lens in (Transport(aperture_mm=2.0, focus_mm=focus) for focus in (30.0, 12.0))
    )
    assert at < 0.03 * contrast
    assert off > 5 * at


def instants(view: View, share: float, count: int) -> list[View]:
    """The view with its camera at even times while the shutter is open."""
    here, ahead = view.camera_from_world, view.next_camera_from_world
    turn = Rotation.from_matrix(ahead[:3, :3].T @ here[:3, :3]).as_rotvec()
    origin, there = (-pose[:3, :3].T @ pose[:3, 3] for pose in (here, ahead))
    views = []
    for time in share * ((np.arange(count) + 0.5) / count - 0.5):
        pose = np.eye(4)
        pose[:3, :3] = (Rotation.from_rotvec(time * turn).as_matrix() @ here[:3, :3].T).T
        pose[:3, 3] = -pose[:3, :3] @ (origin + time * (there - origin))
        views.append(replace(view, camera_from_world=pose))
    return views


@pytest.mark.parametrize("name", ["pinhole", "kannala-brandt"])
def test_a_moving_camera_sees_the_mean_of_its_instants(name):
    camera = worlds.lenses(64, 48)[name]
    here, ahead = (
        worlds.turned(np.array(place), tilt, roll)
        for place, tilt, roll in (([0, 0, 10], 0.0, 0.0), ([2.0, -1.0, 13.0], 0.12, -0.1))
    )
    view = worlds.view(here, ahead)
    scene = worlds.tube()
    renderer = SurfaceRenderer(scene, camera, "cpu")
    shutter = Transport(shutter=0.8, subsamples=64)
    blurred = renderer.render_linear(view, shutter).radiance
    mean = np.mean([renderer.render_linear(v).radiance for v in instants(view, 0.8, 64)], axis=0)
    sharp = renderer.render_linear(view).radiance
    error, blur = np.abs(blurred - mean).mean(), np.abs(sharp - mean).mean()
    assert error < 0.12 * blur
    assert blurred.mean() == pytest.approx(mean.mean(), rel=0.003)


def test_the_pose_before_is_used_when_it_is_known():
    camera = worlds.lenses(48, 36)["pinhole"]
    here = worlds.turned(np.array([0.0, 0.0, 10.0]))
    before = worlds.turned(np.array([6.0, 0.0, 10.0]))
    renderer = SurfaceRenderer(worlds.tube(), camera, "cpu")
    shutter = Transport(shutter=1.0, subsamples=32)
    still = worlds.view(here, here)
    moved = replace(still, previous_camera_from_world=before)
    sharp = renderer.render_linear(still).radiance
    frozen = renderer.render_linear(still, shutter).radiance
    np.testing.assert_allclose(frozen, sharp, rtol=1e-3, atol=1e-4)
    half = replace(still, next_camera_from_world=before)  # the mirrored way, for the other half
    now = renderer.render_linear(moved, shutter).radiance - sharp
    assert np.abs(now).mean() > 0.01 * sharp.mean()
    assert (
        np.abs(now).mean() < np.abs(renderer.render_linear(half, shutter).radiance - sharp).mean()
    )


def test_moving_tissue_is_the_mean_of_its_instants():
    camera = worlds.lenses(48, 36)["pinhole"]
    scene = worlds.living_tube((worlds.CHALK, worlds.CHALK))
    assert scene.motion is not None
    view = replace(worlds.view(), index=2)
    count, share = 4, 0.9
    transport = Transport(shutter=share, subsamples=count)
    blurred = SurfaceRenderer(scene, camera, "cpu").render_linear(view, transport).radiance
    before, now, after = (scene.motion.vertices_at(k) for k in (1, 2, 3))
    pictures = []
    for time in share * ((np.arange(count) + 0.5) / count - 0.5):
        there = after if time > 0 else before
        frozen = Still(now + np.float32(abs(time)) * (there - now), scene.motion.moving)
        renderer = SurfaceRenderer(replace(scene, motion=frozen), camera, "cpu")
        pictures.append(renderer.render_linear(view).radiance)
    np.testing.assert_allclose(blurred, np.mean(pictures, axis=0), rtol=2e-3, atol=2e-4)


class Still:
    """A motion that stands still at one instant."""

    def __init__(self, place: np.ndarray, moving: np.ndarray) -> None:
        self.place, self.moving = place, moving

    def vertices_at(self, frame: int) -> np.ndarray:
        return self.place

# SPDX-License-Identifier: Apache-2.0
"""Flow and stereo against closed forms: walls that move rigidly, for every lens."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from endoforge.frames.frame import Frame
from endoforge.geometry.cameras import Camera
from endoforge.render.surface import SurfaceRenderer
from endoforge.render.view import OPTIONAL_LABELS, RightEye
from endoforge.scene.records import Scene
from render import worlds

LENSES = list(worlds.lenses(80, 60))
HERE = worlds.turned(np.array([4.0, -3.0, 6.0]), 0.1, 0.2)
AHEAD = worlds.turned(np.array([5.0, -3.0, 9.0]), 0.12, 0.25)
BEFORE = worlds.turned(np.array([4.0, -2.0, 3.0]), 0.05, 0.2)
ASIDE = worlds.turned(np.array([9.0, -3.0, 6.0]), -0.05, 0.2)


def pose_at(frame: int) -> np.ndarray:
    """Where a body is: it turns about a tilted axis and shifts."""
    axis = np.array([0.6, 0.0, 0.8])
    skew = np.cross(np.eye(3), axis)
    angle = 0.04 * frame
    pose = np.eye(4)
    pose[:3, :3] += np.sin(angle) * skew.T + (1 - np.cos(angle)) * skew @ skew
    pose[:3, 3] = frame * np.array([0.7, -0.3, 0.5])
    return pose


@dataclass(frozen=True, eq=False)
class Rigid:
    """A body that keeps its shape."""

    rest: np.ndarray

    @property
    def moving(self) -> np.ndarray:
        """All of it."""
        return np.ones(len(self.rest), bool)

    def vertices_at(self, frame: int) -> np.ndarray:
        """Turned and shifted vertices."""
        pose = pose_at(frame)
        return (self.rest @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32)


@pytest.fixture(params=LENSES)
def camera(request: pytest.FixtureRequest) -> Camera:
    return worlds.lenses(80, 60)[request.param]


@pytest.fixture(scope="module")
def ball() -> Scene:
    """A hollow ball around the camera, which rolls."""
    scene = worlds.sphere(60.0, 5)
    return replace(scene, motion=Rigid(scene.surface.vertices_mm))


def shot(scene: Scene, camera: Camera) -> Frame:
    look = replace(
        worlds.view(HERE, AHEAD),
        index=1,
        previous_camera_from_world=BEFORE,
        right=RightEye(camera, ASIDE),
    )
    return SurfaceRenderer(scene, camera, "cpu", OPTIONAL_LABELS).render(look)


def world_points(frame: Frame) -> np.ndarray:
    """What each pixel shows, from depth and pose alone."""
    rays = frame.camera.rays()
    points = frame.depth_mm.astype(np.float64)[..., None] * rays / rays[..., 2:]
    back = np.linalg.inv(frame.camera_from_world)
    return points @ back[:3, :3].T + back[:3, 3]


def carried(points: np.ndarray, start: int, end: int, camera_from_world: np.ndarray) -> np.ndarray:
    """The same material points at another frame, seen from a camera."""
    step = camera_from_world @ pose_at(end) @ np.linalg.inv(pose_at(start))
    return points @ step[:3, :3].T + step[:3, 3]


def test_flow_of_a_rolling_ball_is_that_of_its_material(camera, ball):
    frame = shot(ball, camera)
    centres = np.stack(np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5), -1)
    points = world_points(frame)
    for flow, end, pose in ((frame.flow_px, 2, AHEAD), (frame.back_flow_px, 0, BEFORE)):
        expected = camera.project(carried(points, 1, end, pose)) - centres
        known = np.isfinite(expected).all(axis=-1) & np.isfinite(flow).all(axis=-1)
        assert known.mean() > 0.4
        assert np.abs(flow - expected)[known].max() < 5e-3


def test_nothing_hides_inside_a_ball(camera, ball):
    frame = shot(ball, camera)
    expected = camera.project(carried(world_points(frame), 1, 2, AHEAD))
    with np.errstate(invalid="ignore"):
        inside = np.asarray(camera.in_field(expected))
        u, v = expected[..., 0], expected[..., 1]
        border = np.minimum.reduce([np.abs(u), np.abs(u - 80), np.abs(v), np.abs(v - 60)]) < 0.01
    if camera.content is not None:
        apart = np.hypot(u - camera.content[0], v - camera.content[1])
        border |= np.abs(apart - camera.content[2]) < 0.01
    if camera.corner_cut_px:
        to_borders = np.minimum(u, 80 - u) + np.minimum(v, 60 - v)
        border |= np.abs(to_borders - camera.corner_cut_px) < 0.01
    same = (frame.occluded == ~inside) | border | ~frame.valid
    assert same.mean() > 0.999


def test_rest_places_are_those_of_the_body_at_rest(camera, ball):
    frame = shot(ball, camera)
    rest = np.linalg.inv(pose_at(1))
    expected = world_points(frame) @ rest[:3, :3].T + rest[:3, 3]
    np.testing.assert_allclose(frame.texture_mm, expected, atol=2e-3)


def test_the_second_eye_sees_each_point_where_its_lens_says(camera, ball):
    frame = shot(ball, camera)
    centres = np.stack(np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5), -1)
    expected = camera.project(carried(world_points(frame), 1, 1, ASIDE)) - centres
    found = frame.right.from_left_px
    known = np.isfinite(expected).all(axis=-1) & np.isfinite(found).all(axis=-1)
    assert known.mean() > 0.4
    assert np.abs(found - expected)[known].max() < 5e-3

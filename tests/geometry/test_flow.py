# SPDX-License-Identifier: Apache-2.0
"""Flow from depth: laws that hold for every lens, and motions known in closed form."""

import numpy as np
import pytest
import torch

from endoforge.geometry.cameras import Camera, PinholeCamera, pixel_centres
from endoforge.geometry.depth import points_from_depth
from endoforge.geometry.flow import flow_from_depth
from endoforge.geometry.poses import pose_from, relative_pose, rotation_from_vector
from geometry.lenses import LENSES

lenses = pytest.mark.parametrize("camera", LENSES.values(), ids=LENSES.keys())


@lenses
def test_a_camera_at_rest_sees_no_flow(camera: Camera) -> None:
    flow = flow_from_depth(np.full((camera.height, camera.width), 40.0), camera, np.eye(4))
    assert np.nanmax(np.abs(flow)) < 1e-6
    has_depth = camera.rays()[..., 2] > 0
    assert np.isfinite(flow[has_depth]).mean() > 0.99  # all but the rim itself


def test_sideways_motion_before_a_wall_is_focal_length_times_shift_over_depth() -> None:
    camera = PinholeCamera(160, 120, 100.0, 110.0, 80.0, 60.0)
    motion = pose_from(np.eye(3), np.array([-2.0, 1.0, 0.0]))  # points move left and down
    flow = flow_from_depth(np.full((120, 160), 50.0), camera, motion)
    expected = np.broadcast_to([100 * -2 / 50, 110 * 1 / 50], flow.shape)
    np.testing.assert_allclose(flow, expected, atol=1e-10)


def test_moving_ahead_spreads_the_image_from_the_principal_point() -> None:
    camera = PinholeCamera(160, 120, 100.0, 100.0, 80.0, 60.0)
    motion = pose_from(np.eye(3), np.array([0, 0, -10.0]))
    flow = flow_from_depth(np.full((120, 160), 50.0), camera, motion)
    expected = (pixel_centres(160, 120) - (80, 60)) * (50 / 40 - 1)
    np.testing.assert_allclose(flow, expected, atol=1e-9)


@lenses
def test_turning_on_the_spot_gives_flow_that_depth_does_not_change(camera: Camera) -> None:
    turn = pose_from(rotation_from_vector(np.array([0.02, -0.05, 0.1])), np.zeros(3))
    near = flow_from_depth(np.full((camera.height, camera.width), 5.0), camera, turn)
    far = flow_from_depth(np.full((camera.height, camera.width), 500.0), camera, turn)
    both = np.isfinite(near) & np.isfinite(far)
    assert both.mean() > 0.2
    np.testing.assert_allclose(near[both], far[both], atol=1e-7)


@lenses
def test_flow_leads_to_where_the_next_camera_sees_the_world_point(camera: Camera) -> None:
    rng = np.random.default_rng(5)
    now = pose_from(rotation_from_vector(rng.normal(size=3)), rng.normal(size=3))
    step = pose_from(rotation_from_vector(np.array([0.03, 0.02, -0.04])), np.array([1, -2, 3.0]))
    later = step @ now
    depth = rng.uniform(20, 80, (camera.height, camera.width))
    flow = flow_from_depth(depth, camera, relative_pose(later, now))
    world = (points_from_depth(depth, camera.rays()) - now[:3, 3]) @ now[:3, :3]
    expected = camera.project(world @ later[:3, :3].T + later[:3, 3])
    known = np.isfinite(flow) & np.isfinite(expected)
    assert known.mean() > 0.2
    arrived = pixel_centres(camera.width, camera.height) + flow
    np.testing.assert_allclose(arrived[known], expected[known], atol=1e-6)


def test_torch_flow_agrees_and_carries_gradients() -> None:
    camera = LENSES["fisheye, 140 degrees"]
    motion = pose_from(rotation_from_vector(np.array([0.01, 0.02, 0.0])), np.array([1.0, 0, 2]))
    depth = np.random.default_rng(6).uniform(20, 80, (120, 160))
    tensor = torch.tensor(depth, requires_grad=True)
    flow = flow_from_depth(tensor, camera, torch.tensor(motion))
    np.testing.assert_allclose(flow.detach(), flow_from_depth(depth, camera, motion), atol=1e-10)
    flow.sum().backward()
    assert tensor.grad.isfinite().all()
    single = flow_from_depth(depth.astype(np.float32), camera, motion)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, flow.detach(), atol=1e-3)


def test_points_that_leave_the_field_and_invalid_depth_have_no_flow() -> None:
    camera = LENSES["pinhole"]
    depth = np.full((120, 160), 50.0)
    depth[3, 4] = np.nan
    behind = pose_from(np.eye(3), np.array([0.0, 0.0, -60.0]))
    assert np.isnan(flow_from_depth(depth, camera, behind)).all()
    known = np.isfinite(flow_from_depth(depth, camera, np.eye(4))[..., 0])
    assert known.sum() == known.size - 1

# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from endoforge.scene.instruments.apart import Rods, least_gap, scope_rods, segment_gap, tool_rods
from endoforge.scene.instruments.build import build_tool
from endoforge.scene.instruments.kinematics import carried, part_poses
from endoforge.scene.paths.targets import Target


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_no_two_points_of_segments_are_nearer(seed):
    rng = np.random.default_rng(seed)
    a, u, b, v = rng.normal(size=(4, 1, 3))
    if seed % 4 == 0:
        v = 1.7 * u  # parallel
    found = float(segment_gap(a, u, b, v)[0])
    share = np.linspace(0, 1, 200)[:, None]
    one, two = a + share * u, b + share * v
    sampled = float(cKDTree(one).query(two)[0].min())
    assert found <= sampled + 1e-9
    assert found >= sampled - 0.02 * (np.linalg.norm(u) + np.linalg.norm(v))


@pytest.mark.parametrize("kind", ["grasper", "dissector", "scissors", "hook", "clipper", "suction"])
def test_rods_hold_the_whole_tool(kind):
    tool = build_tool(kind)
    joints = {name: joint.limits[1] for name, joint in tool.joints.items()}
    poses = part_poses(tool, joints)
    port = Target("port", np.array([0.0, 0.0, -tool.length_mm]), 5.0, np.array([0.0, 0.0, 1.0]))
    rods = tool_rods(tool, port, poses[None])
    vertices = carried(tool, poses)[:, None]
    start, way = rods.start_mm, rods.end_mm - rods.start_mm
    outside = segment_gap(vertices, 0 * vertices, start, way) - rods.radius_mm
    assert outside.min(axis=1).max() < 0.5


def test_the_gap_between_crossing_rods_is_that_of_their_axes_less_their_thickness():
    one = Rods(np.array([[[-9.0, 0, 0]]]), np.array([[[9.0, 0, 0]]]), np.array([2.0]))
    two = Rods(np.array([[[0.0, -9, 6]]]), np.array([[[0.0, 9, 6]]]), np.array([2.5]))
    assert one.gap_mm(two) == pytest.approx([1.5])
    assert least_gap(one, []) == np.inf


def test_a_scope_is_a_rod_behind_its_lens():
    pose = np.eye(4)[None]
    ball = Rods(np.array([[[0.0, 30, -100]]]), np.array([[[0.0, 30, -100]]]), np.array([5.0]))
    assert scope_rods(pose).gap_mm(ball) == pytest.approx([20.0])

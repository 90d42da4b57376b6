# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import SceneError
from endoforge.geometry.poses import is_pose
from endoforge.scene.instruments.build import build_channel_tool, build_tool
from endoforge.scene.instruments.kinematics import (
    RemoteCentre,
    joint_values,
    part_poses,
    posed,
    reach,
    world_from_tool,
)
from endoforge.scene.paths.targets import Target

angles = st.floats(-1.2, 1.2)
PORT = Target("port", np.array([10.0, -20.0, 30.0]), 5.0, np.array([0.3, -0.8, 0.5]))


@given(angles, angles, st.floats(-3, 3), st.floats(20, 300))
@settings(max_examples=60, deadline=None)
def test_the_shaft_passes_through_the_port_whatever_the_joints(yaw, pitch, roll, insertion):
    pose = world_from_tool(PORT, RemoteCentre(yaw, pitch, roll, insertion))
    assert is_pose(pose)
    to_port = PORT.point_mm - pose[:3, 3]
    along = pose[:3, 2]
    assert np.linalg.norm(np.cross(to_port, along)) < 1e-9
    assert to_port @ along == pytest.approx(-insertion)


@given(
    st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(60, 200)),
    st.tuples(st.floats(-8, 8), st.floats(-8, 8), st.floats(5, 30)),
    st.floats(-3.1, 3.1),
)
@settings(max_examples=100, deadline=None)
def test_reach_puts_the_tools_point_on_the_target(target, offset, roll):
    port = Target("port", np.zeros(3), 5.0, np.array([0.0, 0.0, 1.0]))
    centre = reach(port, np.array(target), np.array(offset), roll)
    pose = world_from_tool(port, centre)
    assert np.abs(pose[:3, :3] @ offset + pose[:3, 3] - target).max() < 1e-9
    assert centre.roll_rad == roll and centre.insertion_mm > 0


@pytest.mark.parametrize("target", [(0.0, 0.0, 8.0), (0.0, 0.0, -90.0)])
def test_a_target_at_or_behind_the_port_is_refused(target):
    port = Target("port-x", np.zeros(3), 5.0, np.array([0.0, 0.0, 1.0]))
    with pytest.raises(SceneError, match=r"'port-x'.*move either"):
        reach(port, np.array(target), np.array([0.0, 0.0, 20.0]))


@given(st.floats(0, 1), st.sampled_from(["grasper", "clipper", "scissors"]))
@settings(max_examples=20, deadline=None)
def test_rigid_parts_stay_rigid_when_joints_move(share, kind):
    tool = TOOLS[kind]
    low, high = tool.joints["opening"].limits
    moved = posed(tool, {"opening": low + share * (high - low)})
    rest = tool.surface.vertices_mm.astype(np.float64)
    for part in tool.parts:
        rows = np.linspace(part.vertices[0], part.vertices[1] - 1, 12).astype(int)
        before = np.linalg.norm(rest[rows, None] - rest[None, rows], axis=2)
        after = np.linalg.norm(moved[rows, None] - moved[None, rows], axis=2)
        assert np.abs(before - after).max() < 1e-9


TOOLS = {kind: build_tool(kind) for kind in ("grasper", "clipper", "scissors")}


def test_joints_at_rest_leave_the_tool_as_it_was_built():
    tool = TOOLS["grasper"]
    assert np.abs(posed(tool, {}) - tool.surface.vertices_mm).max() < 1e-12
    assert np.array_equal(part_poses(tool, {}), np.tile(np.eye(4), (len(tool.parts), 1, 1)))


def test_jaws_mirror_each_other():
    values = joint_values(TOOLS["grasper"], {"opening": 0.3})
    assert sorted(values.values()) == [0.3, 0.3]
    poses = part_poses(TOOLS["grasper"], {"opening": 0.3})
    assert np.allclose(poses[2][:3, :3], poses[3][:3, :3].T)


@pytest.mark.parametrize("value", [-0.2, 2.0])
def test_a_joint_beyond_its_limits_is_refused(value):
    with pytest.raises(SceneError, match=f"'opening' of grasper must lie within.*got {value:g}"):
        part_poses(TOOLS["grasper"], {"opening": value})


def test_an_unknown_joint_is_refused():
    with pytest.raises(SceneError, match=r"no joint .'elbow'.; it has .'opening'."):
        part_poses(TOOLS["grasper"], {"elbow": 0.1})


def test_a_snares_loop_narrows_into_its_sheath():
    snare = build_channel_tool("snare")
    rows = slice(*snare.parts[1].vertices)
    loose, tight = posed(snare, {})[rows], posed(snare, {"closing": 0.9})[rows]
    assert np.ptp(loose[:, 0]) == pytest.approx(15.4, abs=1.5)
    assert np.ptp(tight[:, 0]) == pytest.approx(0.1 * np.ptp(loose[:, 0]))
    assert np.array_equal(loose[:, 1:], tight[:, 1:])

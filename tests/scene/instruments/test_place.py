# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

from endoforge.errors import SceneError, SettingsError, ShapeError
from endoforge.geometry.poses import is_pose, look_at
from endoforge.scene.instruments.contact import nearest, touchable
from endoforge.scene.instruments.motion import PlacedInstrument
from endoforge.scene.instruments.place import place_instruments
from endoforge.scene.instruments.settings import (
    ChannelToolSettings,
    InstrumentSettings,
    ToolMotionSettings,
    ToolSettings,
)
from endoforge.scene.instruments.workspace import Workspace
from endoforge.scene.paths.targets import Target
from endoforge.scene.records import COLON_LABELS, Motion
from endoforge.settings import validate
from scene.instruments.workplaces import egg, surface_of


def settings_of(kind="grasper", behaviour="work", port="right", target="top", **motion):
    others = motion.pop("other_ports", True)
    moves = ToolMotionSettings(behaviour=behaviour, **motion)
    tool = ToolSettings(kind=kind, port=port, other_ports=others, target=target, motion=moves)
    return InstrumentSettings(tools=(tool,))


def placed(work: Workspace, seed: int = 0, **choices) -> PlacedInstrument:
    return place_instruments(settings_of(**choices), np.random.default_rng(seed), work)[0]


@pytest.fixture(scope="module")
def still() -> Workspace:
    return egg()


def distances(tool: PlacedInstrument, work: Workspace, frame: int) -> np.ndarray:
    """Signed distance of every vertex of the tool to tissue, both as they are at a frame."""
    vertices = work.motion.vertices_at(frame) if work.motion else work.surface.vertices_mm
    tissue = touchable(replace(work.surface, vertices_mm=vertices))
    return nearest(tissue, tool.motion.vertices_at(frame).astype(np.float64)).distance_mm


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("grasper", "side"),
        ("hook", "top"),
        ("scissors", "top"),
        ("clipper", "side"),
        ("suction", "side"),
        ("dissector", "top"),
    ],
)
def test_a_tool_never_lies_deeper_in_tissue_than_allowed(still, kind, target):
    tool = placed(still, kind=kind, target=target, gap_mm=0.0, wander_mm=8.0)
    worst = min(distances(tool, still, frame).min() for frame in range(-1, still.frames + 1, 3))
    assert worst >= -0.5
    assert tool.penetration_mm <= 0.5


def test_it_stays_clear_of_tissue_that_moves():
    work = egg(breathing=True)
    tool = placed(work, kind="hook", behaviour="hold", gap_mm=0.0)
    worst = min(distances(tool, work, frame).min() for frame in range(-1, work.frames + 1, 3))
    assert worst >= -0.5


def test_it_stays_clear_although_the_organ_lies_between_port_and_target():
    """The far side of the egg cannot be reached; the tool stops before it instead of passing."""
    work = egg()
    hidden = replace(work.targets[0], name="below", point_mm=np.array([0.0, -30.0, 0.0]),
                     normal=np.array([0.0, -1.0, 0.0]))  # fmt: skip
    work = replace(work, targets=(*work.targets, hidden))
    tool = placed(work, kind="suction", behaviour="hold", target="below")
    assert min(distances(tool, work, frame).min() for frame in (-1, 8, 16)) >= -0.5


@pytest.mark.parametrize("behaviour", ["work", "hold", "pull", "retract"])
def test_the_shaft_passes_the_port_at_every_frame(still, behaviour):
    tool = placed(still, behaviour=behaviour)
    port = still.ports[0].point_mm
    shaft = next(m for m in tool.landmarks if m.name.endswith("/shaft end"))
    gap = port - shaft.world_from_part[:, :3, 3]
    along = shaft.world_from_part[:, :3, 2]
    assert np.linalg.norm(np.cross(gap, along), axis=1).max() < 0.1
    entry = next(m for m in tool.landmarks if m.name.endswith("/entry"))
    assert np.abs(entry.world_from_part[:, :3, 3] - port).max() == 0


def test_the_tip_comes_to_the_target_and_stays(still):
    tool = placed(still, kind="hook", behaviour="hold", gap_mm=1.0, tremor_mm=0.0)
    tip = next(m for m in tool.landmarks if m.name.endswith("/tip")).world_from_part[:, :3, 3]
    distance = np.linalg.norm(tip - still.targets[0].point_mm, axis=1)
    assert distance[0] > 10 and distance[-8:].max() < 4.5


def test_a_retracting_tool_leaves(still):
    tool = placed(still, behaviour="retract", reach_share=0.2)
    tip = next(m for m in tool.landmarks if m.name.endswith("/tip")).world_from_part[:, :3, 3]
    distance = np.linalg.norm(tip - still.targets[0].point_mm, axis=1)
    assert distance[-1] > distance[1] + 8


def test_motion_is_smooth():
    """With slow motion and no tremor the tip's speed changes little from frame to frame."""
    work = egg(frames=40)
    tool = placed(work, kind="suction", tremor_mm=0.0)
    tip = next(m for m in tool.landmarks if m.name.endswith("/tip")).world_from_part[:, :3, 3]
    assert np.linalg.norm(np.diff(tip, axis=0), axis=1).max() < 8.0
    assert np.linalg.norm(np.diff(tip, 2, axis=0), axis=1).max() < 3.0


def test_every_part_stays_rigid_over_time(still):
    tool = placed(still)
    first, later = (tool.motion.vertices_at(k).astype(np.float64) for k in (0, 13))
    for part in tool.instrument.parts:
        rows = np.linspace(part.vertices[0], part.vertices[1] - 1, 15).astype(int)
        before = np.linalg.norm(first[rows, None] - first[None, rows], axis=2)
        after = np.linalg.norm(later[rows, None] - later[None, rows], axis=2)
        assert np.abs(before - after).max() < 1e-3  # float32 at 300 mm


def test_key_points_move_with_their_parts(still):
    tool = placed(still)
    for mark in tool.landmarks:
        name = mark.name.split("/")[1]
        assert mark.instance == tool.instance == 4
        assert all(is_pose(pose) for pose in mark.world_from_part)
        if name == "entry":
            continue
        point = tool.instrument.keypoints[name]
        rows = slice(*tool.instrument.parts[point.part].vertices)
        rest = np.linalg.norm(tool.motion.rest_mm[rows] - point.point_mm, axis=1)
        for frame in (-1, 9, still.frames):
            place = mark.world_from_part[frame + 1, :3, 3]
            now = np.linalg.norm(tool.motion.vertices_at(frame)[rows] - place, axis=1)
            assert np.abs(now - rest).max() < 1e-3


def test_joints_stay_within_their_limits_and_are_told_at_every_frame(still):
    tool = placed(still, behaviour="pull")
    assert set(tool.joints) == {"yaw_rad", "pitch_rad", "roll_rad", "insertion_mm", "opening"}
    low, high = tool.instrument.joints["opening"].limits
    opening = tool.joints["opening"]
    assert len(opening) == still.frames + 2
    assert low - 1e-9 <= opening.min() and opening.max() <= high + 1e-9
    facts = tool.facts_at(3)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["joints"]["opening"] == opening[4]
    assert facts["kind"] == "grasper" and facts["port"] == "port-right"


def test_held_tissue_follows_the_jaws_and_only_while_held(still):
    tool = placed(still, behaviour="pull", pull_mm=12.0, reach_share=0.3)
    (pull,) = tool.pulls
    assert pull.instance == 3
    moved = np.linalg.norm(pull.displacement_mm, axis=1)
    assert moved[0] == 0 and moved[-1] == pytest.approx(12.0, abs=4.0)
    tip = next(m for m in tool.landmarks if m.name.endswith("/tip")).world_from_part
    inside = tip[-1] @ [0, 0, -2.5, 1]
    assert np.linalg.norm(pull.point_mm + pull.displacement_mm[-1] - inside[:3]) < 1e-9
    assert not placed(still, behaviour="work").pulls


def test_the_same_numbers_place_the_same_tool(still):
    one, same, other = placed(still, 5), placed(still, 5), placed(still, 6)
    assert np.array_equal(one.motion.world_from_rest, same.motion.world_from_rest)
    assert not np.array_equal(one.motion.world_from_rest, other.motion.world_from_rest)


def test_a_further_tool_leaves_the_first_as_it_was(still):
    own = settings_of(kind="hook", target="side")
    two = InstrumentSettings(tools=(*own.tools, ToolSettings(port="left", target="top")))
    alone = place_instruments(own, np.random.default_rng(1), still)
    both = place_instruments(two, np.random.default_rng(1), still)
    assert np.array_equal(alone[0].motion.world_from_rest, both[0].motion.world_from_rest)
    assert [tool.instance for tool in both] == [4, 5]
    assert (both[1].surface.face_instance == 5).all()


def test_what_is_placed_is_a_motion_and_a_surface_of_frame_0(still):
    tool = placed(still)
    assert isinstance(tool.motion, Motion) and tool.motion.moving.all()
    assert np.array_equal(tool.surface.vertices_mm, tool.motion.vertices_at(0))
    assert np.array_equal(tool.surface.texture_mm, tool.instrument.surface.vertices_mm)
    with pytest.raises(SceneError, match="frames -1 to 16, got 17"):
        tool.motion.vertices_at(17)


@pytest.mark.parametrize(
    ("choice", "match"),
    [
        ({"port": "navel"}, "no port 'navel'; it has port-right, port-left, port-far"),
        ({"target": "spleen"}, "no target 'spleen'; it has top, side"),
        ({"port": "far"}, "330 mm long but would have to reach 5.. mm"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(still, choice, match):
    with pytest.raises(SceneError, match=match):
        placed(still, other_ports=False, **choice)


def test_another_port_is_taken_where_the_named_one_is_too_far(still):
    tool = placed(still, port="far")
    assert tool.facts["port"] == "port-right"


def test_another_port_is_taken_where_tissue_bars_the_way(still):
    """The egg lies between the right port and a target on its left side."""
    left = Target("beyond", np.array([-38.0, 5.0, 0.0]), 6.0, np.array([-1.0, 0.2, 0.0]))
    work = replace(still, targets=(*still.targets, left))
    assert placed(work, target="beyond", behaviour="hold").facts["port"] == "port-left"
    kept = placed(work, target="beyond", behaviour="hold", other_ports=False)
    assert kept.facts["port"] == "port-right"


@pytest.mark.parametrize("seed", range(6))
def test_two_tools_at_one_place_do_not_run_through_each_other(still, seed):
    """Both are sent to the same point through the same port; measured between their vertices."""
    tools = tuple(
        ToolSettings(kind=kind, port="right", target="top") for kind in ("hook", "grasper")
    )
    one, two = place_instruments(
        InstrumentSettings(tools=tools), np.random.default_rng(seed), still
    )
    for frame in range(-1, still.frames + 1, 3):
        gap = cKDTree(one.motion.vertices_at(frame)).query(two.motion.vertices_at(frame))[0]
        assert gap.min() > 0.4


def test_tools_that_cannot_keep_apart_are_refused(still):
    tool = ToolSettings(kind="hook", port="right", target="top", other_ports=False)
    with pytest.raises(SceneError, match="courses through port-right run into them"):
        place_instruments(InstrumentSettings(tools=(tool, tool)), np.random.default_rng(0), still)


def test_an_impossible_opening_is_refused():
    with pytest.raises(SettingsError, match=r"opening must lie within 0\.0 to 1\.0"):
        validate(ToolMotionSettings, {"opening": [0.2, 1.5]})


# ---- the working channel ------------------------------------------------------------------------


def tube(frames: int = 12) -> tuple[Workspace, np.ndarray]:
    """A straight lumen of 20 mm radius along z with an end at z = 60, and a moving camera."""
    mesh = trimesh.creation.capsule(height=110.0, radius=20.0, count=[48, 48])
    mesh.apply_translation([0, 0, -60.0 - mesh.bounds[0][2] - mesh.extents[2] + 120.0])
    mesh.invert()
    poses = np.stack(
        [
            look_at(np.array([1.0, 2.0, 2.0 * k - 2.0]), np.array([0.0, 0.0, 60.0]),
                    np.array([0.0, -1.0, 0.0]))
            for k in range(-1, frames + 1)
        ]
    )  # fmt: skip
    return Workspace(surface_of(mesh), (), (), frames, COLON_LABELS), poses


@pytest.mark.parametrize("kind", ["forceps", "snare"])
def test_a_channel_tool_moves_with_the_endoscope_at_the_lower_right(kind):
    work, poses = tube()
    own = InstrumentSettings(channel=ChannelToolSettings(kind=kind))
    (tool,) = place_instruments(own, np.random.default_rng(0), work, poses)
    end = next(m for m in tool.landmarks if m.name.endswith("/shaft end"))
    seen = np.einsum("kij,kj->ki", poses, end.world_from_part[:, :, 3])[:, :3]
    assert (seen[:, :2] > 0).all()  # right and down
    assert {COLON_LABELS[int(i)] for i in np.unique(tool.surface.face_label)} == {
        "tool shaft",
        "tool tip",
    }


def test_a_channel_tool_is_drawn_back_before_the_wall():
    work, poses = tube()
    own = InstrumentSettings(channel=ChannelToolSettings(kind="forceps", reach_mm=60.0))
    (tool,) = place_instruments(own, np.random.default_rng(2), work, poses)
    for frame in range(-1, work.frames + 1, 3):
        ahead = (
            tool.motion.vertices_at(frame) @ poses[frame + 1][2, :3] + poses[frame + 1][2, 3] > 0
        )
        assert distances(tool, work, frame)[ahead].min() > -0.5
    assert np.ptp(tool.joints["insertion_mm"]) > 5  # the end of the lumen comes nearer


def test_a_channel_tool_needs_the_endoscopes_poses():
    work, poses = tube()
    own = InstrumentSettings(channel=ChannelToolSettings())
    with pytest.raises(SceneError, match="needs the endoscope's poses"):
        place_instruments(own, np.random.default_rng(0), work)
    with pytest.raises(ShapeError, match="needs 14 poses for 12 frames, got 13"):
        place_instruments(own, np.random.default_rng(0), work, poses[:-1])

# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import trimesh

from endoforge.errors import SceneError
from endoforge.scene.instruments.build import build_channel_tool, build_tool
from endoforge.scene.instruments.kinematics import keypoint_in_tool, posed
from endoforge.scene.instruments.records import Instrument, labelled
from endoforge.scene.records import ABDOMEN_LABELS, COLON_LABELS

PORT_TOOLS = ("grasper", "dissector", "scissors", "hook", "clipper", "suction")
KINDS = (*PORT_TOOLS, "forceps", "snare")


@pytest.fixture(scope="module", params=KINDS)
def tool(request: pytest.FixtureRequest) -> Instrument:
    return build(request.param)


def build(kind: str) -> Instrument:
    return build_tool(kind) if kind in PORT_TOOLS else build_channel_tool(kind)


def pieces(tool: Instrument, part: int) -> list[trimesh.Trimesh]:
    """The closed pieces of a part, corners split at sharp edges put together again."""
    surface, plan = tool.surface, tool.parts[part]
    corners = surface.vertices_mm.astype(np.float64)[surface.faces[slice(*plan.faces)]]
    points, index = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    mesh = trimesh.Trimesh(points, index.reshape(-1, 3), process=False)
    return list(mesh.split(only_watertight=False))


def test_every_piece_of_every_part_is_closed_and_faces_outwards(tool):
    for number in range(len(tool.parts)):
        for piece in pieces(tool, number):
            assert piece.is_watertight and piece.is_winding_consistent
            assert piece.volume > 0.01


def test_a_tool_has_between_1500_and_15000_triangles(tool):
    assert 1500 <= len(tool.surface.faces) <= 15_000


def test_parts_own_all_vertices_and_triangles_once(tool):
    surface = tool.surface
    assert [p.vertices[0] for p in tool.parts[1:]] == [p.vertices[1] for p in tool.parts[:-1]]
    assert tool.parts[-1].vertices[1] == len(surface.vertices_mm)
    for part in tool.parts:
        used = surface.faces[slice(*part.faces)]
        assert part.vertices[0] == used.min() and used.max() == part.vertices[1] - 1


def test_normals_point_out_of_the_pieces(tool):
    surface = tool.surface
    a, b, c = (surface.vertices_mm[surface.faces[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    agree = (flat[:, None] * surface.normals[surface.faces]).sum(axis=2)
    assert np.abs(np.linalg.norm(surface.normals, axis=1) - 1).max() < 1e-5
    assert (agree > -1e-6).all()


def test_key_points_lie_on_the_tool_or_on_its_axis(tool):
    for name, point in tool.keypoints.items():
        if name == "shaft end":
            assert np.abs(point.point_mm).max() == 0
            continue
        distance = np.linalg.norm(tool.surface.vertices_mm - point.point_mm, axis=1).min()
        assert distance < tool.diameter_mm, name


@pytest.mark.parametrize("kind", ["grasper", "dissector", "scissors", "clipper"])
def test_jaw_tips_lie_on_the_jaws(kind):
    tool = build(kind)
    for name in ("upper tip", "lower tip"):
        point = tool.keypoints[name]
        part = tool.parts[point.part]
        own = tool.surface.vertices_mm[slice(*part.vertices)]
        assert np.linalg.norm(own - point.point_mm, axis=1).min() < 0.9


def test_the_tip_is_the_part_farthest_from_the_shaft(tool):
    ends = tool.surface.vertices_mm[:, 2].max()
    assert tool.keypoints["tip"].point_mm[2] == pytest.approx(ends, abs=0.45)
    assert tool.surface.vertices_mm[:, 2].min() == pytest.approx(-tool.length_mm)


def test_the_shaft_is_as_thick_as_it_says(tool):
    own = tool.surface.vertices_mm[slice(*tool.parts[0].vertices)]
    assert 2 * np.linalg.norm(own[:, :2], axis=1).max() == pytest.approx(tool.diameter_mm, abs=0.01)


@pytest.mark.parametrize("kind", ["grasper", "clipper", "suction", "forceps"])
def test_a_straight_tool_fits_through_its_own_trocar_when_closed(kind):
    tool = build(kind)
    closed = {n: j.limits[0] for n, j in tool.joints.items()}
    reach = np.linalg.norm(posed(tool, closed)[:, :2], axis=1).max()
    assert reach <= 0.56 * tool.diameter_mm


def test_jaws_at_rest_do_not_reach_into_each_other():
    for kind in ("grasper", "dissector"):
        tool = build(kind)
        upper, lower = (tool.surface.vertices_mm[slice(*tool.parts[k].vertices)] for k in (2, 3))
        ahead = 0.55 * tool.keypoints["tip"].point_mm[2]
        assert upper[upper[:, 2] > ahead, 1].min() >= 0 >= lower[lower[:, 2] > ahead, 1].max()


def test_open_jaws_part_by_the_opening_angle():
    tool = build("grasper")
    pivot = tool.keypoints["pivot"].point_mm
    for angle in (0.1, 0.4):
        up = keypoint_in_tool(tool, "upper tip", {"opening": angle}) - pivot
        down = keypoint_in_tool(tool, "lower tip", {"opening": angle}) - pivot
        assert up[1] > 0 > down[1]
        cosine = up @ down / np.linalg.norm(up) / np.linalg.norm(down)
        assert np.arccos(cosine) == pytest.approx(2 * angle, abs=1e-9)


def test_classes_follow_the_scene_and_one_number_marks_the_tool():
    tool = build("clipper")
    inside = labelled(tool, ABDOMEN_LABELS, 7)
    found = {ABDOMEN_LABELS[int(i)] for i in np.unique(inside.face_label)}
    assert found == {"tool shaft", "tool wrist", "tool tip", "clip"}
    assert (inside.face_instance == 7).all()
    colon = labelled(build("forceps"), COLON_LABELS, 2)
    found = {COLON_LABELS[int(i)] for i in np.unique(colon.face_label)}
    assert found == {"tool shaft", "tool tip"}


def test_only_materials_that_occur_are_listed():
    assert build("hook").materials == ("steel", "plastic", "ceramic")
    assert build("clipper").materials == ("steel", "titanium")
    for kind in KINDS:
        tool = build(kind)
        assert set(np.unique(tool.surface.face_material)) == set(range(len(tool.materials)))


def test_a_scene_without_classes_for_tools_is_refused():
    with pytest.raises(SceneError, match="no 'tool shaft'"):
        labelled(build("hook"), {0: "outside", 1: "wall"}, 1)


@pytest.mark.parametrize("diameter", [3.0, 5.0, 10.0])
def test_tools_scale_with_their_diameter(diameter):
    tool = build_tool("grasper", diameter, "steel")
    assert tool.diameter_mm == diameter
    steel = tool.surface.face_material[slice(*tool.parts[0].faces)]
    assert (steel == tool.materials.index("steel")).all()
    assert all(p.is_watertight for k in range(len(tool.parts)) for p in pieces(tool, k))

# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from endoforge.errors import DataError, EndoforgeError, SceneError
from endoforge.scene.instruments.kinematics import part_poses, posed
from endoforge.scene.instruments.place import place_instruments
from endoforge.scene.instruments.records import Instrument
from endoforge.scene.instruments.settings import (
    InstrumentSettings,
    ToolMotionSettings,
    ToolSettings,
    UrdfSettings,
)
from endoforge.scene.instruments.urdf import read_urdf
from scene.instruments.workplaces import egg

PINCER = """<?xml version="1.0"?>
<robot name="pincer">
  <material name="black"><color rgba="0 0 0 1"/></material>
  <link name="rod"><visual>
    <origin xyz="0 0 -0.15"/><geometry><cylinder radius="0.0025" length="0.3"/></geometry>
    <material name="black"/></visual></link>
  <link name="head"><visual><geometry><sphere radius="0.002"/></geometry></visual></link>
  <link name="left"><visual><origin xyz="0.001 0 0.005"/>
    <geometry><mesh filename="jaw.stl" scale="0.001 0.001 0.001"/></geometry></visual></link>
  <link name="right"><visual><origin xyz="-0.001 0 0.005" rpy="0 0 0.1"/>
    <geometry><box size="0.001 0.002 0.01"/></geometry></visual></link>
  <joint name="bend" type="revolute"><parent link="rod"/><child link="head"/>
    <origin xyz="0 0 0.004" rpy="0.2 -0.1 0.3"/><axis xyz="0 2 0"/>
    <limit lower="-1.2" upper="1.2" effort="1" velocity="1"/></joint>
  <joint name="grip" type="revolute"><parent link="head"/><child link="left"/>
    <origin xyz="0 0.0005 0.003" rpy="0 0 0.4"/><axis xyz="0 1 0"/>
    <limit lower="0" upper="1" effort="1" velocity="1"/></joint>
  <joint name="grip2" type="revolute"><parent link="head"/><child link="right"/>
    <origin xyz="0 -0.0005 0.003"/><axis xyz="0 1 0"/>
    <limit lower="-1" upper="1" effort="1" velocity="1"/>
    <mimic joint="grip" multiplier="-1" offset="0.05"/></joint>
</robot>
"""


def pincer(folder: Path, text: str = PINCER) -> UrdfSettings:
    trimesh.creation.box((1.0, 2.0, 10.0)).export(folder / "jaw.stl")
    path = folder / "pincer.urdf"
    path.write_text(text)
    return UrdfSettings(urdf=path, opening="grip", closed=0.0, open=0.8)


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Instrument:
    return read_urdf(pincer(tmp_path_factory.mktemp("urdf")))


def link_frame(parent: np.ndarray, xyz_m: list, rpy: list, axis: list, angle: float) -> np.ndarray:
    """The URDF's own rule, written down once more: place, turn, then move about the axis."""
    pose = np.eye(4)
    unit = np.array(axis) / np.linalg.norm(axis)
    pose[:3, :3] = Rotation.from_euler("xyz", rpy).as_matrix()
    pose[:3, 3] = 1000 * np.array(xyz_m)
    moved = np.eye(4)
    moved[:3, :3] = Rotation.from_rotvec(angle * unit).as_matrix()
    return parent @ pose @ moved


@pytest.mark.parametrize(("bend", "grip"), [(0.0, 0.0), (0.7, 0.4), (-1.1, 1.0)])
def test_links_go_where_the_urdf_says(tool, bend, grip):
    now = posed(tool, {"bend": bend, "grip": grip})
    rod = np.eye(4)  # the shaft ends at the root's origin, so the tool frame is the root's
    head = link_frame(rod, [0, 0, 0.004], [0.2, -0.1, 0.3], [0, 2, 0], bend)
    left = link_frame(head, [0, 0.0005, 0.003], [0, 0, 0.4], [0, 1, 0], grip)
    right = link_frame(head, [0, -0.0005, 0.003], [0, 0, 0], [0, 1, 0], 0.05 - grip)
    boxes = {"left": (left, [1.0, 0, 5], [0, 0, 0]), "right": (right, [-1.0, 0, 5], [0, 0, 0.1])}
    corners = np.array(np.meshgrid([-0.5, 0.5], [-1, 1], [-5, 5])).reshape(3, -1).T
    for name, (frame, middle, rpy) in boxes.items():
        part = next(p for p in tool.parts if p.name == name)
        wanted = corners @ Rotation.from_euler("xyz", rpy).as_matrix().T + middle
        wanted = wanted @ frame[:3, :3].T + frame[:3, 3]
        distance = np.linalg.norm(now[slice(*part.vertices), None] - wanted[None], axis=2)
        assert distance.min(axis=0).max() < 1e-4


def test_metres_become_millimetres_and_colours_become_materials(tool):
    assert tool.diameter_mm == pytest.approx(5.0)
    assert tool.length_mm == pytest.approx(300.0)
    kinds = {p.name: p.kind for p in tool.parts}
    assert kinds == {
        "rod": "tool shaft",
        "head": "tool wrist",
        "left": "tool tip",
        "right": "tool tip",
    }
    material = tool.surface.face_material
    assert (material[slice(*tool.parts[0].faces)] == tool.materials.index("plastic")).all()
    assert (material[tool.parts[1].faces[0] :] == tool.materials.index("steel")).all()


def test_limits_and_followers_come_along(tool):
    assert set(tool.joints) == {"bend", "grip"}
    assert tool.drives == {"grip": (0.0, 0.8)}
    with pytest.raises(SceneError, match=r"'grip' of pincer must lie within 0 to 1, got 1\.2"):
        part_poses(tool, {"grip": 1.2})


def test_a_users_tool_works_in_a_scene_like_any_other(tmp_path):
    work = egg(frames=8)
    motion = ToolMotionSettings(behaviour="pull", reach_share=0.2, wrist_deg=20.0)
    own = ToolSettings(own=pincer(tmp_path), target="top", motion=motion)
    (placed,) = place_instruments(InstrumentSettings(tools=(own,)), np.random.default_rng(0), work)
    assert {"bend", "grip"} < set(placed.joints)
    assert np.ptp(placed.joints["bend"]) > 0.01
    assert placed.pulls and placed.penetration_mm <= 0.5


def test_links_can_be_named_otherwise_and_left_out(tmp_path):
    settings = pincer(tmp_path).model_copy(
        update={"links": {"head": "left out", "right": "tool wrist"}}
    )
    tool = read_urdf(settings)
    parts = {p.name: p for p in tool.parts}
    assert parts["head"].faces[0] == parts["head"].faces[1]
    assert parts["right"].kind == "tool wrist"


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("jaw.stl", "other.stl", r"'left' needs the mesh 'other.stl', which is not at .*other.stl"),
        ("jaw.stl", "package://arm/jaw.stl", None),
        ("jaw.stl", "package://arm/no.stl", r"'package://arm/no.stl', .* not at .*arm/no.stl"),
        ("jaw.stl", "jaw.dae", r"link 'left' needs the mesh 'jaw.dae'"),
        ('"revolute"><parent link="rod"', '"ball"><parent link="rod"', "is of type 'ball'"),
        ('lower="0" upper="1"', 'lower="2" upper="1"', "lower limit 2 above its upper limit 1"),
        ('<limit lower="-1.2" upper="1.2"', "<no", r"'bend' .* needs a <limit>"),
        ('parent link="head"', 'parent link="neck"', "names the link 'neck', which is not there"),
        ('child link="right"', 'child link="left"', "link 'left' hangs on two joints"),
        ('mimic joint="grip"', 'mimic joint="grap"', "follows 'grap', which is no free joint"),
        ('mimic joint="grip"', 'mimic joint="grip2"', "follows 'grip2', which is no free joint"),
        ('axis xyz="0 2 0"', 'axis xyz="0 0 0"', "which has no direction"),
        ("0.0005 0.003", "0.0005 inf", "expected 3 finite numbers"),
        ('<link name="head">', '<link name="rod">', "more than one link named 'rod'"),
        ("</robot>", "", "not well-formed XML"),
        ('name="pincer">', 'name="pincer"><gazebo></gazebo>', None),
        ("<robot", "<!DOCTYPE robot><robot", "declares a document type"),
        ('"pincer">', '"pincer">' + "<a>" * 60 + "</a>" * 60, "or 40 levels"),
    ],
)  # fmt: skip
def test_a_damaged_urdf_is_told_in_one_sentence(tmp_path, old, new, match):
    assert old in PINCER
    settings = pincer(tmp_path, PINCER.replace(old, new, 1))
    if match is None:
        assert read_urdf(settings).parts
        return
    with pytest.raises(EndoforgeError, match=match) as caught:
        read_urdf(settings)
    assert "\n" not in str(caught.value) and "pincer.urdf" in str(caught.value)


def test_entities_are_not_expanded(tmp_path):
    """The billion laughs: a few lines that would become gigabytes."""
    lines = ['<!ENTITY a0 "ha">', *(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' for k in range(1, 12))]
    text = f'<?xml version="1.0"?><!DOCTYPE r [{"".join(lines)}]><robot name="&a11;"/>'
    with pytest.raises(DataError, match="declares a document type"):
        read_urdf(pincer(tmp_path, text))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"root": "elbow"}, "has no link 'elbow'; it has rod, head, left, right"),
        ({"opening": "squeeze"}, "has no free joint 'squeeze'; it has bend, grip"),
        ({"open": 3.0}, r"moves within 0 to 1, but closed and open are \(0.0, 3.0\)"),
        ({"urdf": Path("/nowhere/tool.urdf")}, "cannot read /nowhere/tool.urdf"),
    ],
)
def test_settings_that_do_not_fit_the_file_are_refused(tmp_path, change, match):
    with pytest.raises(EndoforgeError, match=match):
        read_urdf(pincer(tmp_path).model_copy(update=change))


# ---- the da Vinci's own files -------------------------------------------------------------------


def davinci(shared_data: Path, name: str = "psm.urdf") -> UrdfSettings:
    return UrdfSettings(
        urdf=shared_data / "mesh_surrol_dvrk_tools" / "psm" / name,
        root="psm_main_insertion_link",
        links={"psm_main_insertion_link": "left out", "psm_main_insertion_link_2": "left out"},
        opening="psm_tool_gripper2_joint",
        closed=0.0,
        open=0.6,
    )


@pytest.mark.real
def test_the_da_vinci_instrument_has_the_sizes_that_are_published(shared_data):
    """Its shaft is 8.4 mm thick; wrist joints are 9.1 mm apart, the jaws 10.2 mm long (dVRK)."""
    tool = read_urdf(davinci(shared_data))
    assert tool.diameter_mm == pytest.approx(8.4, abs=0.05)
    joints = {p.joint.name: p.joint.origin_mm for p in tool.parts if p.joint}
    pitch, yaw = joints["psm_tool_pitch_joint"], joints["psm_tool_yaw_joint"]
    assert np.linalg.norm(yaw - pitch) == pytest.approx(9.1, abs=1e-3)
    assert np.linalg.norm(tool.keypoints["tip"].point_mm - yaw) == pytest.approx(10.2, abs=0.1)
    kinds = {p.name: p.kind for p in tool.parts}
    assert kinds["psm_main_insertion_link_3"] == "tool shaft"
    assert kinds["psm_tool_pitch_link"] == kinds["psm_tool_yaw_link"] == "tool wrist"
    assert kinds["psm_tool_gripper1_link"] == kinds["psm_tool_gripper2_link"] == "tool tip"


@pytest.mark.real
def test_the_da_vinci_instrument_bends_and_stays_clear(shared_data):
    work = egg(frames=8)
    motion = ToolMotionSettings(behaviour="work", wrist_deg=40.0)
    own = ToolSettings(own=davinci(shared_data), motion=motion, target="top")
    (placed,) = place_instruments(InstrumentSettings(tools=(own,)), np.random.default_rng(0), work)
    assert placed.penetration_mm <= 0.5
    assert np.ptp(placed.joints["psm_tool_yaw_joint"]) > 0.05


@pytest.mark.real
def test_a_urdf_whose_meshes_are_elsewhere_names_the_first_of_them(shared_data):
    with pytest.raises(DataError, match="needs the mesh 'package://dvrk_description/psm/meshes/"):
        read_urdf(
            davinci(shared_data, "psm_ori.urdf").model_copy(update={"root": None, "links": {}})
        )

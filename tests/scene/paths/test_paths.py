# SPDX-License-Identifier: Apache-2.0
"""Laws of every camera path: rigid, clear of tissue, smooth, the same from the same stream."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import SceneError, SettingsError
from endoforge.geometry.cameras import PinholeCamera
from endoforge.geometry.poses import is_pose, transform_points
from endoforge.scene.paths.aim import centres_of
from endoforge.scene.paths.laparoscope import move_laparoscope
from endoforge.scene.paths.plan import CameraPath, camera_path
from endoforge.scene.paths.room import Room
from endoforge.scene.paths.safety import clear_of
from endoforge.scene.paths.settings import (
    InspectionSettings,
    LaparoscopeSettings,
    ViewsSettings,
)
from endoforge.scene.paths.targets import Target
from endoforge.scene.settings import TrajectorySettings
from endoforge.settings import validate
from endoforge.streams import stream
from scene.paths.rooms import surface_of, theatre, tube

THEATRE, TUBE = theatre(), tube()
HITS = TrajectorySettings(wall_hits=(2.0, 2.0), touch_mm=(1.5, 1.5))
KINDS = {
    "tube": (TUBE, TrajectorySettings(), 4.0),
    "tube with hits": (TUBE, HITS, 1.5),
    "inspection": (TUBE, InspectionSettings(target="polyp"), 4.0),
    "inspection of the liver": (
        THEATRE,
        InspectionSettings(target="liver", distance_mm=(50, 90), upright=True),
        4.0,
    ),
    "laparoscope 0": (THEATRE, LaparoscopeSettings(oblique_deg=0), 10.0),
    "laparoscope 30": (THEATRE, LaparoscopeSettings(), 10.0),
    "views": (THEATRE, ViewsSettings(), 10.0),
}
kinds = pytest.mark.parametrize("name", KINDS)


def path_of(name: str, seed: int, frames: int) -> CameraPath:
    room, how, _ = KINDS[name]
    return camera_path(how, room, stream(seed, "trajectory"), frames)


def steps_of(poses: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(centres_of(poses), axis=0), axis=1)


@kinds
@pytest.mark.parametrize("seed", range(3))
def test_poses_are_rigid_and_clear_of_tissue(name: str, seed: int) -> None:
    room, _, clearance = KINDS[name]
    path = path_of(name, seed, 60)
    assert path.moments.shape == (60, 3, 4, 4)
    poses = path.moments.reshape(-1, 4, 4)
    assert all(is_pose(pose, 1e-9) for pose in poses)
    assert clear_of(centres_of(poses), room.tissue).min() > clearance - 0.1
    assert room.holds(centres_of(path.camera_from_world)).all()


@kinds
def test_a_frame_lies_between_the_one_before_and_the_one_after(name: str) -> None:
    path = path_of(name, 4, 20)
    assert path.continuous == (name != "views")
    if path.continuous:
        np.testing.assert_array_equal(path.moments[1:, 0], path.moments[:-1, 1])
        np.testing.assert_array_equal(path.moments[:-1, 2], path.moments[1:, 1])
    for before, here, after in path.moments:
        assert steps_of(np.stack([before, here, after])).max() < 8.0


@kinds
def test_the_same_stream_gives_the_same_path(name: str) -> None:
    first, again, other = (path_of(name, seed, 12).moments.tobytes() for seed in (1, 1, 2))
    assert first == again != other


def test_wall_hits_touch_the_wall_and_leave_it_again() -> None:
    touched = 0
    for seed in range(4):
        path = path_of("tube with hits", seed, 200)
        apart = clear_of(centres_of(path.camera_from_world), TUBE.tissue)
        calm = camera_path(TrajectorySettings(), TUBE, stream(seed, "trajectory"), 200)
        changed = np.abs(path.moments - calm.moments).max(axis=(1, 2, 3)) > 0
        touched += int((np.diff((apart < 2.5).astype(int)) == 1).sum())
        assert apart.min() > 1.4
        assert 0.05 < changed.mean() < 0.95  # between the hits the path is the calm one
        assert steps_of(path.camera_from_world).max() < 8.0
    assert touched >= 5


def test_a_wall_that_is_hit_fills_the_view() -> None:
    path = path_of("tube with hits", 0, 200)
    centres = centres_of(path.camera_from_world)
    near = int(clear_of(centres, TUBE.tissue).argmin())
    outwards = centres[near] * (1, 1, 0) / np.linalg.norm(centres[near, :2])
    assert path.camera_from_world[near, 2, :3] @ outwards > 0.3


@pytest.mark.parametrize("seed", range(4))
def test_an_inspection_keeps_its_target_in_view(seed: int) -> None:
    how = InspectionSettings(target="polyp-1", off_centre_deg=(10, 10), tremor_deg=(0, 0))
    path = camera_path(how, TUBE, stream(seed, "trajectory"), 100)
    camera = PinholeCamera.from_field_of_view(100, 100, 24.0)
    target = TUBE.targets[0].point_mm
    for pose in path.camera_from_world:
        assert camera.in_field(camera.project(transform_points(pose, target)))


def test_dwelling_rests_and_arcs_move_at_the_stated_speed() -> None:
    still = {"off_centre_deg": (0, 0), "tremor_mm": (0, 0), "retreats": (0, 0), "roll_deg": (0, 0)}
    room = THEATRE
    how = InspectionSettings(
        target="liver", distance_mm=(60, 60), nearer=(1, 1), arc_deg=(40, 40), speed_deg=(1, 1),
        dwell=(0, 0), **still,
    )  # fmt: skip
    path = camera_path(how, room, stream(1, "trajectory"), 300)
    mean = np.degrees(steps_of(path.camera_from_world).mean() / 60)
    assert 0.5 < mean < 2.0
    resting = how.model_copy(update={"dwell": (0.7, 0.7)})
    paused = steps_of(camera_path(resting, room, stream(1, "trajectory"), 300).camera_from_world)
    assert (paused < 0.1 * np.radians(1) * 60).mean() > 0.3
    assert paused.mean() < 0.7 * np.radians(mean) * 60


@given(
    seed=st.integers(0, 10_000),
    oblique=st.sampled_from([0.0, 30.0, 45.0]),
    post=st.floats(-60, 60),
    turn=st.floats(0, 60),
)
@settings(max_examples=12, deadline=None)
def test_the_shaft_passes_the_port_and_the_view_leaves_it_at_the_scopes_angle(
    seed: int, oblique: float, post: float, turn: float
) -> None:
    how = LaparoscopeSettings(
        oblique_deg=oblique, post_deg=post, post_turn_deg=turn, clearance_mm=5, distance_mm=(50, 70)
    )
    motion = move_laparoscope(THEATRE, how, stream(seed, "trajectory"), 40)
    port = THEATRE.ports[0].point_mm
    shaft, tip = motion.world_from_shaft[:, :3, 2], motion.world_from_shaft[:, :3, 3]
    np.testing.assert_allclose(tip, centres_of(motion.poses), atol=1e-9)
    way = tip - port
    off = np.linalg.norm(way - (way * shaft).sum(1, keepdims=True) * shaft, axis=1)
    assert off.max() < 1e-6  # the law asks for 0.1 mm
    assert ((way * shaft).sum(1) > 20).all()
    angle = np.degrees(np.arccos(np.clip((motion.poses[:, 2, :3] * shaft).sum(1), -1, 1)))
    np.testing.assert_allclose(angle, oblique, atol=1e-5)
    light_post = motion.world_from_shaft[:, :3, 1]
    lean = (motion.poses[:, 2, :3] * light_post).sum(1)
    np.testing.assert_allclose(lean, -np.sin(np.radians(oblique)), atol=1e-7)
    assert all(is_pose(pose, 1e-9) for pose in motion.world_from_shaft)


@pytest.mark.parametrize("oblique", [0.0, 30.0])
def test_a_laparoscope_looks_at_its_targets_with_an_upright_picture(oblique: float) -> None:
    how = LaparoscopeSettings(
        oblique_deg=oblique, targets=("liver",), wander_mm=0, horizon_deg=0, tremor_mm=0,
        post_turn_deg=0, post_deg=0, distance_mm=70,
    )  # fmt: skip
    path = camera_path(how, THEATRE, stream(2, "trajectory"), 30)
    for pose in path.camera_from_world:
        assert abs(transform_points(pose, THEATRE.targets[0].point_mm)[:2]).max() < 1e-6
        assert pose[1, 1] < -0.3  # the port's side, +y, is up: camera -y
        assert abs(pose[0, 1]) < 1e-9  # and level


def test_pan_and_tilt_are_smooth() -> None:
    path = path_of("laparoscope 30", 5, 200)
    turn = np.einsum(
        "fij,fij->f", path.camera_from_world[1:, :3, :3], path.camera_from_world[:-1, :3, :3]
    )
    assert np.degrees(np.arccos(np.clip((turn - 1) / 2, -1, 1))).max() < 6
    step = np.diff(centres_of(path.camera_from_world), axis=0)
    assert np.linalg.norm(step, axis=1).max() < 5
    assert np.linalg.norm(np.diff(step, axis=0), axis=1).max() < 1.5


def test_views_stand_alone_all_over_the_cone_and_look_at_the_region() -> None:
    path = path_of("views", 1, 150)
    centres = centres_of(path.camera_from_world)
    target = THEATRE.targets[0]
    assert np.median(steps_of(path.camera_from_world)) > 20
    away = centres - target.point_mm
    cosine = (away @ target.normal) / np.linalg.norm(away, axis=1)
    assert cosine.min() < 0.75 and cosine.max() > 0.95
    ahead = np.einsum("fij,fj->fi", path.camera_from_world[:, :3, :3], target.point_mm - centres)
    angle = np.degrees(np.arccos(ahead[:, 2] / np.linalg.norm(ahead, axis=1)))
    assert np.percentile(angle, 75) < 40
    both = np.stack([steps_of(moments) for moments in path.moments])
    assert both.min() > 0.1 and both.max() < 2.5  # the hand's small movement
    np.testing.assert_array_equal(path_of("views", 1, 20).moments, path.moments[:20])


def test_missing_targets_ports_and_lumens_are_named(plain_shapes: None) -> None:
    rng = stream(0, "trajectory")
    with pytest.raises(SceneError, match=r"no target has 'spleen'; .* liver, gallbladder"):
        camera_path(InspectionSettings(target="spleen"), THEATRE, rng, 5)
    with pytest.raises(SceneError, match=r"no port is called 'port-x'; .* port-camera"):
        camera_path(LaparoscopeSettings(port="port-x"), THEATRE, rng, 5)
    with pytest.raises(SceneError, match=r"none of trajectory\.targets \(spleen\) .* it has liver"):
        camera_path(LaparoscopeSettings(targets=("spleen",)), THEATRE, rng, 5)
    with pytest.raises(SceneError, match="needs an anatomy with a lumen"):
        camera_path(TrajectorySettings(), THEATRE, rng, 5)
    with pytest.raises(SceneError, match=r"target 'a' needs a radius of 0 mm or more, got -1"):
        Target("a", np.zeros(3), -1.0, np.ones(3))
    with pytest.raises(SceneError, match=r"target 'a' needs a finite point and a direction"):
        Target("a", np.zeros(3), 1.0, np.zeros(3))


def test_rooms_without_room_are_refused_in_one_sentence() -> None:
    rng = stream(0, "trajectory")
    with pytest.raises(SceneError, match=r"in front of target 'polyp-1' must keep 30 mm clear"):
        camera_path(InspectionSettings(target="polyp", clearance_mm=30), TUBE, rng, 5)
    with pytest.raises(SceneError, match=r"views of 'polyp-1' need places 30 mm clear"):
        camera_path(ViewsSettings(target="polyp", clearance_mm=30), TUBE, rng, 5)
    inside = Target("port-camera", np.array([0.0, -20.0, 60.0]), 6.0, np.array([0.0, 0.0, -1.0]))
    buried = Room(THEATRE.surface, None, THEATRE.targets, (inside,))
    with pytest.raises(SceneError, match=r"laparoscope|free room"):
        camera_path(LaparoscopeSettings(), buried, rng, 5)


def test_a_camera_that_starts_in_another_room_is_refused() -> None:
    import trimesh

    other = trimesh.creation.icosphere(3, 30.0)
    other.apply_translation([0, 0, 500.0])
    walls = surface_of(other, inwards=True)
    far = Target("liver", np.array([0.0, 0.0, 529.0]), 5.0, np.array([0.0, 0.0, 1.0]))
    lost = Room(walls, TUBE.centreline, (far,))
    with pytest.raises(SceneError):
        camera_path(InspectionSettings(target="liver"), lost, stream(0, "trajectory"), 5)


@pytest.mark.parametrize(
    ("kind", "values", "says"),
    [
        (InspectionSettings, {"arc_deg": [0, 90]}, "arc_deg must lie within 0.0 to 75.0"),
        (LaparoscopeSettings, {"targets": []}, "targets must name what to look at"),
        (LaparoscopeSettings, {"oblique_deg": 80}, "oblique_deg must lie within"),
        (ViewsSettings, {"distance": 3}, "did you mean 'distance_mm'"),
        (ViewsSettings, {"distance_mm": [9, 3]}, "lower end"),
        (TrajectorySettings, {"wall_hits": 50}, "wall_hits must lie within"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(kind, values, says) -> None:
    with pytest.raises(SettingsError, match=says) as error:
        validate(kind, values)
    assert "\n" not in str(error.value)

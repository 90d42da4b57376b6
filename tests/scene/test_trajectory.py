# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.errors import SceneError, SettingsError
from endoforge.scene.anatomy.colon import colon
from endoforge.scene.anatomy.surfaces import wall_distance
from endoforge.scene.records import Centreline
from endoforge.scene.settings import TrajectorySettings
from endoforge.scene.trajectory import fly_through, sample_motion
from endoforge.settings import validate
from endoforge.streams import stream
from scene.tubes import SMALL

STILL = TrajectorySettings(
    sway=(0, 0), view_angle_deg=(0, 0), tremor_mm=(0, 0), tremor_deg=(0, 0), roll_deg=(0, 0)
)


@pytest.fixture(scope="module")
def small_colon():
    return colon(SMALL, stream(3, "anatomy"))


def straight_line(length_mm=200.0, radius_mm=15.0):
    z = np.arange(0.0, length_mm + 0.5)
    points = np.stack([np.zeros_like(z), np.zeros_like(z), z], axis=1)
    return Centreline(points_mm=points, radius_mm=np.full(len(z), radius_mm))


def positions(poses):
    return np.linalg.inv(poses)[:, :3, 3]


@pytest.mark.parametrize("seed", range(6))
def test_the_lens_stays_clear_of_the_wall(small_colon, seed):
    surface, centreline = small_colon
    restless = TrajectorySettings(sway=(1, 1), tremor_mm=(1, 1), clearance_mm=5.0)
    poses = fly_through(centreline, restless, stream(seed, "trajectory"), 120)
    distance = wall_distance(surface.vertices_mm, surface.faces, positions(poses))
    assert distance.min() >= 5.0


@pytest.mark.parametrize("seed", range(3))
def test_poses_are_rigid_and_one_more_than_frames(small_colon, seed):
    poses = fly_through(small_colon[1], TrajectorySettings(), stream(seed, "trajectory"), 40)
    assert poses.shape == (41, 4, 4)
    rotation = poses[:, :3, :3]
    unit = np.broadcast_to(np.eye(3), rotation.shape)
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), unit, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0, atol=1e-12)
    np.testing.assert_array_equal(poses[:, 3], np.broadcast_to([0, 0, 0, 1.0], (41, 4)))


def test_the_same_stream_gives_the_same_path(small_colon):
    first, again, other = (
        fly_through(small_colon[1], TrajectorySettings(), stream(seed, "trajectory"), 10)
        for seed in (1, 1, 2)
    )
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_a_longer_path_begins_like_a_shorter_one():
    line, settings = straight_line(2000.0), TrajectorySettings(start=(0.0, 0.0))
    short, long = (fly_through(line, settings, stream(4, "trajectory"), n) for n in (20, 60))
    np.testing.assert_allclose(long[:21], short, atol=1e-9)


@pytest.mark.parametrize(("direction", "sign"), [("insertion", 1), ("withdrawal", -1)])
def test_the_tip_moves_as_told_and_looks_towards_the_caecum(direction, sign):
    settings = STILL.model_copy(update={"direction": direction})
    poses = fly_through(straight_line(), settings, stream(1, "trajectory"), 60)
    assert (sign * np.diff(positions(poses)[:, 2]) > 0).all()
    np.testing.assert_allclose(poses[:, 2, :3], np.broadcast_to([0, 0, 1.0], (61, 3)), atol=1e-9)


def test_the_mean_way_per_frame_is_the_speed():
    settings = STILL.model_copy(update={"speed_mm": (0.8, 0.8)})
    poses = fly_through(straight_line(5000.0), settings, stream(2, "trajectory"), 3000)
    steps = np.linalg.norm(np.diff(positions(poses), axis=0), axis=1)
    assert steps.mean() == pytest.approx(0.8, rel=0.08)
    assert steps.max() < 3 * 0.8


def test_the_tip_turns_back_at_the_end_of_the_line():
    settings = STILL.model_copy(update={"speed_mm": (2.0, 2.0)})
    way = positions(fly_through(straight_line(50.0), settings, stream(3, "trajectory"), 200))[:, 2]
    assert way.min() >= 0 and way.max() <= 50
    assert way.min() < 5 and way.max() > 45


@pytest.mark.parametrize("seed", range(5))
def test_the_view_turns_no_further_than_told(seed):
    settings = STILL.model_copy(update={"view_angle_deg": (30.0, 30.0)})
    poses = fly_through(straight_line(), settings, stream(seed, "trajectory"), 300)
    angle = np.degrees(np.arccos(np.clip(poses[:, 2, 2], -1, 1)))
    assert 10 < angle.max() <= 30 + 1e-9


def test_the_image_moves_smoothly(small_colon):
    calm = TrajectorySettings(tremor_mm=(0, 0), tremor_deg=(0, 0))
    poses = fly_through(small_colon[1], calm, stream(5, "trajectory"), 200)
    turn = np.einsum("fij,fij->f", poses[1:, :3, :3], poses[:-1, :3, :3])
    degrees = np.degrees(np.arccos(np.clip((turn - 1) / 2, -1, 1)))
    assert degrees.max() < 8


def test_only_the_passable_stretch_is_used():
    line = straight_line(200.0)
    radius = line.radius_mm.copy()
    radius[80:90] = 2.0  # a narrow place that a 4 mm clearance does not allow
    blocked = Centreline(points_mm=line.points_mm, radius_mm=radius)
    sides = set()
    for seed in range(12):
        way = positions(fly_through(blocked, STILL, stream(seed, "trajectory"), 300))[:, 2]
        assert way.max() < 80 or way.min() > 89
        sides.add(bool(way.max() < 80))
    assert sides == {True, False}


def test_a_lumen_that_is_too_narrow_is_refused_with_its_radius():
    with pytest.raises(SceneError, match=r"keep 4.0 mm clear.*at most 3.0 mm"):
        fly_through(straight_line(radius_mm=3.0), STILL, stream(1, "trajectory"), 10)


def test_the_start_is_where_the_settings_say():
    settings = STILL.model_copy(update={"direction": "insertion", "start": (1.0, 1.0)})
    way = positions(fly_through(straight_line(), settings, stream(8, "trajectory"), 30))[:, 2]
    assert way[-1] == pytest.approx(200.0, abs=1e-6)


def test_a_motion_does_not_depend_on_the_line():
    one, two = (sample_motion(TrajectorySettings(), stream(6, "trajectory")) for _ in range(2))
    assert (one.start, one.speed_mm, one.view_rad) == (two.start, two.speed_mm, two.view_rad)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"speed_mm": [1.0, 0.5]}, "lower end"),
        ({"sway": [0.0, 1.5]}, "within 0.0 to 1.0"),
        ({"clearance": 3.0}, "did you mean 'clearance_mm'"),
        ({"clearance_mm": 0.0}, "greater than or equal"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(values, says):
    with pytest.raises(SettingsError, match=says) as error:
        validate(TrajectorySettings, values)
    assert "\n" not in str(error.value)

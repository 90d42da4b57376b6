# SPDX-License-Identifier: Apache-2.0
"""Recorded paths: files written here read back, times are resampled, damage is named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from endoforge.errors import DataError, SceneError, SettingsError
from endoforge.geometry.poses import invert_pose, pose_error
from endoforge.scene.paths.aim import centres_of
from endoforge.scene.paths.plan import camera_path
from endoforge.scene.paths.recorded import Recording, read_recording, resampled, scaled
from endoforge.scene.paths.settings import RecordedSettings
from endoforge.scene.trajectory import TrajectorySettings, fly_through
from endoforge.settings import validate
from endoforge.streams import stream
from scene.paths.rooms import theatre, tube

TUBE = tube()


def tum_text(poses: np.ndarray, rate: float = 10.0, unit_mm: float = 1.0) -> str:
    """What TUM's tools write: world_from_camera as translation and quaternion x y z w."""
    lines = ["# timestamp tx ty tz qx qy qz qw"]
    for k, pose in enumerate(np.stack([invert_pose(p) for p in poses])):
        quaternion = Rotation.from_matrix(pose[:3, :3]).as_quat()
        numbers = [100 + k / rate, *(pose[:3, 3] / unit_mm), *quaternion]
        lines.append(" ".join(f"{number:.12g}" for number in numbers))
    return "\n".join(lines) + "\n"


def kitti_text(poses: np.ndarray, unit_mm: float = 1.0) -> str:
    rows = []
    for pose in poses:
        matrix = invert_pose(pose)[:3].copy()
        matrix[:, 3] /= unit_mm
        rows.append(" ".join(f"{number:.12g}" for number in matrix.ravel()))
    return "\n".join(rows) + "\n"


@given(
    vectors=st.lists(st.tuples(*[st.floats(-3, 3)] * 6), min_size=2, max_size=8),
    unit=st.sampled_from(["mm", "cm", "m"]),
)
@settings(max_examples=40, deadline=None)
def test_tum_and_kitti_files_read_back(
    vectors: list, unit: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mm = {"mm": 1.0, "cm": 10.0, "m": 1000.0}[unit]
    poses = np.tile(np.eye(4), (len(vectors), 1, 1))
    for pose, vector in zip(poses, vectors, strict=True):
        pose[:3, :3] = Rotation.from_rotvec(vector[:3]).as_matrix()
        pose[:3, 3] = 40 * np.array(vector[3:])
    folder = tmp_path_factory.mktemp("recorded")
    for form, text in (("tum", tum_text(poses, 10, mm)), ("kitti", kitti_text(poses, mm))):
        path = folder / form
        path.write_text(text)
        recording = read_recording(path, form, unit)
        np.testing.assert_allclose(recording.camera_from_world, poses, atol=1e-7)
    assert recording.time_s is None


def fly(frames: int = 40) -> np.ndarray:
    assert TUBE.centreline is not None
    return fly_through(TUBE.centreline, TrajectorySettings(), stream(2, "trajectory"), frames)


def test_resampling_meets_the_files_own_poses_and_halves_between_them() -> None:
    poses = fly(20)
    recording = Recording(poses, np.arange(21) / 10.0)
    np.testing.assert_allclose(resampled(recording, 10.0), poses, atol=1e-9)
    fine = resampled(recording, 20.0)
    assert len(fine) == 41
    np.testing.assert_allclose(fine[::2], poses, atol=1e-9)
    apart, turn = pose_error(fine[1], poses[0])
    whole = pose_error(poses[1], poses[0])
    assert (apart, turn) == pytest.approx((whole[0] / 2, whole[1] / 2))
    assert resampled(recording, None) is poses


def test_a_recorded_path_is_followed_frame_by_frame(tmp_path: Path) -> None:
    poses = fly(60)
    path = tmp_path / "path.tum"
    path.write_text(tum_text(poses, 30.0, 1000.0))
    how = RecordedSettings(file=path, format="tum", unit="m", start=(1.0, 1.0))
    found = camera_path(how, TUBE, stream(0, "trajectory"), 20)
    np.testing.assert_allclose(found.camera_from_world, poses[-21:-1], atol=1e-6)
    np.testing.assert_allclose(found.moments[-1, 2], poses[-1], atol=1e-6)


def test_a_recording_can_begin_where_another_path_would(tmp_path: Path) -> None:
    poses = np.tile(np.eye(4), (30, 1, 1))
    poses[:, 0, 3] = -0.1 * np.arange(30)  # 0.1 mm to the right per frame, somewhere else
    poses[:, :3, 3] += 5000.0
    path = tmp_path / "path.txt"
    path.write_text(kitti_text(poses))
    how = RecordedSettings(file=path, format="kitti", unit="mm", place="start")
    for room in (TUBE, theatre()):
        found = camera_path(how, room, stream(1, "trajectory"), 10)
        assert room.holds(centres_of(found.camera_from_world)).all()
        moved = found.moments[1, 1] @ invert_pose(found.moments[0, 1])
        np.testing.assert_allclose(moved, poses[1] @ invert_pose(poses[0]), atol=1e-7)


def test_scaling_scales_the_way_and_keeps_the_view() -> None:
    poses = fly(5)
    double = scaled(Recording(poses, None), 2.0).camera_from_world
    np.testing.assert_allclose(centres_of(double), 2 * centres_of(poses), atol=1e-9)
    np.testing.assert_array_equal(double[:, :3, :3], poses[:, :3, :3])


def test_a_recording_that_leaves_the_lumen_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "path.txt"
    path.write_text(kitti_text(fly(30)))
    how = RecordedSettings(file=path, format="kitti", unit="mm", scale=(3.0, 3.0))
    with pytest.raises(SceneError, match="the recorded camera must stay in the free room"):
        camera_path(how, TUBE, stream(1, "trajectory"), 20)


def test_too_short_and_timeless_recordings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "path.txt"
    path.write_text(kitti_text(fly(9)))
    how = RecordedSettings(file=path, format="kitti", unit="mm")
    with pytest.raises(DataError, match=r"gives 10 poses, but 9 frames need 11; lower"):
        camera_path(how, TUBE, stream(1, "trajectory"), 9)
    with pytest.raises(DataError, match="a KITTI file has no times"):
        camera_path(how.model_copy(update={"frames_per_s": 5.0}), TUBE, stream(1, "trajectory"), 5)


GOOD = "0 0 0 0 0 0 0 1\n"


@pytest.mark.parametrize(
    ("form", "text", "says"),
    [
        ("tum", "", "must hold at least 2 poses, got 0"),
        ("tum", GOOD, "must hold at least 2 poses, got 1"),
        ("tum", GOOD + "1 0 0 0 0 0 1\n", r"line 2 of .* 8 numbers .* got '1 0 0 0 0 0 1'"),
        ("tum", GOOD + "1 0 0 nan 0 0 0 1\n", "line 2 of .* must hold 8 numbers"),
        ("tum", GOOD + "1 0 0 here 0 0 0 1\n", "line 2 of .* must hold 8 numbers"),
        ("tum", GOOD + "1 0 0 0 0 0 0 2\n", "pose 1 of .* quaternion of length 1, got 2"),
        ("tum", GOOD + GOOD, "must increase, but pose 1 is at 0.000000 s"),
        ("kitti", GOOD + GOOD, "line 1 of .* must hold 12 numbers"),
        ("kitti", 2 * ("2 0 0 0 0 1 0 0 0 0 1 0\n"), "pose 0 of .* must hold a rotation"),
        ("kitti", 2 * ("1 0 0 0 0 1 0 0 0 0 -1 0\n"), "pose 0 of .* must hold a rotation"),
        ("kitti", "\x00\x01", "line 1 of .* must hold 12 numbers"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused_in_one_sentence(
    form: str, text: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=says) as error:
        read_recording(path, form, "mm")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_and_binary_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the trajectory .*none"):
        read_recording(tmp_path / "none", "tum", "mm")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="cannot read the trajectory"):
        read_recording(tmp_path / "binary", "kitti", "mm")


def test_the_unit_must_be_stated(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="unit"):
        validate(RecordedSettings, {"file": "path.txt", "format": "tum"})

# SPDX-License-Identifier: Apache-2.0
"""Two eyes: disparity and depth undo each other, any rig agrees with plain trigonometry."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import CameraError
from endoforge.geometry.cameras import PinholeCamera, pixel_centres
from endoforge.geometry.poses import look_at, pose_from, rotation_from_vector, transform_points
from endoforge.geometry.stereo import StereoRig, rig_from_dict, triangulate
from geometry.lenses import LENSES, fisheye, omnidirectional, pinhole

STRAIGHT = PinholeCamera(160, 120, 90.0, 91.0, 81.3, 57.9)
EYES = [STRAIGHT, pinhole(-0.2, 0.05, 0.01, -0.015, 0.0), fisheye(-0.05, 0.01, 0.0, 0.0)]
EYES.append(omnidirectional(0.0, -0.25, 0.0, 0.0))


def depth_image() -> np.ndarray:
    v, u = np.mgrid[:120, :160]
    depth = 40.0 + 8 * np.sin(u / 20) + 5 * np.cos(v / 15)
    depth[:4] = np.nan
    return depth


@given(baseline=st.floats(0.5, 20), shift=st.floats(-30, 30))
@settings(max_examples=30, deadline=None)
def test_disparity_and_depth_undo_each_other(baseline: float, shift: float) -> None:
    right = PinholeCamera(160, 120, 90.0, 91.0, 81.3 + shift, 57.9)
    pose = pose_from(np.eye(3), np.array([-baseline, 0.0, 0.0]))
    rig = StereoRig(STRAIGHT, right, pose)
    depth = depth_image()
    disparity = rig.disparity_from_depth(depth)
    np.testing.assert_allclose(rig.depth_from_disparity(disparity), depth, rtol=1e-9)
    np.testing.assert_allclose(disparity, 90.0 * baseline / depth - shift, rtol=1e-9)
    shifts = rig.shift_from_depth(depth)
    np.testing.assert_allclose(shifts[..., 0], -disparity, atol=1e-9)
    np.testing.assert_allclose(shifts[..., 1][np.isfinite(depth)], 0, atol=1e-9)


def test_torch_answers_as_numpy_does() -> None:
    rig = StereoRig.side_by_side(STRAIGHT, 5.0)
    depth = depth_image()
    tensor = rig.disparity_from_depth(torch.tensor(depth))
    np.testing.assert_allclose(tensor.numpy(), rig.disparity_from_depth(depth))
    np.testing.assert_allclose(rig.depth_from_disparity(tensor).numpy(), depth)
    np.testing.assert_allclose(
        rig.shift_from_depth(torch.tensor(depth)).numpy(), rig.shift_from_depth(depth), atol=1e-9
    )


@given(
    eyes=st.tuples(st.sampled_from(EYES), st.sampled_from(EYES)),
    turn=st.tuples(*[st.floats(-0.15, 0.15)] * 3),
    way=st.tuples(st.floats(2, 12), st.floats(-2, 2), st.floats(-2, 2)),
)
@settings(max_examples=30, deadline=None)
def test_any_two_eyes_triangulate_the_points_that_both_see(eyes, turn, way) -> None:
    rotation = rotation_from_vector(np.array(turn))
    rig = StereoRig(*eyes, pose_from(rotation, -rotation @ np.array(way)))
    points = np.random.default_rng(5).uniform((-15, -12, 30), (15, 12, 60), (60, 3))
    left = rig.left.project(points)
    right = rig.right.project(transform_points(rig.right_from_left, points))
    seen = np.isfinite(left[:, 0]) & np.isfinite(right[:, 0])
    seen &= np.isfinite(rig.left.unproject(left)[:, 0] + rig.right.unproject(right)[:, 0])
    found, gap = triangulate(rig, left[seen], right[seen])
    np.testing.assert_allclose(found, points[seen], atol=1e-5)
    assert gap.max(initial=0) < 1e-5


def test_the_shift_of_two_turned_fisheyes_is_where_the_right_eye_shows_the_point() -> None:
    rig = StereoRig.side_by_side(fisheye(), 6.0, convergence_rad=0.1)
    shift = rig.shift_from_depth(depth_image())
    v, u = 70, 50
    ray = rig.left.rays()[v, u]
    point = ray / ray[2] * depth_image()[v, u]
    there = rig.right.project(transform_points(rig.right_from_left, point))
    np.testing.assert_allclose(shift[v, u] + pixel_centres(160, 120)[v, u], there, atol=1e-9)


def test_eyes_that_converge_meet_in_front() -> None:
    rig = StereoRig.side_by_side(STRAIGHT, 6.0, convergence_rad=math.atan(6.0 / 50))
    meeting = transform_points(rig.right_from_left, np.array([0.0, 0.0, 50.0]))
    np.testing.assert_allclose(meeting[:2], 0, atol=1e-12)
    assert not rig.rectified
    assert rig.baseline_mm == pytest.approx(6.0)


def test_the_right_pose_follows_the_left_one() -> None:
    rig = StereoRig.side_by_side(STRAIGHT, 5.0)
    left = look_at(np.array([1.0, 2, 3]), np.array([1.0, 2, 30]), np.array([0, -1.0, 0]))
    right = rig.right_pose(left)
    centre = -right[:3, :3].T @ right[:3, 3]
    np.testing.assert_allclose(centre, [6.0, 2, 3], atol=1e-12)
    assert rig.right_pose(np.stack([left, left])).shape == (2, 4, 4)


@given(st.tuples(st.sampled_from(list(LENSES)), st.sampled_from(list(LENSES))))
@settings(max_examples=20, deadline=None)
def test_plain_values_survive_json(names: tuple[str, str]) -> None:
    rig = StereoRig(
        LENSES[names[0]],
        LENSES[names[1]],
        pose_from(rotation_from_vector(np.array([0.1, 0.02, 0.3])), np.array([-5.0, 0.1, 0.2])),
    )
    again = rig_from_dict(json.loads(json.dumps(rig.to_dict())))
    assert (again.left, again.right) == (rig.left, rig.right)
    np.testing.assert_array_equal(again.right_from_left, rig.right_from_left)


def test_a_resized_rig_halves_the_disparity() -> None:
    rig = StereoRig.side_by_side(STRAIGHT, 5.0)
    whole = rig.disparity_from_depth(np.full((2, 2), 40.0))
    half = rig.resized(80, 60).disparity_from_depth(np.full((2, 2), 40.0))
    np.testing.assert_allclose(half, whole / 2)


def test_points_behind_the_eyes_have_no_disparity_and_no_depth() -> None:
    rig = StereoRig.side_by_side(STRAIGHT, 5.0)
    assert np.isnan(rig.disparity_from_depth(np.array([[-3.0, 0.0, np.nan]]))).all()
    assert np.isnan(rig.depth_from_disparity(np.array([[-3.0, 0.0, np.nan]]))).all()


@pytest.mark.parametrize(
    ("rig", "message"),
    [
        (StereoRig.side_by_side(fisheye(), 5.0), "lenses are fisheye and fisheye"),
        (StereoRig.side_by_side(pinhole(0.1, 0, 0, 0, 0), 5.0), "lenses are distorted"),
        (StereoRig.side_by_side(STRAIGHT, 5.0, 0.1), "turned against each other"),
        (StereoRig.side_by_side(STRAIGHT, -5.0), "not straight to the right"),
        (
            StereoRig(STRAIGHT, pinhole(), pose_from(np.eye(3), np.array([-5.0, 0, 0]))),
            "fx, fy, cy of its eyes differ",
        ),
    ],
)
def test_only_rectified_rigs_have_a_disparity(rig: StereoRig, message: str) -> None:
    with pytest.raises(CameraError, match=message):
        rig.disparity_from_depth(np.ones((2, 2)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"right_from_left": np.eye(4).tolist()}, "stand apart"),
        ({"right_from_left": (2 * np.eye(4)).tolist()}, "rigid 4 x 4 pose"),
        ({"right_from_left": "far"}, "4 rows of 4 numbers, got 'far'"),
        ({"right_from_left": [[1, 2], [3]]}, "4 rows of 4 numbers"),
        ({"third": 1}, "must have the keys"),
        ({"left": {"model": "none"}}, "'model' must be"),
    ],
)
def test_a_rig_that_cannot_exist_is_refused(change, message, plain_shapes) -> None:
    values = {**StereoRig.side_by_side(STRAIGHT, 5.0).to_dict(), **change}
    with pytest.raises(CameraError, match=message):
        rig_from_dict(values)
    with pytest.raises(CameraError, match="must have the keys"):
        rig_from_dict(3)


@pytest.mark.real
def test_a_calibrated_stereo_laparoscope_measures_its_calibration_board(shared_data: Path) -> None:
    folder = shared_data / "calib_laparoscope_scikit_surgery" / "storz_precalib"
    if not folder.is_dir():
        pytest.skip(f"no stereo calibration at {folder}")
    rig = storz_rig(folder)
    for k in range(3):
        left, right, board = corners(folder, k)
        points, gap = triangulate(rig, left, right)
        assert np.median(gap) < 0.1
        between = np.linalg.norm(points[:, None] - points[None], axis=-1)
        truly = np.linalg.norm(board[:, None] - board[None], axis=-1)
        far = truly > 20
        assert np.median(np.abs(between - truly)[far] / truly[far]) < 0.02
        pose = np.loadtxt(folder / f"calib.left.extrinsics.{k}.txt")  # by one eye, from the board
        apart = np.median(points - transform_points(pose, board), axis=0)
        assert np.abs(apart).max() < 1.0  # at 23 cm, with a baseline of 5.6 mm


def storz_rig(folder: Path) -> StereoRig:
    def eye(side: str) -> PinholeCamera:
        k = np.loadtxt(folder / f"calib.{side}.intrinsics.txt")
        d = np.loadtxt(folder / f"calib.{side}.distortion.txt")
        return PinholeCamera(
            1920, 1080, k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5, tuple(d.tolist())
        )

    return StereoRig(eye("left"), eye("right"), np.loadtxt(folder / "calib.l2r.txt"))


def corners(folder: Path, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of the board's corners that both eyes found, and their places on the board, mm."""
    sides = {}
    for side in ("left", "right"):
        read = {
            what: np.loadtxt(folder / f"calib.{side}.{what}.{k}.txt")
            for what in ("ids", "image_points", "object_points")
        }
        rows = zip(
            read["ids"].astype(int), read["image_points"], read["object_points"], strict=True
        )
        sides[side] = {number: (pixel + 0.5, place) for number, pixel, place in rows}
    both = sorted(set(sides["left"]) & set(sides["right"]))
    left, right = (np.stack([sides[s][n][0] for n in both]) for s in ("left", "right"))
    return left, right, np.stack([sides["left"][n][1] for n in both])

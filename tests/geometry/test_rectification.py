# SPDX-License-Identifier: Apache-2.0
"""Rectification: OpenCV's rotations, equal rows for any lenses, and a real stereo scope."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import CameraError
from endoforge.geometry.cameras import PinholeCamera, pixel_centres
from endoforge.geometry.poses import pose_from, rotation_from_vector, transform_points
from endoforge.geometry.rectification import rectify
from endoforge.geometry.stereo import StereoRig
from geometry.lenses import fisheye, omnidirectional, pinhole
from geometry.test_stereo import corners, storz_rig

EYES = [pinhole(), pinhole(-0.2, 0.05, 0.01, -0.015, 0.0), fisheye(-0.05, 0.01, 0.0, 0.0)]
EYES.append(omnidirectional(0.0, -0.25, 0.0, 0.0))
turns = st.tuples(*[st.floats(-0.2, 0.2)] * 3)
ways = st.tuples(st.floats(3, 12), st.floats(-2, 2), st.floats(-2, 2))


def rig_of(left, right, turn, way) -> StereoRig:
    rotation = rotation_from_vector(np.array(turn))
    return StereoRig(left, right, pose_from(rotation, -rotation @ np.array(way)))


@given(turn=turns, way=ways)
@settings(max_examples=25, deadline=None)
def test_the_eyes_turn_as_opencv_turns_them(turn, way) -> None:
    rig = rig_of(EYES[0], EYES[0], turn, way)
    matrix = np.array([[90.0, 0, 80.8], [0, 91.8, 57.4], [0, 0, 1]])
    theirs = cv2.stereoRectify(
        matrix,
        np.zeros(5),
        matrix,
        np.zeros(5),
        (160, 120),
        np.ascontiguousarray(rig.right_from_left[:3, :3]),
        rig.right_from_left[:3, 3:].copy(),
    )
    ours = rectify(rig)
    np.testing.assert_allclose(ours.rectified_from_left, theirs[0], atol=1e-7)
    np.testing.assert_allclose(ours.rectified_from_right, theirs[1], atol=1e-7)


@given(eyes=st.tuples(st.sampled_from(EYES), st.sampled_from(EYES)), turn=turns, way=ways)
@settings(max_examples=25, deadline=None)
def test_a_point_lies_in_one_row_and_its_disparity_is_its_depth(eyes, turn, way) -> None:
    rig = rig_of(*eyes, turn, way)
    straight = rectify(rig)
    assert straight.rig.rectified
    assert straight.rig.baseline_mm == pytest.approx(rig.baseline_mm)
    points = np.random.default_rng(6).uniform((-15, -12, 30), (15, 12, 60), (50, 3))
    left = points @ straight.rectified_from_left.T
    right = transform_points(rig.right_from_left, points) @ straight.rectified_from_right.T
    u, v = np.moveaxis(straight.rig.left.project(left), -1, 0)
    u2, v2 = np.moveaxis(straight.rig.right.project(right), -1, 0)
    np.testing.assert_allclose(v2, v, atol=1e-8)
    depth = straight.rig.depth_from_disparity((u - u2)[None])[0]
    np.testing.assert_allclose(depth, left[:, 2], rtol=1e-8)


def test_the_maps_lead_back_to_the_pixels_of_the_original_pictures() -> None:
    rig = rig_of(EYES[2], EYES[3], (0.05, 0.1, -0.02), (6.0, 0.5, -0.3))
    straight = rectify(rig)
    new = straight.rig.left.unproject(pixel_centres(160, 120))
    np.testing.assert_allclose(
        straight.left_map_px, rig.left.project(new @ straight.rectified_from_left), atol=1e-9
    )
    new = straight.rig.right.unproject(pixel_centres(160, 120))
    np.testing.assert_allclose(
        straight.right_map_px, rig.right.project(new @ straight.rectified_from_right), atol=1e-9
    )


def test_a_rectified_rig_stays_as_it_is() -> None:
    rig = StereoRig.side_by_side(PinholeCamera(160, 120, 90.0, 90.0, 80.0, 60.0), 5.0)
    straight = rectify(rig)
    np.testing.assert_allclose(straight.left_map_px, pixel_centres(160, 120), atol=1e-9)
    np.testing.assert_allclose(straight.right_map_px, pixel_centres(160, 120), atol=1e-9)
    assert straight.rig.left == rig.left


def test_eyes_one_above_the_other_or_swapped_are_refused() -> None:
    with pytest.raises(CameraError, match=r"to the right of the left one, got direction \[0"):
        rectify(rig_of(EYES[0], EYES[0], (0.0, 0.0, 0.0), (0.0, 5.0, 0.0)))
    with pytest.raises(CameraError, match=r"got direction \[-1"):
        rectify(rig_of(EYES[0], EYES[0], (0.0, 0.0, 0.0), (-5.0, 0.0, 0.0)))


@pytest.mark.real
def test_rows_correspond_in_a_real_stereo_laparoscope(shared_data: Path) -> None:
    folder = shared_data / "calib_laparoscope_scikit_surgery" / "storz_precalib"
    if not folder.is_dir():
        pytest.skip(f"no stereo calibration at {folder}")
    rig = storz_rig(folder)
    straight = rectify(rig)
    for k in range(3):
        left, right, _ = corners(folder, k)
        new_left = straight.rig.left.project(
            rig.left.unproject(left) @ straight.rectified_from_left.T
        )
        new_right = straight.rig.right.project(
            rig.right.unproject(right) @ straight.rectified_from_right.T
        )
        assert np.median(np.abs(new_left - new_right)[:, 1]) < 0.5  # 50 px before


@pytest.mark.real
def test_a_real_pair_matches_best_where_rectification_puts_its_rows(shared_data: Path) -> None:
    folder = shared_data / "stereo_hamlyn_heart_phantom"
    if not folder.is_dir():
        pytest.skip(f"no stereo pair at {folder}")
    rig = hamlyn_rig(folder)
    straight = rectify(rig)
    pictures = []
    for side, places in (("L", straight.left_map_px), ("R", straight.right_map_px)):
        picture = cv2.imread(
            str(folder / f"f7_dynamic_deint_{side}_0100.png"), cv2.IMREAD_GRAYSCALE
        )
        u, v = (np.nan_to_num(places[..., k] - 0.5, nan=-9.0).astype(np.float32) for k in (0, 1))
        pictures.append(cv2.remap(picture, u, v, cv2.INTER_LINEAR))
    matcher = cv2.StereoSGBM_create(0, 64, 9, P1=8 * 81, P2=32 * 81, uniquenessRatio=10)
    disparity = matcher.compute(*pictures).astype(np.float64) / 16
    depth = straight.rig.depth_from_disparity(np.where(disparity > 1, disparity, np.nan))
    found = np.isfinite(depth)
    assert found.mean() > 0.3
    assert 30 < np.median(depth[found]) < 120  # the phantom lies 5 to 9 cm from the scope


def hamlyn_rig(folder: Path) -> StereoRig:
    def eye(side: str) -> PinholeCamera:
        k = np.loadtxt(folder / f"calib.{side}.intrinsic.txt")
        return PinholeCamera(360, 288, k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5)

    return StereoRig(eye("left"), eye("right"), np.loadtxt(folder / "calib.l2r.4x4"))

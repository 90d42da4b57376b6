# SPDX-License-Identifier: Apache-2.0
"""Laws of rigid poses, with SciPy's rotations as oracle."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from endoforge.errors import CameraError, ShapeError
from endoforge.geometry.poses import (
    camera_centre,
    check_pose,
    interpolate,
    invert_pose,
    is_pose,
    look_at,
    pose_error,
    pose_from,
    relative_pose,
    rotation_between,
    rotation_from_vector,
    transform_points,
    vector_from_rotation,
)

laws = settings(deadline=None, max_examples=60)

coordinates = st.floats(-300, 300, allow_subnormal=False)
vectors = st.tuples(coordinates, coordinates, coordinates).map(np.array)
turns = st.tuples(*[st.floats(-1.8, 1.8, allow_subnormal=False)] * 3).map(np.array)
poses = st.builds(lambda turn, shift: pose_from(rotation_from_vector(turn), shift), turns, vectors)


@laws
@given(pose=poses)
def test_a_pose_times_its_inverse_is_nothing(pose: np.ndarray) -> None:
    np.testing.assert_allclose(pose @ invert_pose(pose), np.eye(4), atol=1e-9)
    by_torch = invert_pose(torch.tensor(pose)).numpy()
    np.testing.assert_allclose(by_torch, invert_pose(pose), atol=1e-12)
    assert is_pose(pose)
    assert is_pose(invert_pose(pose))


def test_a_batch_of_poses_is_inverted_one_by_one() -> None:
    rng = np.random.default_rng(0)
    singles = [pose_from(rotation_from_vector(v), w) for v, w in rng.normal(size=(6, 2, 3))]
    inverses = invert_pose(np.stack(singles).reshape(2, 3, 4, 4)).reshape(6, 4, 4)
    for inverse, single in zip(inverses, singles, strict=True):
        np.testing.assert_allclose(inverse @ single, np.eye(4), atol=1e-12)


@laws
@given(a=poses, b=poses, point=vectors)
def test_going_by_the_next_camera_is_going_by_the_world(
    a: np.ndarray, b: np.ndarray, point: np.ndarray
) -> None:
    by_camera = transform_points(relative_pose(b, a), transform_points(a, point))
    np.testing.assert_allclose(by_camera, transform_points(b, point), atol=1e-9)


@laws
@given(pose=poses)
def test_the_camera_centre_is_the_origin_of_the_camera_frame(pose: np.ndarray) -> None:
    np.testing.assert_allclose(transform_points(pose, camera_centre(pose)), 0, atol=1e-9)


@laws
@given(position=vectors, target=vectors, up=vectors)
def test_look_at_puts_the_target_on_the_axis_and_up_upwards(
    position: np.ndarray, target: np.ndarray, up: np.ndarray
) -> None:
    view = target - position
    assume(np.linalg.norm(view) > 1e-3)
    assume(np.linalg.norm(np.cross(view, up)) > 1e-3 * np.linalg.norm(view))
    pose = look_at(position, target, up)
    assert is_pose(pose, 1e-9)
    seen = transform_points(pose, target)
    np.testing.assert_allclose(seen, [0, 0, np.linalg.norm(view)], atol=1e-7)
    upwards = pose[:3, :3] @ up
    assert abs(upwards[0]) < 1e-6
    assert upwards[1] < 0  # y points down


def test_a_level_camera_has_right_on_the_right() -> None:
    pose = look_at(np.zeros(3), np.array([0.0, 5.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(transform_points(pose, np.array([2.0, 7.0, 3.0])), [2, -3, 7])


@laws
@given(source=vectors, target=vectors)
def test_rotation_between_turns_one_onto_the_other_by_the_smallest_angle(
    source: np.ndarray, target: np.ndarray
) -> None:
    assume(min(np.linalg.norm(source), np.linalg.norm(target)) > 1e-6)
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    rotation = rotation_between(source, target)
    assert is_pose(pose_from(rotation, np.zeros(3)))
    np.testing.assert_allclose(rotation @ a, b, atol=1e-6)
    angle = 2 * math.atan2(np.linalg.norm(a - b), np.linalg.norm(a + b))
    assert np.linalg.norm(vector_from_rotation(rotation)) == pytest.approx(angle, abs=1e-6)


@pytest.mark.parametrize("axis", np.concatenate([np.eye(3), [[0.6, 0.0, 0.8]]]))
def test_opposite_directions_are_half_a_turn_apart(axis: np.ndarray) -> None:
    rotation = rotation_between(axis, -axis)
    np.testing.assert_allclose(rotation @ axis, -axis, atol=1e-12)
    assert is_pose(pose_from(rotation, np.zeros(3)), 1e-12)


@laws
@given(turn=turns)
def test_rotation_vectors_agree_with_scipy_and_return(turn: np.ndarray) -> None:
    rotation = rotation_from_vector(turn)
    np.testing.assert_allclose(rotation, Rotation.from_rotvec(turn).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(vector_from_rotation(rotation), turn, atol=1e-7)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-8, 1e-4, math.pi - 1e-9, math.pi])
def test_rotation_vectors_return_at_no_turn_and_at_half_a_turn(angle: float) -> None:
    vector = angle * np.array([2.0, -1.0, 2.0]) / 3
    back = vector_from_rotation(rotation_from_vector(vector))
    assert min(np.abs(back - vector).max(), np.abs(back + vector).max()) < 1e-8


@laws
@given(a=poses, b=poses, fraction=st.floats(0, 1))
def test_interpolation_moves_the_centre_straight_and_turns_as_slerp(
    a: np.ndarray, b: np.ndarray, fraction: float
) -> None:
    turn = Rotation.from_matrix(np.stack([a[:3, :3].T, b[:3, :3].T]))
    assume((turn[0].inv() * turn[1]).magnitude() < 3.0)
    between = interpolate(a, b, fraction)
    straight = (1 - fraction) * camera_centre(a) + fraction * camera_centre(b)
    np.testing.assert_allclose(camera_centre(between), straight, atol=1e-9)
    slerp = Slerp([0, 1], turn)(fraction).as_matrix().T
    np.testing.assert_allclose(between[:3, :3], slerp, atol=1e-9)


@laws
@given(a=poses, b=poses)
def test_interpolation_starts_and_ends_where_it_should(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(interpolate(a, b, 0.0), a, atol=1e-8)
    np.testing.assert_allclose(interpolate(a, b, 1.0), b, atol=1e-5)


@laws
@given(pose=poses, turn=turns, shift=vectors)
def test_pose_error_measures_what_was_put_in_whatever_the_world(
    pose: np.ndarray, turn: np.ndarray, shift: np.ndarray
) -> None:
    other = pose_from(rotation_from_vector(turn), shift) @ pose
    apart, angle = pose_error(pose, other)
    assert apart == pytest.approx(np.linalg.norm(shift), abs=1e-8)
    assert angle == pytest.approx(Rotation.from_rotvec(turn).magnitude(), abs=1e-7)
    assert pose_error(pose @ other, other @ other) == pytest.approx((apart, angle), abs=1e-6)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), r"camera_from_world must be a rigid 4 x 4 pose; got shape \(3, 3\)"),
        (np.full((4, 4), np.nan), "not finite"),
        (np.diag([2.0, 2.0, 2.0, 1.0]), r"not orthonormal \(3 off"),
        (np.diag([1.0, 1.0, -1.0, 1.0]), r"mirrors \(determinant -1\.000\)"),
        (np.diag([1.0, 1.0, 1.0, 2.0]), "last row must be 0 0 0 1"),
        (np.full((4, 4), "a"), "got shape"),
    ],
)
def test_what_is_not_a_pose_is_refused_with_the_reason(matrix: np.ndarray, message: str) -> None:
    assert not is_pose(matrix)
    with pytest.raises(CameraError, match=message):
        check_pose(matrix)


def test_a_good_pose_passes_as_a_float64_copy() -> None:
    pose = np.eye(4, dtype=np.float32)
    checked = check_pose(pose, "camera_from_world")
    assert checked.dtype == np.float64
    assert checked is not pose


def test_views_without_a_direction_are_refused(plain_shapes: None) -> None:
    origin, ahead = np.zeros(3), np.array([0.0, 0.0, 2.0])
    with pytest.raises(CameraError, match="target minus position must be a direction"):
        look_at(origin, origin, ahead)
    with pytest.raises(CameraError, match="up must not point along the view"):
        look_at(origin, ahead, -ahead)
    with pytest.raises(CameraError, match="source must be a direction"):
        rotation_between(origin, ahead)
    with pytest.raises(ShapeError, match=r"axes of 4 and 4, got shape \(3, 4\)"):
        invert_pose(np.zeros((3, 4)))

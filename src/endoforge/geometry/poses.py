# SPDX-License-Identifier: Apache-2.0
"""Rigid poses as 4 x 4 matrices named target_from_source, and the rotations inside them.

A pose maps column vectors; its translation is in mm. `camera_from_world @ world_from_polyp` reads
as a chain. `invert_pose`, `transform_points` and `relative_pose` take NumPy and torch.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from endoforge.errors import CameraError, ShapeError
from endoforge.geometry.arrays import floating, namespace, points_of

_NEARLY_PARALLEL = 1e-6


def invert_pose(target_from_source: Float[Any, "*batch 4 4"]) -> Float[Any, "*batch 4 4"]:
    """source_from_target of rigid poses, by transposing instead of solving.

    Raises:
        ShapeError: The last two axes are not 4 by 4.
    """
    pose = _pose_array(target_from_source)
    ops = namespace(pose)
    rotation = ops.swapaxes(pose[..., :3, :3], -1, -2)
    translation = -(rotation @ pose[..., :3, 3:])
    upper = ops.concatenate([rotation, translation], -1)
    return ops.concatenate([upper, pose[..., 3:, :]], -2)


def relative_pose(
    next_from_world: Float[Any, "*batch 4 4"], camera_from_world: Float[Any, "*batch 4 4"]
) -> Float[Any, "*batch 4 4"]:
    """next_from_camera: how points move from one camera frame into the next."""
    return _pose_array(next_from_world) @ invert_pose(camera_from_world)


def transform_points(
    target_from_source: Float[Any, "4 4"], points: Float[Any, "*batch 3"]
) -> Float[Any, "*batch 3"]:
    """Points of the source frame in the target frame, mm."""
    pose = _pose_array(target_from_source)
    points = points_of(points, 3, "points")
    return points @ pose[:3, :3].T + pose[:3, 3]


def camera_centre(camera_from_world: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "3"]:
    """Where the camera stands in the world, mm."""
    centre: np.ndarray = invert_pose(camera_from_world)[:3, 3]
    return centre


def is_pose(matrix: Any, tolerance: float = 1e-6) -> bool:
    """Whether a matrix is 4 by 4, finite, rigid and right-handed, within a tolerance."""
    return _fault(matrix, tolerance) is None


def check_pose(
    matrix: Any, name: str = "camera_from_world", tolerance: float = 1e-6
) -> Float64[np.ndarray, "4 4"]:
    """The matrix as a float64 pose.

    Raises:
        CameraError: Names the pose and says what is wrong with it.
    """
    if fault := _fault(matrix, tolerance):
        raise CameraError(f"{name} must be a rigid 4 x 4 pose; {fault}")
    return np.array(matrix, dtype=np.float64)


def look_at(
    position: Float[np.ndarray, "3"],
    target: Float[np.ndarray, "3"],
    up: Float[np.ndarray, "3"],
) -> Float64[np.ndarray, "4 4"]:
    """camera_from_world of a camera that looks at a point, with a direction kept upright.

    Args:
        position: Of the camera in the world, mm.
        target: World point that appears at the principal point, mm.
        up: World direction that appears upwards (camera -y); any length.

    Raises:
        CameraError: The target is at the position, or up points along the view.
    """
    position = np.asarray(position, dtype=np.float64)
    forward = _unit(np.asarray(target, dtype=np.float64) - position, "target minus position")
    right = np.cross(forward, _unit(np.asarray(up, dtype=np.float64), "up"))
    if np.linalg.norm(right) < _NEARLY_PARALLEL:
        raise CameraError(f"up must not point along the view {forward}, got {up}; turn it away")
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return pose_from(rotation, -rotation @ position)


def pose_from(
    rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, "3"]
) -> Float64[np.ndarray, "4 4"]:
    """target_from_source from its rotation and its translation in mm."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, translation
    return pose


def rotation_between(
    source: Float[np.ndarray, "3"], target: Float[np.ndarray, "3"]
) -> Float64[np.ndarray, "3 3"]:
    """The smallest rotation that turns one direction into another.

    Raises:
        CameraError: A direction has no length.
    """
    a, b = _unit(source, "source"), _unit(target, "target")
    axis, cosine = np.cross(a, b), float(a @ b)
    if cosine < 0 and np.linalg.norm(axis) < _NEARLY_PARALLEL:  # opposite: half a turn, any axis
        axis = np.cross(a, np.eye(3)[np.argmin(np.abs(a))])
        return rotation_from_vector(np.pi * axis / np.linalg.norm(axis))
    cross = _cross_matrix(axis)
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine))


def rotation_from_vector(vector_rad: Float[np.ndarray, "3"]) -> Float64[np.ndarray, "3 3"]:
    """Rotation about a vector's direction by its length in radians (Rodrigues)."""
    vector = np.asarray(vector_rad, dtype=np.float64)
    angle = float(np.linalg.norm(vector))
    cross = _cross_matrix(vector)
    half = np.sinc(angle / (2 * np.pi))  # sin(angle/2) / (angle/2)
    return np.asarray(np.eye(3) + np.sinc(angle / np.pi) * cross + half**2 / 2 * (cross @ cross))


def vector_from_rotation(rotation: Float[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3"]:
    """Axis times angle (rad, 0 to pi) of a rotation; the inverse of `rotation_from_vector`."""
    r = np.asarray(rotation, dtype=np.float64)
    skew = np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]])
    # The four columns are multiples of the unit quaternion (w, x, y, z); the longest is exact.
    trace = np.trace(r)
    quaternions = np.empty((4, 4))
    quaternions[0, 0], quaternions[0, 1:], quaternions[1:, 0] = 1 + trace, skew, skew
    quaternions[1:, 1:] = r + r.T + (1 - trace) * np.eye(3)
    quaternion = quaternions[np.argmax(np.linalg.norm(quaternions, axis=1))]
    quaternion = quaternion * (1 if quaternion[0] >= 0 else -1)
    length = np.linalg.norm(quaternion[1:])
    if length == 0:
        return np.zeros(3)
    angle = 2 * np.arctan2(length, quaternion[0])
    return np.asarray(angle / length * quaternion[1:], dtype=np.float64)


def interpolate(
    first: Float64[np.ndarray, "4 4"], second: Float64[np.ndarray, "4 4"], fraction: float
) -> Float64[np.ndarray, "4 4"]:
    """camera_from_world on the way from one pose (fraction 0) to another (fraction 1).

    The camera's centre moves on a straight line at constant speed while the camera turns about one
    axis at constant rate. Fractions outside [0, 1] carry the motion on.
    """
    start, end = camera_centre(first), camera_centre(second)
    turn = vector_from_rotation(second[:3, :3] @ first[:3, :3].T)
    rotation = rotation_from_vector(fraction * turn) @ first[:3, :3]
    return pose_from(rotation, -rotation @ (start + fraction * (end - start)))


def pose_error(
    first: Float64[np.ndarray, "4 4"], second: Float64[np.ndarray, "4 4"]
) -> tuple[float, float]:
    """Distance between two cameras' centres, mm, and the angle between their orientations, rad."""
    apart = float(np.linalg.norm(camera_centre(first) - camera_centre(second)))
    turn = vector_from_rotation(second[:3, :3] @ first[:3, :3].T)
    return apart, float(np.linalg.norm(turn))


def _fault(matrix: Any, tolerance: float) -> str | None:
    pose = np.asarray(matrix)
    if pose.shape != (4, 4) or pose.dtype.kind not in "fiu":
        return f"got shape {pose.shape} of {pose.dtype}"
    if not np.isfinite(pose).all():
        return f"got values that are not finite: {pose.tolist()}"
    if (size := np.abs(pose[3] - (0, 0, 0, 1)).max()) > tolerance:
        return f"its last row must be 0 0 0 1, got {pose[3].tolist()} ({size:.2g} off)"
    rotation = pose[:3, :3]
    if (size := np.abs(rotation @ rotation.T - np.eye(3)).max()) > tolerance:
        return f"its rotation is not orthonormal ({size:.2g} off, allowed {tolerance:g})"
    if (volume := float(np.linalg.det(rotation))) < 0:
        return f"its rotation mirrors (determinant {volume:.3f}); flip one axis"
    return None


def _pose_array(pose: Any) -> Any:
    pose = floating(pose)
    if pose.ndim < 2 or tuple(pose.shape[-2:]) != (4, 4):
        raise ShapeError(f"a pose must end in axes of 4 and 4, got shape {tuple(pose.shape)}")
    return pose


def _unit(vector: Any, name: str) -> Float64[np.ndarray, "3"]:
    values = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(values))
    if not np.isfinite(length) or length < 1e-12:
        raise CameraError(f"{name} must be a direction with a length, got {values.tolist()}")
    return np.asarray(values / length)


def _cross_matrix(vector: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3 3"]:
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])

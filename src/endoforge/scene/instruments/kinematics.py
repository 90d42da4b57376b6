# SPDX-License-Identifier: Apache-2.0
"""Where the parts of an instrument are for given joints, and a shaft that pivots in a port.

At rest every part's vertices lie in the tool frame; a part's pose says how it moved from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from endoforge.errors import SceneError
from endoforge.geometry.poses import rotation_between, rotation_from_vector
from endoforge.scene.instruments.records import Instrument, Joint
from endoforge.scene.paths.targets import Target

Joints = Mapping[str, float]


@dataclass(frozen=True)
class RemoteCentre:
    """Joints of a shaft that pivots in a port, whose normal points into the body.

    Attributes:
        yaw_rad: Turn about the port's own y axis.
        pitch_rad: Turn about the port's own x axis, before the yaw.
        roll_rad: Turn about the shaft.
        insertion_mm: From the port to the tool frame's origin, along the shaft.
    """

    yaw_rad: float
    pitch_rad: float
    roll_rad: float
    insertion_mm: float


# ---- parts --------------------------------------------------------------------------------------


def joint_values(instrument: Instrument, values: Joints) -> dict[str, float]:
    """Values of all joints, those that follow others included.

    Raises:
        SceneError: A joint is unknown or beyond its limits.
    """
    known = instrument.joints
    if unknown := set(values) - set(known):
        raise SceneError(f"{instrument.name} has no joint {sorted(unknown)}; it has {[*known]}")
    own = {name: float(values.get(name, _rest(joint))) for name, joint in known.items()}
    for name, value in own.items():
        low, high = known[name].limits
        if not low - 1e-9 <= value <= high + 1e-9:
            raise SceneError(
                f"joint {name!r} of {instrument.name} must lie within {low:.4g} to {high:.4g}, "
                f"got {value:.4g}"
            )
    followers = (p.joint for p in instrument.parts if p.joint and p.joint.mimic is not None)
    return own | {j.name: j.multiplier * own[str(j.mimic)] + j.offset for j in followers}


def part_poses(instrument: Instrument, values: Joints) -> Float64[np.ndarray, "parts 4 4"]:
    """How each part has moved from its place at rest, in the tool frame.

    Args:
        instrument: The tool.
        values: Joints by name, rad or mm; those left out stay at rest.

    Returns:
        ``tool_from_rest`` of each part. Rigid, but for a part that a squeeze joint narrows.

    Raises:
        SceneError: A joint is unknown or beyond its limits.
    """
    known = joint_values(instrument, values)
    poses = np.empty((len(instrument.parts), 4, 4))
    for number, part in enumerate(instrument.parts):
        parent = np.eye(4) if part.parent < 0 else poses[part.parent]
        moved = _moved_by(part.joint, known[part.joint.name]) if part.joint else np.eye(4)
        poses[number] = parent @ moved
    return poses


def posed(instrument: Instrument, values: Joints) -> Float64[np.ndarray, "vertices 3"]:
    """Vertices in the tool frame for given joints, mm."""
    return carried(instrument, part_poses(instrument, values))


def carried(
    instrument: Instrument, target_from_rest: Float[np.ndarray, "parts 4 4"]
) -> Float64[np.ndarray, "vertices 3"]:
    """Vertices after each part has moved by its pose, mm."""
    rest = instrument.surface.vertices_mm.astype(np.float64)
    result = np.empty_like(rest)
    for part, pose in zip(instrument.parts, target_from_rest, strict=True):
        rows = slice(*part.vertices)
        result[rows] = rest[rows] @ pose[:3, :3].T + pose[:3, 3]
    return result


def keypoint_in_tool(instrument: Instrument, name: str, values: Joints) -> Float64[np.ndarray, "3"]:
    """A key point in the tool frame for given joints, mm."""
    point = instrument.keypoints[name]
    pose = part_poses(instrument, values)[point.part]
    return np.asarray(pose[:3, :3] @ point.point_mm + pose[:3, 3])


# ---- the port -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RemoteCentres:
    """Joints of a shaft that pivots in a port, at several frames; see `RemoteCentre`."""

    yaw_rad: Float64[np.ndarray, "frames"]
    pitch_rad: Float64[np.ndarray, "frames"]
    roll_rad: Float64[np.ndarray, "frames"]
    insertion_mm: Float64[np.ndarray, "frames"]


def world_from_tool(port: Target, centre: RemoteCentre) -> Float64[np.ndarray, "4 4"]:
    """Pose of the tool frame; the shaft's axis passes through the port whatever the joints are."""
    values = (centre.yaw_rad, centre.pitch_rad, centre.roll_rad, centre.insertion_mm)
    rows = RemoteCentres(*(np.array([float(value)]) for value in values))
    return np.asarray(world_from_tools(port, rows)[0])


def world_from_tools(port: Target, centres: RemoteCentres) -> Float64[np.ndarray, "frames 4 4"]:
    """Poses of the tool frame at several frames; see `world_from_tool`."""
    rotation = _world_from_port(port) @ _turns(1, centres.yaw_rad) @ _turns(0, centres.pitch_rad)
    poses = np.tile(np.eye(4), (len(rotation), 1, 1))
    poses[:, :3, :3] = rotation @ _turns(2, centres.roll_rad)
    poses[:, :3, 3] = port.point_mm + centres.insertion_mm[:, None] * rotation[:, :, 2]
    return poses


def reach(
    port: Target,
    target_mm: Float[np.ndarray, "3"],
    offset_mm: Float[np.ndarray, "3"],
    roll_rad: float = 0.0,
) -> RemoteCentre:
    """The joints that put a point of the tool on a target.

    Args:
        port: The remote centre.
        target_mm: World point, mm.
        offset_mm: The tool's point in the tool frame, mm.
        roll_rad: Turn about the shaft, kept as given.

    Raises:
        SceneError: The target is so near the port that the point cannot get there.
    """
    rows = (np.asarray(v, np.float64)[None] for v in (target_mm, offset_mm, roll_rad))
    found = reach_all(port, *rows)
    yaw, pitch, insertion = found.yaw_rad[0], found.pitch_rad[0], found.insertion_mm[0]
    return RemoteCentre(float(yaw), float(pitch), roll_rad, float(insertion))


def reach_all(
    port: Target,
    target_mm: Float64[np.ndarray, "frames 3"],
    offset_mm: Float64[np.ndarray, "frames 3"],
    roll_rad: Float64[np.ndarray, "frames"],
) -> RemoteCentres:
    """The joints that put a point of the tool on a target, at several frames; see `reach`.

    Raises:
        SceneError: A target is so near the port that the point cannot get there.
    """
    tx, ty, tz = ((target_mm - port.point_mm) @ _world_from_port(port)).T
    x, y, z = np.einsum("nij,nj->ni", _turns(2, roll_rad), offset_mm).T
    along = tx * tx + ty * ty + tz * tz - x * x - y * y
    far = np.sqrt(np.maximum(along, 0.0))
    lever = np.hypot(y, far)
    bad = (along <= z * np.abs(z)) | (tz <= 0) | (np.abs(ty) >= lever)
    if bad.any():
        place = target_mm[int(bad.argmax())]
        raise SceneError(
            f"the target {np.round(place, 1).tolist()} mm is "
            f"{np.linalg.norm(place - port.point_mm):.1f} mm from the port {port.name!r}, nearer "
            "than the tool's tip, or behind it; move either"
        )
    pitch = np.arccos(ty / lever) - np.arctan2(far, y)
    ahead = np.sin(pitch) * y + np.cos(pitch) * far
    yaw = np.arctan2(tx, tz) - np.arctan2(x, ahead)
    return RemoteCentres(yaw, pitch, roll_rad, far - z)


# ---- inside -------------------------------------------------------------------------------------


def _rest(joint: Joint) -> float:
    return float(np.clip(0.0, *joint.limits))


def _moved_by(joint: Joint, value: float) -> Float64[np.ndarray, "4 4"]:
    """The motion of one joint in the tool frame at rest."""
    pose = np.eye(4)
    match joint.kind:
        case "prismatic":
            pose[:3, 3] = value * joint.axis
            return pose
        case "revolute":
            pose[:3, :3] = rotation_from_vector(value * joint.axis)
        case "squeeze":
            pose[:3, :3] -= value * np.outer(joint.axis, joint.axis)
    pose[:3, 3] = joint.origin_mm - pose[:3, :3] @ joint.origin_mm
    return pose


def _world_from_port(port: Target) -> Float64[np.ndarray, "3 3"]:
    return rotation_between(np.array([0.0, 0.0, 1.0]), port.normal)


def _turns(
    axis: int, angle_rad: Float64[np.ndarray, "frames"]
) -> Float64[np.ndarray, "frames 3 3"]:
    """Rotations about one of the coordinate axes."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turns = np.tile(np.eye(3), (len(angle_rad), 1, 1))
    turns[:, i, i] = turns[:, j, j] = np.cos(angle_rad)
    turns[:, j, i] = np.sin(angle_rad)
    turns[:, i, j] = -turns[:, j, i]
    return turns

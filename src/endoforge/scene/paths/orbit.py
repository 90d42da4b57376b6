# SPDX-License-Identifier: Apache-2.0
"""A camera that goes round a place: azimuth, elevation and distance, upright to the patient's head.

`sample_orbit` draws a hand; `go_round` is a pure function of that draw, a target and the tissue.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import draw
from endoforge.errors import SceneError
from endoforge.geometry.poses import rotation_between
from endoforge.scene.paths.aim import Unrest, in_disc, in_range, poses_looking, sample_unrest
from endoforge.scene.paths.room import Room
from endoforge.scene.paths.safety import check_clear, clear_of, free_way, smooth_below
from endoforge.scene.paths.settings import OrbitSettings
from endoforge.scene.paths.targets import Target
from endoforge.scene.volume.walls import VolumeTissue, pushed_clear

_SLOW = (60.0, 240.0)  # periods of pace, distance, elevation, view and roll, frames
_SMOOTH = 6.0  # frames over which a path gives way to tissue
_FAR_MM = 2500.0  # nothing that is looked at reaches so far
_STEP_MM = 2.0
_STEEPEST = np.radians(85.0)


@dataclass(frozen=True, eq=False)
class Orbit:
    """Everything random about one way round.

    Attributes:
        poses: How many poses it is for.
        distance_mm: From the lens to the target when far.
        nearer: Share of that when near.
        azimuth_rad: Where it begins: 0 before the target, along its normal, which for the body and
            its organs is the patient's front; a quarter turn at the patient's right then.
        elevation_rad: Above the target, then towards the head, when at rest.
        turn_rad: Mean way around per frame, either sign.
        rise_rad: How far the elevation changes.
        off_centre_rad: Largest turn of the view away from the target.
        roll_rad: How far the horizon tilts.
        slow: Pace (1), distance (1), elevation (1), view (2) and roll (1).
    """

    poses: int
    distance_mm: float
    nearer: float
    azimuth_rad: float
    elevation_rad: float
    turn_rad: float
    rise_rad: float
    off_centre_rad: float
    roll_rad: float
    slow: Unrest


def orbit(
    room: Room, settings: OrbitSettings, rng: np.random.Generator, frames: int
) -> Float64[np.ndarray, "poses 4 4"]:
    """Draw a way round one of a room's targets.

    Args:
        room: The anatomy.
        settings: What is looked at, and from where.
        rng: Random numbers of this one path.
        frames: Number of frames.

    Returns:
        camera_from_world of frame -1, of each frame, and of the one after the last.

    Raises:
        SceneError: There is no such target, or tissue leaves no room on the way.
    """
    target = room.any_target(settings.target, rng)
    return go_round(target, sample_orbit(settings, rng, frames + 2), settings, room)


def sample_orbit(settings: OrbitSettings, rng: np.random.Generator, poses: int) -> Orbit:
    """Draw a hand; one for more poses begins in the same way."""
    azimuth, elevation, turn, rise, off_centre, roll = (
        float(np.radians(draw(angle, rng)))
        for angle in (
            settings.azimuth_deg,
            settings.elevation_deg,
            settings.turn_deg,
            settings.rise_deg,
            settings.off_centre_deg,
            settings.roll_deg,
        )
    )
    return Orbit(
        poses=poses,
        distance_mm=draw(settings.distance_mm, rng),
        nearer=draw(settings.nearer, rng),
        azimuth_rad=azimuth,
        elevation_rad=elevation,
        turn_rad=turn * float(rng.choice([1.0, -1.0])),
        rise_rad=rise,
        off_centre_rad=off_centre,
        roll_rad=roll,
        slow=sample_unrest(rng, 6, _SLOW),
    )


def go_round(
    target: Target, hand: Orbit, settings: OrbitSettings, room: Room
) -> Float64[np.ndarray, "poses 4 4"]:
    """Apply a drawn hand to a target; no randomness is left.

    From outside the camera draws back where it would come too near to tissue; inside a hollow it
    comes nearer, as far as its line of sight is free.

    Raises:
        SceneError: There is no room on some line of sight.
    """
    slow = hand.slow.at(np.arange(hand.poses, dtype=np.float64))
    turned = rotation_between(np.array([0.0, 1.0, 0.0]), target.normal)
    outward = _outward(hand, slow) @ turned.T
    wanted = hand.distance_mm * np.exp(np.log(hand.nearer) * in_range(slow[:, 1]))
    reach = _outside if settings.side == "outside" else _inside
    distance = reach(target, outward, wanted, room, settings.clearance_mm)
    position = target.point_mm + distance[:, None] * outward
    if isinstance(room.surface, VolumeTissue):
        position = pushed_clear(position, room.surface, settings.clearance_mm)
    check_clear(position, room, settings.clearance_mm)
    side = np.cross(-outward, turned[:, 2])
    ahead = np.broadcast_to(target.point_mm, position.shape)
    turn = hand.off_centre_rad * in_disc(slow[:, 3:5])
    return poses_looking(position, np.array(ahead), side, turn, hand.roll_rad * slow[:, 5])


def _outward(
    hand: Orbit, slow: Float64[np.ndarray, "poses directions"]
) -> Float64[np.ndarray, "poses 3"]:
    """Unit directions from the target to the camera; the target's normal is +y here."""
    pace = np.clip(1.0 + 0.45 * slow[:-1, 0], 0.05, None)
    azimuth = hand.azimuth_rad + hand.turn_rad * np.concatenate([[0.0], np.cumsum(pace)])
    elevation = hand.elevation_rad + hand.rise_rad * (2 * in_range(slow[:, 2]) - 1)
    elevation = np.clip(elevation, -_STEEPEST, _STEEPEST)
    level = np.cos(elevation)
    return np.stack([level * np.sin(azimuth), level * np.cos(azimuth), np.sin(elevation)], axis=1)


def _outside(
    target: Target,
    outward: Float64[np.ndarray, "poses 3"],
    wanted: Float64[np.ndarray, "poses"],
    room: Room,
    clearance_mm: float,
) -> Float64[np.ndarray, "poses"]:
    """Distance as wanted, or where a camera that comes from afar must stop."""
    start = target.point_mm + _FAR_MM * outward
    longest = np.full(len(wanted), _FAR_MM)
    way = free_way(room.tissue, start, -outward, longest, clearance_mm)
    needed = np.maximum(wanted, _FAR_MM - way)
    return -smooth_below(-needed, _SMOOTH)


def _inside(
    target: Target,
    outward: Float64[np.ndarray, "poses 3"],
    wanted: Float64[np.ndarray, "poses"],
    room: Room,
    clearance_mm: float,
) -> Float64[np.ndarray, "poses"]:
    """Distance as wanted, or as far as the first free stretch of the line of sight reaches."""
    steps = np.arange(0.0, float(wanted.max()) + _STEP_MM, _STEP_MM)
    points = target.point_mm + steps[None, :, None] * outward[:, None]
    clear = clear_of(points.reshape(-1, 3), room.tissue).reshape(len(wanted), -1) >= clearance_mm
    blocked = ~clear.any(axis=1)
    if blocked.any():
        raise SceneError(
            f"a camera that goes round {target.name!r} inside must keep {clearance_mm:g} mm clear "
            f"of tissue, but on {int(blocked.sum())} of {len(wanted)} lines of sight there is no "
            "such room; lower clearance_mm or turn_deg, or choose another target"
        )
    first = clear.argmax(axis=1)
    ends = np.where(clear, False, np.arange(len(steps)) > first[:, None])
    last = np.where(ends.any(axis=1), ends.argmax(axis=1) - 1, len(steps) - 1)
    reach = smooth_below(np.minimum(wanted, steps[last]), _SMOOTH)
    return np.asarray(np.maximum(reach, steps[first]))

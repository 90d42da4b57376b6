# SPDX-License-Identifier: Apache-2.0
"""A rigid scope through a port: pan, tilt, insertion, a turning light post, a steadied horizon.

The shaft always passes through the port (the remote centre of motion). The view of an oblique scope
leaves the shaft at a fixed angle, towards the side opposite the light post.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from endoforge.distributions import draw
from endoforge.errors import SceneError
from endoforge.scene.anatomy.curves import unit
from endoforge.scene.paths.aim import Unrest, in_range, poses_looking, sample_unrest
from endoforge.scene.paths.in_time import InTime
from endoforge.scene.paths.room import Room
from endoforge.scene.paths.safety import STILL, check_clear, clear_of, free_way, smooth_below
from endoforge.scene.paths.settings import LaparoscopeSettings
from endoforge.scene.paths.targets import Target

_FAST = (4.0, 14.0)  # periods of tremor, frames; a hand on a long lever is slower
_SLOW = (80.0, 300.0)  # periods of wandering, distance, light post and horizon, frames
_TRIES = 8
_DOOR_MM = 18.0  # the tissue around the port does not count this far in
_LEAST_IN_MM = 25.0
_RETREATS = 30
_SMOOTH = 4.0  # frames over which the tip gives way to tissue
_EASE = 0.6  # share of the time between two targets that is spent on the way
_ASKEW = 0.3  # least sine between the view and what is up in it


@dataclass(frozen=True, eq=False)
class Scope:
    """Everything random about one laparoscope's motion.

    Attributes:
        poses: How many poses it is for.
        oblique_rad: Angle between shaft and view.
        stops: Which target is looked at from which frame on.
        distance_mm: From the lens to what is looked at, when far.
        nearer: Share of that when near.
        wander_mm: How far the point that is looked at wanders.
        post_rad: Turn of the light post at the start, and how far it changes.
        horizon_rad: How far the horizon tilts.
        tremor_mm: Fast unsteadiness of the tip.
        slow: Wandering (3), distance (1), light post (1), horizon (1).
        fast: Tremor (3).
    """

    poses: int
    oblique_rad: float
    stops: tuple[tuple[float, int], ...]
    distance_mm: float
    nearer: float
    wander_mm: float
    post_rad: tuple[float, float]
    horizon_rad: float
    tremor_mm: float
    slow: Unrest
    fast: Unrest


@dataclass(frozen=True, eq=False)
class ScopeMotion:
    """Where a laparoscope is at every frame.

    Attributes:
        poses: camera_from_world.
        world_from_shaft: Pose of the shaft: origin at the lens, +z outwards along the shaft from
            the port to the lens, +y towards the light post.
    """

    poses: Float64[np.ndarray, "poses 4 4"]
    world_from_shaft: Float64[np.ndarray, "poses 4 4"]


@dataclass(frozen=True, eq=False)
class Around:
    """What a laparoscope must keep clear of.

    Attributes:
        room: The anatomy at rest.
        moving: What moves in it.
    """

    room: Room
    moving: InTime = STILL

    def clear_of(
        self,
        points_mm: Float64[np.ndarray, "points 3"],
        frames: Int64[np.ndarray, "points"],
        within_mm: float,
    ) -> Float64[np.ndarray, "points"]:
        """Distance to tissue at rest and at each point's frame, whichever is less, mm."""
        at_rest = clear_of(points_mm, self.room.tissue)
        return np.asarray(np.minimum(at_rest, self.moving.clear_of(points_mm, frames, within_mm)))


def move_laparoscope(
    room: Room, settings: LaparoscopeSettings, rng: np.random.Generator, frames: int
) -> ScopeMotion:
    """Draw a laparoscope's motion; a few hands are tried until one is clear of tissue.

    Args:
        room: The anatomy with its ports and targets.
        settings: The scope and the hand.
        rng: Random numbers of this one path.
        frames: Number of frames.

    Returns:
        Poses of frame -1, of each frame, and of the one after the last.

    Raises:
        SceneError: The port or all targets are missing, or every hand meets tissue.
    """
    port, targets = room.port(settings.port), _targets(room, settings.targets)
    moving = room.in_time(frames)
    for attempt in range(_TRIES):
        scope = sample_scope(settings, rng, len(targets), frames + 2)
        try:
            return steer_scope(port, targets, scope, Around(room, moving), settings)
        except SceneError:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError  # the last attempt returned or raised


def sample_scope(
    settings: LaparoscopeSettings, rng: np.random.Generator, targets: int, poses: int
) -> Scope:
    """Draw a scope and a hand."""
    oblique, post, turn, horizon = (
        float(np.radians(draw(angle, rng)))
        for angle in (
            settings.oblique_deg,
            settings.post_deg,
            settings.post_turn_deg,
            settings.horizon_deg,
        )
    )
    return Scope(
        poses=poses,
        oblique_rad=oblique,
        post_rad=(post, turn),
        horizon_rad=horizon,
        distance_mm=draw(settings.distance_mm, rng),
        nearer=draw(settings.nearer, rng),
        wander_mm=draw(settings.wander_mm, rng),
        tremor_mm=draw(settings.tremor_mm, rng),
        slow=sample_unrest(rng, 6, _SLOW),
        fast=sample_unrest(rng, 3, _FAST),
        stops=_sample_stops(rng, draw(settings.hold_frames, rng), targets, poses),
    )


def steer_scope(
    port: Target,
    targets: Sequence[Target],
    scope: Scope,
    around: Around,
    settings: LaparoscopeSettings,
) -> ScopeMotion:
    """Apply a drawn scope; no randomness is left. Too little room and the tip is drawn back.

    Raises:
        SceneError: The tip cannot get far enough in, or the shaft would cut through tissue.
    """
    time = np.arange(scope.poses, dtype=np.float64)
    slow = scope.slow.at(time)
    gaze = _gaze(targets, scope, time) - port.point_mm
    gaze += scope.wander_mm * slow[:, :3] / np.sqrt(3.0) + scope.tremor_mm * scope.fast.at(time)
    wanted = scope.distance_mm * np.exp(np.log(scope.nearer) * in_range(slow[:, 3]))
    up = _upward(unit(gaze), port.normal)
    post = _post(unit(gaze), up, scope.post_rad[0] + scope.post_rad[1] * slow[:, 4])
    shaft, view, depth = _towards(gaze, wanted, post, scope.oblique_rad)
    depth = _depth_in_room(port, shaft, depth, around, settings)
    tip = port.point_mm + depth[:, None] * shaft
    least = settings.clearance_mm
    check_clear(tip, around.room, least, "the laparoscope's lens", around.moving)
    side = np.cross(view, _upward(view, port.normal))
    still, horizon = np.zeros((scope.poses, 2)), scope.horizon_rad * slow[:, 5]
    poses = poses_looking(tip, tip + view, side, still, horizon)
    return ScopeMotion(poses, _shaft_poses(tip, shaft, post))


def _targets(room: Room, names: Sequence[str]) -> list[Target]:
    """The targets that the anatomy has, in order."""
    known = {target.name: target for target in room.targets}
    found = [known[name] for name in names if name in known]
    if not found:
        raise SceneError(
            f"none of trajectory.targets ({', '.join(names)}) is in this anatomy; it has "
            f"{', '.join(known) or 'none'}"
        )
    return found


def _sample_stops(
    rng: np.random.Generator, hold: float, targets: int, poses: int
) -> tuple[tuple[float, int], ...]:
    """From which frame on each target is looked at; never the same one twice in a row."""
    stops = [(-1.0, int(rng.integers(targets)))]
    while targets > 1 and stops[-1][0] < poses:
        begin = stops[-1][0] + hold * float(rng.uniform(0.5, 1.5))
        stops.append((begin, (stops[-1][1] + int(rng.integers(1, targets))) % targets))
    return tuple(stops)


def _gaze(
    targets: Sequence[Target], scope: Scope, time: Float64[np.ndarray, "frames"]
) -> Float64[np.ndarray, "frames 3"]:
    """The point that is looked at, gliding from target to target, world mm."""
    places = np.stack([targets[k].point_mm for _, k in scope.stops])
    begins = np.array([begin for begin, _ in scope.stops])
    result = np.tile(places[0], (len(time), 1))
    for k in range(1, len(places)):
        length = _EASE * (begins[k] - begins[k - 1])
        share = np.clip((time - begins[k]) / length, 0.0, 1.0)
        share = share**3 * (10 - 15 * share + 6 * share**2)
        result += share[:, None] * (places[k] - places[k - 1])
    return result


def _upward(
    views: Float64[np.ndarray, "frames 3"], inward: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "3"]:
    """What is up in the picture: out of the port, or the head where the view is along that."""
    candidates = [-inward, np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])]
    askew = [float(np.linalg.norm(np.cross(views, up), axis=1).min()) for up in candidates]
    good = [up for up, sine in zip(candidates, askew, strict=True) if sine > _ASKEW]
    return good[0] if good else candidates[int(np.argmax(askew))]


def _post(
    along: Float64[np.ndarray, "frames 3"],
    up: Float64[np.ndarray, "3"],
    turn_rad: Float64[np.ndarray, "frames"],
) -> Float64[np.ndarray, "frames 3"]:
    """Unit direction of the light post, square to a line; upwards at 0, then clockwise."""
    upwards = unit(up - (along @ up)[:, None] * along)
    c, s = np.cos(turn_rad)[:, None], np.sin(turn_rad)[:, None]
    return np.asarray(c * upwards + s * np.cross(along, upwards))


def _towards(
    gaze_mm: Float64[np.ndarray, "frames 3"],
    distance_mm: Float64[np.ndarray, "frames"],
    post: Float64[np.ndarray, "frames 3"],
    oblique_rad: float,
) -> tuple[
    Float64[np.ndarray, "frames 3"], Float64[np.ndarray, "frames 3"], Float64[np.ndarray, "frames"]
]:
    """Shaft, view and depth that put a lens at a distance from what it looks at.

    Port, lens and point are the corners of a triangle whose angle at the lens is 180 degrees less
    the oblique angle. The lens stands off the line from port to point, on the light post's side.

    Args:
        gaze_mm: The points from the port.
        distance_mm: From the lens to them; less where the port is near.
        post: Unit direction of the light post, square to the gaze.
        oblique_rad: Angle between shaft and view.

    Returns:
        Unit directions of shaft and view, and the lens's depth behind the port, mm.
    """
    length = np.linalg.norm(gaze_mm, axis=1)
    distance = smooth_below(np.minimum(distance_mm, length - _LEAST_IN_MM), _SMOOTH)
    if distance.min() <= 0:
        raise SceneError(
            f"a laparoscope's port must be more than {_LEAST_IN_MM:g} mm from what it looks at, "
            f"got {length.min():.1f} mm; choose another port or target"
        )
    ahead = gaze_mm / length[:, None]
    beside = distance * np.sin(oblique_rad)
    depth = np.sqrt(length**2 - beside**2) - distance * np.cos(oblique_rad)
    sine = (beside / length)[:, None]
    shaft = np.sqrt(1 - sine**2) * ahead + sine * post
    view = unit(gaze_mm - depth[:, None] * shaft)
    return shaft, view, depth


def _depth_in_room(
    port: Target,
    shaft: Float64[np.ndarray, "frames 3"],
    depth_mm: Float64[np.ndarray, "frames"],
    around: Around,
    settings: LaparoscopeSettings,
) -> Float64[np.ndarray, "frames"]:
    """The depth, or less where the shaft would meet tissue or the lens come too near to it."""
    start = port.point_mm + _DOOR_MM * shaft
    longest = np.maximum(depth_mm - _DOOR_MM, 0.0)
    clearance = settings.shaft_clearance_mm
    depth = _DOOR_MM + free_way(around.room.tissue, start, shaft, longest, clearance)
    rows = np.arange(len(depth))
    for _ in range(_RETREATS):
        place = port.point_mm + depth[rows, None] * shaft[rows]
        missing = settings.clearance_mm - around.clear_of(place, rows - 1, settings.clearance_mm)
        rows, missing = rows[missing > 0], missing[missing > 0]
        if not len(rows) or depth.min() < _LEAST_IN_MM:
            break
        depth[rows] -= missing + 0.05
    depth = depth_mm + smooth_below(np.minimum(depth - depth_mm, 0.0), _SMOOTH)
    if depth.min() < _LEAST_IN_MM:
        raise SceneError(
            f"a laparoscope through port {port.name!r} must reach at least {_LEAST_IN_MM:g} mm "
            f"into the room, but tissue stops it at {max(float(depth.min()), 0.0):.1f} mm; choose "
            "another port, or lower trajectory.clearance_mm or shaft_clearance_mm"
        )
    return np.asarray(depth, dtype=np.float64)


def _shaft_poses(
    tip_mm: Float64[np.ndarray, "frames 3"],
    shaft: Float64[np.ndarray, "frames 3"],
    post: Float64[np.ndarray, "frames 3"],
) -> Float64[np.ndarray, "frames 4 4"]:
    """world_from_shaft: z along the shaft, y towards the light post, origin at the lens."""
    poses = np.tile(np.eye(4), (len(tip_mm), 1, 1))
    post = unit(post - (post * shaft).sum(1, keepdims=True) * shaft)
    poses[:, :3, 0], poses[:, :3, 1] = np.cross(post, shaft), post
    poses[:, :3, 2], poses[:, :3, 3] = shaft, tip_mm
    return poses

# SPDX-License-Identifier: Apache-2.0
"""A camera that circles about a target: arcs, dwelling, coming near and drawing back.

`sample_inspection` draws a hand; `circle` is a pure function of that draw, a target and the tissue.
"""

from dataclasses import dataclass
from itertools import product
from statistics import NormalDist

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import draw
from endoforge.errors import SceneError
from endoforge.geometry.poses import rotation_between
from endoforge.scene.anatomy.curves import unit
from endoforge.scene.paths.aim import Unrest, in_disc, in_range, poses_looking, sample_unrest
from endoforge.scene.paths.room import Room
from endoforge.scene.paths.safety import check_clear, clear_of, free_way, smooth_below
from endoforge.scene.paths.settings import InspectionSettings
from endoforge.scene.paths.targets import Target

_FAST = (3.0, 9.0)  # periods of tremor, frames
_SLOW = (60.0, 240.0)  # periods of distance, view and roll, frames
_PACE = (30.0, 120.0)  # periods of resting and moving, frames
_BLOCK = 25  # frames: a retreat begins in a block or not
_RETREAT = (15.0, 40.0)  # frames of a retreat
_NARROWER = (1.0, 0.75, 0.5, 0.3, 0.15, 0.0)  # shares of the arc that are tried in turn
_ASIDE_MM = (0.0, 8.0, 16.0, 24.0)  # what is kept clear besides, where tissue comes nearer in time
_SMOOTH = 6.0  # frames over which a path gives way to tissue
_PUSHES = 40
_SHORTEST = 0.25  # a camera pushed nearer than this share of its distance takes narrower arcs


@dataclass(frozen=True, eq=False)
class Inspection:
    """Everything random about one inspection.

    Attributes:
        poses: How many poses it is for.
        distance_mm: From the lens to the target when far.
        nearer: Share of that when near.
        arc_rad: Largest angle between view and the target's normal.
        dwell: Share of the time at rest.
        retreats: Begin and length of each retreat, frames.
        retreat: Distance in a retreat, times the usual one.
        off_centre_rad: Largest turn of the view away from the target.
        roll_rad: Rotation at the start, and how far it changes.
        tremor_mm: Fast unsteadiness of the tip.
        tremor_rad: Fast turning of the view.
        arcs: Where on the arcs (2), over the time that is not spent at rest.
        pace: When it rests (1).
        slow: Distance (1), view (2) and roll (1).
        fast: Tremor of the tip (3) and the view (2).
    """

    poses: int
    distance_mm: float
    nearer: float
    arc_rad: float
    dwell: float
    retreats: tuple[tuple[float, float], ...]
    retreat: float
    off_centre_rad: float
    roll_rad: tuple[float, float]
    tremor_mm: float
    tremor_rad: float
    arcs: Unrest
    pace: Unrest
    slow: Unrest
    fast: Unrest


def inspect(
    room: Room, settings: InspectionSettings, rng: np.random.Generator, frames: int
) -> Float64[np.ndarray, "poses 4 4"]:
    """Draw a path that inspects one of a room's targets.

    Args:
        room: The anatomy.
        settings: What is looked at, and how.
        rng: Random numbers of this one path.
        frames: Number of frames.

    Returns:
        camera_from_world of frame -1, of each frame, and of the one after the last.

    Raises:
        SceneError: There is no such target, or tissue leaves no room in front of it.
    """
    target = room.any_target(settings.target, rng)
    hand = sample_inspection(settings, rng, frames + 2)
    return circle(target, hand, settings, room)


def sample_inspection(
    settings: InspectionSettings, rng: np.random.Generator, poses: int
) -> Inspection:
    """Draw a hand; one for more poses begins in the same way."""
    arc = np.radians(draw(settings.arc_deg, rng))
    speed = np.radians(draw(settings.speed_deg, rng))
    period = 2 * np.pi * max(float(arc), 0.02) / float(speed)
    numbers = {
        name: draw(getattr(settings, name), rng)
        for name in ("distance_mm", "nearer", "dwell", "retreat", "tremor_mm")
    }
    often = draw(settings.retreats, rng)
    off_centre, roll, tremor = (
        float(np.radians(draw(angle, rng)))
        for angle in (settings.off_centre_deg, settings.roll_deg, settings.tremor_deg)
    )
    start = 0.0 if settings.upright else float(rng.uniform(0, 2 * np.pi))
    return Inspection(
        poses=poses,
        arc_rad=float(arc),
        off_centre_rad=off_centre,
        roll_rad=(start, roll),
        tremor_rad=tremor,
        arcs=sample_unrest(rng, 2, (0.7 * period, 1.6 * period)),
        pace=sample_unrest(rng, 1, _PACE),
        slow=sample_unrest(rng, 4, _SLOW),
        fast=sample_unrest(rng, 5, _FAST),
        retreats=_sample_retreats(rng, often, poses),
        **numbers,
    )


def circle(
    target: Target, hand: Inspection, settings: InspectionSettings, room: Room
) -> Float64[np.ndarray, "poses 4 4"]:
    """Apply a drawn hand to a target; no randomness is left.

    The camera gives way to tissue along its line of sight, so that the target stays in view. Where
    that would bring it far too near, the arcs are narrowed.

    Raises:
        SceneError: Even straight in front of the target there is no room.
    """
    time = np.arange(hand.poses, dtype=np.float64)
    slow, fast = hand.slow.at(time), hand.fast.at(time)
    wanted = _distance(hand, time, slow[:, 0])
    moving = _moving_time(hand, time)
    least = settings.clearance_mm + 3 * hand.tremor_mm
    tissue = room.in_time(hand.poses - 2)
    frames = np.arange(hand.poses) - 1
    for aside, share in product(_ASIDE_MM, _NARROWER):
        lean = share * hand.arc_rad * in_disc(hand.arcs.at(moving))
        directions = _directions(target.normal, lean)
        reach = _reach(target, directions, wanted, room, least + aside)
        if reach is not None:
            places = target.point_mm + reach[:, None] * directions
            if (tissue.clear_of(places, frames, least) >= least).all():
                break
    else:
        raise SceneError(
            f"a camera in front of target {target.name!r} must keep {settings.clearance_mm:g} mm "
            f"clear of tissue, but up to {wanted.min():.1f} mm away there is no such room; lower "
            "trajectory.clearance_mm or choose another target"
        )
    tremor = np.clip(fast[:, :3], -1.7, 1.7) * hand.tremor_mm
    position = target.point_mm + reach[:, None] * directions + tremor
    check_clear(position, room, settings.clearance_mm, moving=tissue)
    turn = hand.off_centre_rad * in_disc(slow[:, 1:3]) + hand.tremor_rad * fast[:, 3:5]
    roll = hand.roll_rad[0] + hand.roll_rad[1] * slow[:, 3]
    ahead = np.broadcast_to(target.point_mm, position.shape)
    side = np.broadcast_to(_side(target.normal), position.shape)
    return poses_looking(position, np.array(ahead), np.array(side), turn, roll)


def _reach(
    target: Target,
    directions: Float64[np.ndarray, "frames 3"],
    wanted: Float64[np.ndarray, "frames"],
    room: Room,
    least: float,
) -> Float64[np.ndarray, "frames"] | None:
    """Distance from the target at each frame, as wanted or as far as tissue allows; None if not."""
    start = np.full(len(wanted), least)
    for _ in range(_PUSHES):
        apart = clear_of(target.point_mm + start[:, None] * directions, room.tissue)
        if (apart >= least).all():
            break
        start += np.where(apart < least, np.maximum(least - apart, 0.1), 0.0)
    else:
        return None
    start = -smooth_below(-start, _SMOOTH)  # nowhere nearer than that
    places = target.point_mm + start[:, None] * directions
    if (clear_of(places, room.tissue) < least).any() or not room.holds(places).all():
        return None
    free = free_way(room.tissue, places, directions, np.maximum(wanted - start, 0.0), least)
    reach = start + smooth_below(free, _SMOOTH)
    return reach if (reach >= _SHORTEST * wanted).all() else None


def _sample_retreats(
    rng: np.random.Generator, often: float, poses: int
) -> tuple[tuple[float, float], ...]:
    """When the camera draws back, and for how long, frames."""
    found: list[tuple[float, float]] = []
    free = 0.0
    for block in range(0, poses, _BLOCK):
        happens, within, length = rng.random(3).tolist()
        begin = block + within * _BLOCK
        if happens < often * _BLOCK / 100.0 and begin >= free:
            found.append((begin, _RETREAT[0] + length * (_RETREAT[1] - _RETREAT[0])))
            free = begin + found[-1][1]
    return tuple(found)


def _distance(
    hand: Inspection, time: Float64[np.ndarray, "frames"], slow: Float64[np.ndarray, "frames"]
) -> Float64[np.ndarray, "frames"]:
    """Wanted distance to the target at each frame, mm."""
    near = np.log(hand.nearer) * in_range(slow)
    away = np.zeros(len(time))
    for begin, length in hand.retreats:
        share = np.clip((time - begin) / length, 0, 1)
        away += np.sin(np.pi * share) ** 2
    return np.asarray(hand.distance_mm * np.exp(near + np.log(hand.retreat) * away))


def _moving_time(
    hand: Inspection, time: Float64[np.ndarray, "frames"]
) -> Float64[np.ndarray, "frames"]:
    """Time that is not spent at rest, frames."""
    if hand.dwell == 0:
        return time
    at_rest = NormalDist().inv_cdf(hand.dwell)  # the pace is below this for that share of the time
    restless = 0.5 + 0.5 * np.tanh(4 * (hand.pace.at(time)[:, 0] - at_rest))
    return np.asarray(np.cumsum(restless) - restless[0], dtype=np.float64)


def _directions(
    normal: Float64[np.ndarray, "3"], lean: Float64[np.ndarray, "frames 2"]
) -> Float64[np.ndarray, "frames 3"]:
    """Unit directions that lean away from a normal by an angle towards two sides."""
    angle = np.linalg.norm(lean, axis=1, keepdims=True)
    across = lean / np.maximum(angle, 1e-12)
    local = np.concatenate([np.sin(angle) * across, np.cos(angle)], axis=1)
    return unit(local @ rotation_between(np.array([0.0, 0.0, 1.0]), normal).T)


def _side(normal: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3"]:
    """A direction that is square to the normal, horizontal where the world's y is up."""
    side = np.cross([0.0, 1.0, 0.0], normal)
    if np.linalg.norm(side) < 0.2:
        side = np.cross([0.0, 0.0, 1.0], normal)
    return unit(side)

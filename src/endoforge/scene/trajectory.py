# SPDX-License-Identifier: Apache-2.0
"""The camera's path: a hand-held tip that follows a centre line, sways, trembles and looks about.

`sample_motion` draws a hand; `steer` is a pure function of that draw and the centre line.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import Choice, draw
from endoforge.errors import SceneError
from endoforge.scene.anatomy.curves import arc_length, transport_frames, unit
from endoforge.scene.paths.aim import Unrest, in_disc, poses_looking, sample_unrest
from endoforge.scene.records import Centreline
from endoforge.scene.settings import TrajectorySettings

_AHEAD_MM = 25.0  # how far along the lumen an unturned view looks
_SHORTEST_MM = 10.0
_SLOW = (60.0, 240.0)  # periods of sway and view, frames
_FAST = (3.0, 9.0)  # periods of tremor, frames


@dataclass(frozen=True, eq=False)
class Motion:
    """Everything random about one path.

    Attributes:
        inward: +1 towards the caecum, -1 back out.
        start: Where it begins, share of the passable stretch.
        stretch: Which passable stretch, share of their total length.
        speed_mm: Mean way per frame.
        sway: Share of the free way that the tip uses.
        view_rad: Largest turn of the view away from the course.
        tremor_mm: Fast unsteadiness of the tip.
        tremor_rad: Fast unsteadiness of the view.
        roll_rad: Rotation about the view at the start, and how far it changes.
        slow: Pace (1), sway (2), view (2) and roll (1).
        fast: Tremor of the tip (3) and the view (2).
    """

    inward: int
    start: float
    stretch: float
    speed_mm: float
    sway: float
    view_rad: float
    tremor_mm: float
    tremor_rad: float
    roll_rad: tuple[float, float]
    slow: Unrest
    fast: Unrest


def fly_through(
    centreline: Centreline, settings: TrajectorySettings, rng: np.random.Generator, frames: int
) -> Float64[np.ndarray, "poses 4 4"]:
    """Draw a path through a lumen.

    Args:
        centreline: Where the camera may go.
        settings: How it moves.
        rng: Random numbers of this one path.
        frames: Number of frames.

    Returns:
        camera_from_world of each frame and of the one after the last, so that flow is known
        everywhere; `frames` + 1 in all.

    Raises:
        SceneError: The lumen is nowhere wide enough for the asked clearance.
    """
    return steer(centreline, sample_motion(settings, rng), settings.clearance_mm, frames)


def sample_motion(settings: TrajectorySettings, rng: np.random.Generator) -> Motion:
    """Draw a hand."""
    either = int(rng.choice([1, -1]))
    direction = settings.direction
    if isinstance(direction, Choice):
        direction = direction.pick(rng)
    return Motion(
        inward={"insertion": 1, "withdrawal": -1, "either": either}[direction],
        start=draw(settings.start, rng),
        stretch=float(rng.random()),
        speed_mm=draw(settings.speed_mm, rng),
        sway=draw(settings.sway, rng),
        view_rad=float(np.radians(draw(settings.view_angle_deg, rng))),
        tremor_mm=draw(settings.tremor_mm, rng),
        tremor_rad=float(np.radians(draw(settings.tremor_deg, rng))),
        roll_rad=(
            float(rng.uniform(0, 2 * np.pi)),
            float(np.radians(draw(settings.roll_deg, rng))),
        ),
        slow=sample_unrest(rng, 6, _SLOW),
        fast=sample_unrest(rng, 5, _FAST),
    )


def steer(
    centreline: Centreline, motion: Motion, clearance_mm: float, frames: int
) -> Float64[np.ndarray, "poses 4 4"]:
    """Apply a drawn motion to a centre line; no randomness is left.

    The ball around a centre line point that touches the nearest wall holds no tissue, so a tip
    that leaves the line by less than the ball's radius less the clearance keeps the clearance.

    Returns:
        camera_from_world, `frames` + 1 poses.

    Raises:
        SceneError: The lumen is nowhere wide enough for the asked clearance.
    """
    time = np.arange(frames + 1, dtype=np.float64)
    slow, fast = motion.slow.at(time), motion.fast.at(time)
    first, last = _passable(centreline, clearance_mm, motion.stretch)
    way = _way(motion, last - first, slow[:, 0]) + first
    course = _course(centreline, way)
    room = np.maximum(course.radius_mm - _half_step(centreline) - clearance_mm, 0.0)
    offset = motion.sway * room[:, None] * in_disc(slow[:, 1:3])
    offset = offset[:, :1] * course.side + offset[:, 1:] * course.up
    offset = _at_most(offset + motion.tremor_mm * fast[:, :3], room)
    position = course.points_mm + offset
    turn = motion.view_rad * in_disc(slow[:, 3:5]) + motion.tremor_rad * fast[:, 3:5]
    roll = motion.roll_rad[0] + motion.roll_rad[1] * slow[:, 5]
    return poses_looking(position, course.ahead_mm, course.side, turn, roll)


@dataclass(frozen=True, eq=False)
class _Course:
    """The centre line at each frame: place, room, the point ahead, and directions across."""

    points_mm: Float64[np.ndarray, "frames 3"]
    radius_mm: Float64[np.ndarray, "frames"]
    ahead_mm: Float64[np.ndarray, "frames 3"]
    side: Float64[np.ndarray, "frames 3"]
    up: Float64[np.ndarray, "frames 3"]


def _half_step(centreline: Centreline) -> float:
    """What the distance to the wall may lose between two points of the line, mm."""
    return 0.5 * centreline.length_mm / max(len(centreline.points_mm) - 1, 1)


def _passable(centreline: Centreline, clearance_mm: float, draw: float) -> tuple[float, float]:
    """Pick a stretch of the line that keeps the clearance; longer ones are likelier, mm."""
    way = arc_length(centreline.points_mm)
    wide = centreline.radius_mm >= clearance_mm + _half_step(centreline)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wide, [False]]).astype(np.int8)))
    stretches = [(way[a], way[b - 1]) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    stretches = [(a, b) for a, b in stretches if b - a >= _SHORTEST_MM]
    if not stretches:
        raise SceneError(
            f"no {_SHORTEST_MM} mm of the lumen keep {clearance_mm} mm clear of the wall: its "
            f"radius is at most {centreline.radius_mm.max():.1f} mm; lower trajectory.clearance_mm"
        )
    lengths = np.cumsum([b - a for a, b in stretches])
    chosen = stretches[int(np.searchsorted(lengths, draw * lengths[-1], side="right"))]
    return float(chosen[0]), float(chosen[1])


def _way(
    motion: Motion, length_mm: float, pace: Float64[np.ndarray, "frames"]
) -> Float64[np.ndarray, "frames"]:
    """Place along the stretch at each frame; at its ends the tip turns back."""
    steps = motion.speed_mm * np.clip(1.0 + 0.45 * pace[:-1], 0.05, None)
    travel = np.concatenate([[0.0], np.cumsum(steps)])
    spare = max(length_mm - travel[-1], 0.0)
    start = motion.start * spare if spare > 0 else motion.start * length_mm
    way = start + travel
    folded = np.abs((way + length_mm) % (2 * length_mm) - length_mm)
    return folded if motion.inward > 0 else length_mm - folded


def _course(centreline: Centreline, way_mm: Float64[np.ndarray, "frames"]) -> _Course:
    points, way = centreline.points_mm, arc_length(centreline.points_mm)
    frames = transport_frames(points)

    def at(values: Float64[np.ndarray, "points 3"], where: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(where, way, values[:, k]) for k in range(3)], axis=1)

    beyond = np.maximum(way_mm + _AHEAD_MM - way[-1], 0.0)[:, None]
    return _Course(
        points_mm=at(points, way_mm),
        radius_mm=np.interp(way_mm, way, centreline.radius_mm),
        ahead_mm=at(points, way_mm + _AHEAD_MM) + beyond * frames.tangent[-1],
        side=unit(at(frames.side, way_mm)),
        up=unit(at(frames.up, way_mm)),
    )


def _at_most(
    vectors: Float64[np.ndarray, "frames 3"], longest: Float64[np.ndarray, "frames"]
) -> Float64[np.ndarray, "frames 3"]:
    length = np.linalg.norm(vectors, axis=1)
    return np.asarray(vectors * np.minimum(1.0, longest / np.maximum(length, 1e-12))[:, None])

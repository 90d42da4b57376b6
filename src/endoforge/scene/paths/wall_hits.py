# SPDX-License-Identifier: Apache-2.0
"""Moments in which the tip of a scope runs into the wall: it turns there, touches it, sees red."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import draw
from endoforge.geometry.poses import rotation_from_vector
from endoforge.scene.anatomy.curves import unit
from endoforge.scene.paths.aim import centres_of
from endoforge.scene.paths.in_time import InTime
from endoforge.scene.paths.room import Tissue
from endoforge.scene.paths.safety import STILL, free_way, smooth_below
from endoforge.scene.settings import TrajectorySettings

_PER_FRAMES = 100.0
_BLOCK = 20  # frames: a hit begins in a block or not, whatever the sequence's length
_RUN = (10.0, 24.0)  # frames on the way to the wall, and back
_REST = (2.0, 14.0)  # frames at the wall
_ASIDE = (0.8, 1.4)  # angle from the view to the place that is hit, rad
_FACING = 0.85  # share of that angle by which the view turns along
_FARTHEST_MM = 45.0
_RETREATS = 20


@dataclass(frozen=True)
class WallHit:
    """One contact with the wall.

    Attributes:
        begin: Frame at which the tip leaves its path.
        run: Frames on the way there, and on the way back.
        rest: Frames at the wall.
        aside_rad: Angle between the view and the way to the wall.
        around_rad: Direction of that way about the view.
        touch_mm: Distance that is left between lens and wall.
    """

    begin: float
    run: float
    rest: float
    aside_rad: float
    around_rad: float
    touch_mm: float

    def share(self, time: Float64[np.ndarray, "frames"]) -> Float64[np.ndarray, "frames"]:
        """How far the tip is on its way to the wall at each frame, 0 to 1."""
        up = np.clip((time - self.begin) / self.run, 0, 1)
        down = np.clip((time - self.begin - self.run - self.rest) / self.run, 0, 1)
        share = _ease(up) - _ease(down)
        return np.asarray(share, dtype=np.float64)


def sample_hits(
    settings: TrajectorySettings, rng: np.random.Generator, frames: int
) -> tuple[WallHit, ...]:
    """Draw the contacts of one path; a longer path begins with the same ones.

    Args:
        settings: How often and how near.
        rng: Random numbers of the contacts alone.
        frames: Number of poses.
    """
    often, touch = draw(settings.wall_hits, rng), draw(settings.touch_mm, rng)
    hits: list[WallHit] = []
    free = 0.0
    for block in range(0, frames, _BLOCK):
        happens, within, run, rest, aside, around = rng.random(6).tolist()
        begin = max(block + within * _BLOCK, free)
        if happens >= often * _BLOCK / _PER_FRAMES:
            continue
        run, rest = _between(_RUN, run), _between(_REST, rest)
        aside = _between(_ASIDE, aside)
        hits.append(WallHit(begin, run, rest, aside, 2 * np.pi * around, touch))
        free = begin + 2 * run + rest
    return tuple(hits)


def with_hits(
    poses: Float64[np.ndarray, "poses 4 4"],
    hits: tuple[WallHit, ...],
    tissue: Tissue,
    moving: InTime = STILL,
) -> Float64[np.ndarray, "poses 4 4"]:
    """Let the tip leave its path towards the wall; it never enters the wall.

    Args:
        poses: camera_from_world of frames -1, 0, … of a path that is clear of the wall.
        hits: Contacts; they do not overlap.
        tissue: The wall at rest.
        moving: The wall in time, if it moves.
    """
    result = poses.copy()
    time = np.arange(len(poses), dtype=np.float64)
    for hit in hits:
        share = hit.share(time)
        where = np.flatnonzero(share > 0)
        if len(where):
            there = partial(moving.clear_of, frames=where - 1, within_mm=hit.touch_mm)
            result[where] = _deflected(poses[where], share[where], hit, tissue, there)
    return result


def _deflected(
    poses: Float64[np.ndarray, "frames 4 4"],
    share: Float64[np.ndarray, "frames"],
    hit: WallHit,
    tissue: Tissue,
    clear_then: Callable[[Float64[np.ndarray, "frames 3"]], Float64[np.ndarray, "frames"]],
) -> Float64[np.ndarray, "frames 4 4"]:
    """Move each camera by its share of the free way, and turn it by its share of the angle."""
    middle = poses[int(share.argmax()), :3, :3]
    across = np.cos(hit.around_rad) * middle[0] + np.sin(hit.around_rad) * middle[1]
    way = unit(np.cos(hit.aside_rad) * middle[2] + np.sin(hit.aside_rad) * across)
    centres = centres_of(poses)
    towards = np.broadcast_to(way, centres.shape)
    longest = np.full(len(poses), _FARTHEST_MM)
    free = free_way(tissue, centres, np.array(towards), longest, hit.touch_mm)
    for _ in range(_RETREATS):
        moved = centres + (share * smooth_below(free, 1.0))[:, None] * way
        missing = hit.touch_mm - clear_then(moved)
        if (missing <= 0).all():
            break
        free = np.where(missing > 0, np.maximum(free - missing - 0.1, 0.0), free)
    result = poses.copy()
    for k, s in enumerate(share):
        axis = np.cross(poses[k, 2, :3], way)
        sine, cosine = np.linalg.norm(axis), float(poses[k, 2, :3] @ way)
        angle = _FACING * s * np.arctan2(sine, cosine)
        turn = rotation_from_vector(angle * axis / max(float(sine), 1e-12))
        result[k, :3, :3] = poses[k, :3, :3] @ turn.T
        result[k, :3, 3] = -result[k, :3, :3] @ moved[k]
    return result


def _ease(share: Float64[np.ndarray, "frames"]) -> Float64[np.ndarray, "frames"]:
    return np.asarray(share**3 * (10 - 15 * share + 6 * share**2), dtype=np.float64)


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + share * (ends[1] - ends[0])

# SPDX-License-Identifier: Apache-2.0
"""Unordered views of a region, as the laparoscopy paper simulates them: each frame stands alone.

Neighbouring frames share nothing, so flow between them would mean nothing. Each view therefore has
a moment before and one after of its own, a small movement of the hand away; flow leads there.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from endoforge.distributions import draw, ends_of
from endoforge.errors import SceneError
from endoforge.geometry.poses import pose_from, rotation_between, rotation_from_vector
from endoforge.scene.anatomy.curves import unit
from endoforge.scene.paths.aim import poses_looking
from endoforge.scene.paths.in_time import InTime
from endoforge.scene.paths.room import Room
from endoforge.scene.paths.safety import clear_of, free_way
from endoforge.scene.paths.settings import ViewsSettings
from endoforge.scene.paths.targets import Target

_TRIES = 96
_BLOCK = 4  # tries that are judged at once
_SIGHT_MM = 0.5  # how thick a line of sight is
_SEEN = 0.75  # share of the way to what is looked at that must be free


@dataclass(frozen=True, eq=False)
class ViewDraw:
    """Everything random about one view, with several tries for its place.

    Attributes:
        direction: Unit directions from the region towards the camera, in the target's frame.
        distance_mm: From the camera to what it looks at.
        place: Which point is looked at, in the target's frame, share of its radius.
        off_centre_rad: Turn of the view away from it, to the right and downwards.
        roll_rad: Tilt of the horizon.
        hand_mm: Shift of the camera to the moment after, in its own frame.
        hand_rad: Its turn.
    """

    direction: Float64[np.ndarray, "tries 3"]
    distance_mm: Float64[np.ndarray, "tries"]
    place: Float64[np.ndarray, "tries 2"]
    off_centre_rad: Float64[np.ndarray, "2"]
    roll_rad: float
    hand_mm: Float64[np.ndarray, "3"]
    hand_rad: Float64[np.ndarray, "3"]


def scatter_views(
    room: Room, settings: ViewsSettings, rng: np.random.Generator, frames: int
) -> Float64[np.ndarray, "frames 3 4 4"]:
    """Draw views all over a volume in front of a target.

    Positions are even in direction within the cone and follow the distance's distribution. Those
    too near to tissue, and those from which tissue hides what is looked at, are drawn again.

    Args:
        room: The anatomy.
        settings: The volume and what is looked at.
        rng: Random numbers of these views.
        frames: Number of views.

    Returns:
        camera_from_world of the moment before, of the view, and of the moment after.

    Raises:
        SceneError: There is no such target, or no room in front of it.
    """
    chosen, draws = [], []
    for _ in range(frames):
        chosen.append(room.any_target(settings.target, rng))
        draws.append(sample_view(settings, rng))
    return place_views(chosen, draws, room, settings)


def sample_view(settings: ViewsSettings, rng: np.random.Generator) -> ViewDraw:
    """Draw one view."""
    cosine = rng.uniform(np.cos(np.radians(settings.cone_deg)), 1.0, _TRIES)
    around, sine = rng.uniform(0, 2 * np.pi, _TRIES), np.sqrt(1 - cosine**2)
    aside, outwards = rng.uniform(0, 2 * np.pi, _TRIES), np.sqrt(rng.random(_TRIES))
    spread = np.array([draw(settings.spread, rng) for _ in range(_TRIES)]) * outwards
    return ViewDraw(
        direction=np.stack([sine * np.cos(around), sine * np.sin(around), cosine], axis=1),
        distance_mm=np.array([draw(settings.distance_mm, rng) for _ in range(_TRIES)]),
        place=spread[:, None] * np.stack([np.cos(aside), np.sin(aside)], axis=1),
        off_centre_rad=np.radians(draw(settings.off_centre_deg, rng)) * _any_way(rng)[:2],
        roll_rad=float(np.radians(draw(settings.roll_deg, rng))),
        hand_mm=draw(settings.hand_mm, rng) * unit(_any_way(rng)),
        hand_rad=np.radians(draw(settings.hand_deg, rng)) * unit(_any_way(rng)),
    )


def place_views(
    targets: list[Target], draws: list[ViewDraw], room: Room, settings: ViewsSettings
) -> Float64[np.ndarray, "frames 3 4 4"]:
    """Take the first try of each view that has room and a free sight; no randomness is left.

    Raises:
        SceneError: A view has none.
    """
    least = settings.clearance_mm + ends_of(settings.hand_mm)[1]
    turns = np.stack([rotation_between(np.array([0.0, 0.0, 1.0]), t.normal) for t in targets])
    middle = np.stack([t.point_mm for t in targets])[:, None]
    radius = np.array([t.radius_mm for t in targets])[:, None, None]
    flat = np.stack([np.pad(d.place, ((0, 0), (0, 1))) for d in draws])
    ahead = middle + np.einsum("fij,ftj->fti", turns, radius * flat)
    away = np.einsum("fij,ftj->fti", turns, np.stack([d.direction for d in draws]))
    position = ahead + away * np.stack([d.distance_mm for d in draws])[..., None]
    good = _good(position, ahead, room, least)
    if not good.any(axis=1).all():
        worst = int(np.argmin(good.any(axis=1)))
        raise SceneError(
            f"views of {targets[worst].name!r} need places {settings.clearance_mm:g} mm clear of "
            f"tissue with a free sight of it, but {_TRIES} tries for frame {worst} found none; "
            "lower trajectory.clearance_mm or distance_mm, or narrow cone_deg"
        )
    pick = good.argmax(axis=1), np.arange(len(draws))
    eye, point = position[pick[1], pick[0]], ahead[pick[1], pick[0]]
    side = np.stack([_level(p - e, t.normal) for e, p, t in zip(eye, point, targets, strict=True)])
    turn = np.stack([d.off_centre_rad for d in draws])
    here = poses_looking(eye, point, side, turn, np.array([d.roll_rad for d in draws]))
    return np.stack([_moments(pose, draw_) for pose, draw_ in zip(here, draws, strict=True)])


def _good(
    position: Float64[np.ndarray, "frames tries 3"],
    ahead: Float64[np.ndarray, "frames tries 3"],
    room: Room,
    least: float,
) -> np.ndarray:
    """Which places are clear of tissue and see at least most of the way to what they look at.

    Of places behind the first good one not all are judged.
    """
    moving = room.in_time(len(position))
    good = np.zeros(position.shape[:2], dtype=bool)
    for first in range(0, position.shape[1], _BLOCK):  # in turn: most views need few tries
        rows = np.flatnonzero(~good.any(axis=1))
        if not len(rows):
            break
        block = slice(first, first + _BLOCK)
        eye, point = position[rows, block], ahead[rows, block]
        eye, point = eye.reshape(-1, 3), point.reshape(-1, 3)
        clear = clear_of(eye, room.tissue) >= least
        clear[clear] = room.holds(eye[clear])
        way = point[clear] - eye[clear]
        length = np.linalg.norm(way, axis=1)
        seen = free_way(room.tissue, eye[clear], unit(way), length, _SIGHT_MM)
        clear[clear] = seen >= _SEEN * length
        found = clear.reshape(len(rows), -1)
        good[rows, block] = _good_in_time(found, position[rows, block], rows, moving, least)
    return good


def _good_in_time(
    good: Bool[np.ndarray, "frames tries"],
    position: Float64[np.ndarray, "frames tries 3"],
    frames: Int64[np.ndarray, "frames"],
    moving: InTime,
    least: float,
) -> Bool[np.ndarray, "frames tries"]:
    """Take out tries that something comes too near to at their own frame, up to the first good."""
    good = good.copy()
    asked = np.flatnonzero(good.any(axis=1))
    while len(asked):
        first = good[asked].argmax(axis=1)
        near = moving.clear_of(position[asked, first], frames[asked], least) < least
        good[asked[near], first[near]] = False
        asked = asked[near & good[asked].any(axis=1)]
    return good


def _moments(pose: Float64[np.ndarray, "4 4"], view: ViewDraw) -> Float64[np.ndarray, "3 4 4"]:
    """The view between the moments before and after: the hand moves on evenly."""
    turn = rotation_from_vector(view.hand_rad)
    after = pose_from(turn, -turn @ view.hand_mm)
    before = pose_from(turn.T, view.hand_mm)
    return np.stack([before @ pose, pose, after @ pose])


def _level(
    view: Float64[np.ndarray, "3"], normal: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "3"]:
    """What is to the right in a level picture: the world's y is up, or its z where that fails."""
    for up in np.eye(3)[[1, 2]]:
        side = np.cross(unit(view), up)
        if np.linalg.norm(side) > 0.3:
            break
    return unit(side)


def _any_way(rng: np.random.Generator) -> Float64[np.ndarray, "3"]:
    """A direction in the plane of the picture, with a part along the view."""
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle), rng.uniform(-0.5, 0.5)])

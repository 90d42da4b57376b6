# SPDX-License-Identifier: Apache-2.0
"""The course of a drawn colon through the abdomen.

World frame of the drawn colon: x to the patient's left, y to the back, z to the head, mm.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.interpolate import CubicSpline

from endoforge.distributions import Choice, draw
from endoforge.errors import SceneError
from endoforge.scene.anatomy.curves import (
    CurveFrames,
    arc_length,
    curvature,
    resample,
    smooth,
    transport_frames,
    unit,
)
from endoforge.scene.anatomy.segments import first_place, profile_at
from endoforge.scene.anatomy.settings import ColonSettings

#: Corner points of the course from the anus to the caecum, mm.
_COURSE = np.array(
    [
        (0, 60, -170), (0, 78, -130), (5, 55, -95),  # rectum
        (42, 15, -112), (25, -38, -75), (-38, -20, -62), (-20, 38, -25), (45, 38, -38),  # sigmoid
        (98, 12, -60), (125, 28, -10), (132, 45, 50), (135, 52, 110), (122, 40, 158),  # descending
        (92, -12, 135), (50, -50, 98), (0, -62, 75), (-45, -52, 90), (-92, -15, 122),  # transverse
        (-120, 28, 122), (-128, 45, 75), (-130, 42, 20), (-120, 25, -40), (-108, 10, -75),
    ],
    dtype=np.float64,
)  # fmt: skip

_STEP_MM = 3.0
_SPACE_MM = 5.0  # tissue between two loops that lie side by side
_TRIES = 8
_ROUNDS = 240
_STRIDE = 3  # only every third point looks for other loops
_PUSH = 3.0  # makes up for the points between, which are not pushed


@dataclass(frozen=True, eq=False)
class Route:
    """The axis of one piece of colon, equally spaced, from the anus's side to the caecum's.

    Attributes:
        points_mm: World positions, mm.
        step_mm: Way between neighbours, mm.
        radius_mm: Radius of the lumen between its folds, mm.
        place: Place of each point in the whole colon, 0 the anus to 1 the caecum's pole.
        frames: Directions along and across the axis at each point.
    """

    points_mm: Float64[np.ndarray, "points 3"]
    step_mm: float
    radius_mm: Float64[np.ndarray, "points"]
    place: Float64[np.ndarray, "points"]
    frames: CurveFrames

    @property
    def length_mm(self) -> float:
        """Way along the axis, mm."""
        return self.step_mm * (len(self.points_mm) - 1)

    @property
    def way_mm(self) -> Float64[np.ndarray, "points"]:
        """Way along the axis from its first point to each point, mm."""
        return np.linspace(0.0, self.length_mm, len(self.points_mm))

    def angle_of(self, direction: Float64[np.ndarray, "3"], way_mm: float) -> float:
        """Angle about the axis, radians, that points most in a world direction at a place."""
        at = min(round(way_mm / self.step_mm), len(self.points_mm) - 1)
        return float(np.arctan2(direction @ self.frames.up[at], direction @ self.frames.side[at]))

    @property
    def from_anus(self) -> bool:
        """Whether the piece begins at the anus."""
        return bool(self.place[0] < 1e-6)

    @property
    def to_caecum(self) -> bool:
        """Whether the piece ends in the caecum's pole."""
        return bool(self.place[-1] > 1 - 1e-6)


def sample_route(settings: ColonSettings, rng: np.random.Generator) -> Route:
    """Draw the axis of a piece of colon whose bends neither kink nor touch each other.

    Raises:
        SceneError: No such course was found; smaller bends or a narrower lumen help.
    """
    for _ in range(_TRIES):
        draft = _draw(settings, rng)
        points, clear = _untangled(draft)
        if clear:
            return _respaced(draft, points, settings.length_mm)
    raise SceneError(
        f"no course of {settings.length_mm} mm without kinks or touching loops was found in "
        f"{_TRIES} tries with tortuosity {settings.tortuosity} and calibre {settings.calibre}; "
        "lower one of them"
    )


def route_along(
    corners_mm: Float64[np.ndarray, "corners 3"], settings: ColonSettings, rng: np.random.Generator
) -> Route:
    """Draw the axis of a whole colon near corner points, at their size.

    Args:
        corners_mm: From the anus to the caecum, world of the drawn colon.
        settings: Of which the calibre and the tortuosity count.
        rng: Random numbers.

    Raises:
        SceneError: No such course was found; smaller bends or a narrower lumen help.
    """
    for _ in range(_TRIES):
        curve = _bent(corners_mm, None, draw(settings.tortuosity, rng), rng)
        way = arc_length(curve)
        place = way / way[-1]
        wander = 1.0 + draw(settings.calibre_variation, rng) * _slow_noise(rng, way, (70.0, 240.0))
        radius = smooth(profile_at(place).radius_mm * draw(settings.calibre, rng) * wander, 4.0)
        draft = _Draft(curve, float(way[-1]) / (len(curve) - 1), radius, place)
        points, clear = _untangled(draft)
        if clear:
            return _respaced(draft, points, float(arc_length(points)[-1]))
    raise SceneError(
        f"no course near the corner points without kinks or touching loops was found in {_TRIES} "
        f"tries with tortuosity {settings.tortuosity} and calibre {settings.calibre}; lower one"
    )


@dataclass(frozen=True, eq=False)
class _Draft:
    """An axis before its bends are eased; its parts mean what they mean in `Route`."""

    points_mm: Float64[np.ndarray, "points 3"]
    step_mm: float
    radius_mm: Float64[np.ndarray, "points"]
    place: Float64[np.ndarray, "points"]


def _draw(settings: ColonSettings, rng: np.random.Generator) -> _Draft:
    total = max(draw(settings.total_length_mm, rng), settings.length_mm)
    share = settings.length_mm / total
    segment = settings.segment
    segment = segment.pick(rng) if isinstance(segment, Choice) else segment
    first = first_place(segment, draw(settings.start, rng), share)
    whole = _whole_course(rng, total, draw(settings.tortuosity, rng))
    way = np.linspace(0.0, 1.0, len(whole))
    count = int(np.ceil(settings.length_mm / _STEP_MM)) + 1
    place = np.linspace(first, first + share, count)
    points = np.stack([np.interp(place, way, whole[:, k]) for k in range(3)], axis=1)
    wander = 1.0 + draw(settings.calibre_variation, rng) * _slow_noise(
        rng, place * total, (70.0, 240.0)
    )
    radius = profile_at(place).radius_mm * draw(settings.calibre, rng) * wander
    return _Draft(points, settings.length_mm / (count - 1), smooth(radius, 4.0), place)


def _whole_course(
    rng: np.random.Generator, total_mm: float, tortuosity: float
) -> Float64[np.ndarray, "points 3"]:
    """Draw the whole colon's axis, anus to caecum, scaled to its length."""
    corners = _COURSE + rng.normal(0.0, 9.0, _COURSE.shape)
    curve = _bent(corners, total_mm, tortuosity, rng)
    return np.asarray(curve * (total_mm / arc_length(curve)[-1]), dtype=np.float64)


def _bent(
    corners: Float64[np.ndarray, "corners 3"],
    total_mm: float | None,
    tortuosity: float,
    rng: np.random.Generator,
) -> Float64[np.ndarray, "points 3"]:
    """A smooth curve through corner points with bends, which keep their size in a longer colon."""
    spline = CubicSpline(arc_length(corners), corners)
    curve = resample(spline(np.linspace(0.0, arc_length(corners)[-1], 900)), _STEP_MM)
    way = arc_length(curve) * (1.0 if total_mm is None else total_mm / 1500.0)
    bends = np.stack([_slow_noise(rng, way, (80.0, 190.0)) for _ in range(3)], axis=1)
    tangent = unit(np.gradient(curve, axis=0))
    bends -= (bends * tangent).sum(axis=1, keepdims=True) * tangent
    return resample(curve + 9.0 * tortuosity * bends, _STEP_MM)


def _slow_noise(
    rng: np.random.Generator,
    way_mm: Float64[np.ndarray, "points"],
    wavelengths_mm: tuple[float, float],
) -> Float64[np.ndarray, "points"]:
    """Draw a smooth random function of the way with variance near 1."""
    waves = 10
    length = rng.uniform(*wavelengths_mm, (waves, 1))
    phase = rng.uniform(0.0, 2 * np.pi, (waves, 1))
    total = np.sin(2 * np.pi * way_mm / length + phase).sum(axis=0)
    return np.asarray(total * np.sqrt(2.0 / waves), dtype=np.float64)


def _untangled(draft: _Draft) -> tuple[Float64[np.ndarray, "points 3"], bool]:
    """Ease bends that are too sharp and push loops apart until the tube fits round its axis."""
    points = draft.points_mm.copy()
    room = 1.3 * draft.radius_mm  # pouches and their bulge
    for _ in range(_ROUNDS):
        points = _at_equal_steps(points)
        sharp = curvature(points) * room > 0.78
        push = _push_apart(points, room)
        if not sharp.any() and not push.any():
            return points, True
        weight = smooth(sharp.astype(np.float64), 3.0)[:, None]
        points = points + np.minimum(3.0 * weight, 1.0) * (smooth(points, 3.0) - points)
        points = points + smooth(push, 5.0)
    return points, False


def _at_equal_steps(points: Float64[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points 3"]:
    """The same number of points at equal steps along the same curve."""
    way = arc_length(points)
    at = np.linspace(0.0, way[-1], len(points))
    return np.stack([np.interp(at, way, points[:, k]) for k in range(3)], axis=1)


def _push_apart(
    points: Float64[np.ndarray, "points 3"], room: Float64[np.ndarray, "points"]
) -> Float64[np.ndarray, "points 3"]:
    """Give each point the way it should move to leave space to other loops, mm."""
    few, wide = points[::_STRIDE], room[::_STRIDE]
    square = (few**2).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square[None, :] - 2 * few @ few.T, 1e-6))
    needed = wide[:, None] + wide[None, :] + _SPACE_MM
    way = arc_length(points)[::_STRIDE]
    lack = np.where(np.abs(way[:, None] - way[None, :]) > 1.6 * needed, needed - distance, 0.0)
    worst = np.argmax(lack, axis=1)
    rows = np.arange(len(few))
    size = np.maximum(lack[rows, worst], 0.0)[:, None]
    push = np.zeros_like(points)
    push[::_STRIDE] = _PUSH * size * unit(few - few[worst])
    return push


def _respaced(draft: _Draft, points: Float64[np.ndarray, "points 3"], length_mm: float) -> Route:
    """Fit the eased axis to the asked length by scaling its step, keeping every bend's shape."""
    way = arc_length(points)
    radius, place = draft.radius_mm, draft.place
    scale = length_mm / way[-1]
    if scale < 1.0:  # pushing made it longer: cut, do not shrink the bends
        keep = way <= length_mm + draft.step_mm
        if place[-1] > 1 - 1e-6:  # the caecum stays
            keep = way >= way[-1] - length_mm - draft.step_mm
        points, radius, place, scale = points[keep], radius[keep], place[keep], 1.0
    fine = smooth(resample(points * scale, 0.5), 8.0)
    at = np.linspace(0.0, 1.0, len(fine))
    old = np.linspace(0.0, 1.0, len(radius))
    return Route(
        points_mm=fine,
        step_mm=length_mm / (len(fine) - 1),
        radius_mm=np.interp(at, old, radius),
        place=np.interp(at, old, place),
        frames=transport_frames(fine),
    )

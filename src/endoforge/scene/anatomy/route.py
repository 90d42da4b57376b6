# SPDX-License-Identifier: Apache-2.0
"""The course of a drawn colon through the abdomen, and how its segments differ.

World frame of the drawn colon: x to the patient's left, y to the back, z to the head, mm.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.interpolate import CubicSpline

from endoforge.distributions import draw
from endoforge.errors import SceneError
from endoforge.scene.anatomy.curves import arc_length, curvature, resample, smooth, unit
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

#: What changes from segment to segment, at places along the whole colon (0 anus, 1 caecum).
#: Radii follow the order of published calibres (rectum and sigmoid to the wide caecum); segment
#: borders follow published segment lengths; fold figures are set by eye.
_PLACE = np.array([0.0, 0.06, 0.14, 0.30, 0.40, 0.50, 0.56, 0.70, 0.80, 0.92, 1.0])
_RADIUS_MM = np.array([17.0, 20.0, 15.0, 14.0, 16.0, 17.5, 19.5, 20.0, 22.0, 24.0, 24.5])
_FOLD_HEIGHT = np.array([0.6, 0.7, 0.85, 0.85, 0.82, 0.88, 1.0, 1.05, 1.05, 0.95, 0.8])
_FOLD_SPACING = np.array([1.4, 1.3, 0.95, 0.85, 0.95, 0.9, 0.85, 0.85, 0.95, 1.05, 1.1])
_TRIANGLE = np.array([0.0, 0.1, 0.15, 0.2, 0.35, 0.7, 1.0, 1.0, 0.8, 0.6, 0.4])

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
        fold_height: Multiplies the settings' fold height.
        fold_spacing: Multiplies the settings' fold spacing.
        triangle: How far the three rows of folds keep in step, 0 to 1; 1 looks triangular.
        first: Place of the first point in the whole colon, 0 the anus to 1 the caecum.
        last: Place of the last point.
    """

    points_mm: Float64[np.ndarray, "points 3"]
    step_mm: float
    radius_mm: Float64[np.ndarray, "points"]
    fold_height: Float64[np.ndarray, "points"]
    fold_spacing: Float64[np.ndarray, "points"]
    triangle: Float64[np.ndarray, "points"]
    first: float
    last: float

    @property
    def length_mm(self) -> float:
        """Way along the axis, mm."""
        return self.step_mm * (len(self.points_mm) - 1)


def sample_route(settings: ColonSettings, rng: np.random.Generator) -> Route:
    """Draw the axis of a piece of colon whose bends neither kink nor touch each other.

    Raises:
        SceneError: No such course was found; smaller bends or a narrower lumen help.
    """
    for _ in range(_TRIES):
        route = _draw(settings, rng)
        points, clear = _untangled(route)
        if clear:
            return _respaced(route, points, settings.length_mm)
    raise SceneError(
        f"no course of {settings.length_mm} mm without kinks or touching loops was found in "
        f"{_TRIES} tries with tortuosity {settings.tortuosity} and calibre {settings.calibre}; "
        "lower one of them"
    )


def _draw(settings: ColonSettings, rng: np.random.Generator) -> Route:
    total = max(draw(settings.total_length_mm, rng), settings.length_mm)
    share = settings.length_mm / total
    first = min(draw(settings.start, rng), 1.0 - share)
    whole = _whole_course(rng, total, draw(settings.tortuosity, rng))
    way = np.linspace(0.0, 1.0, len(whole))
    count = int(np.ceil(settings.length_mm / _STEP_MM)) + 1
    place = np.linspace(first, first + share, count)
    points = np.stack([np.interp(place, way, whole[:, k]) for k in range(3)], axis=1)
    wander = 1.0 + draw(settings.calibre_variation, rng) * _slow_noise(
        rng, place * total, (70.0, 240.0)
    )
    radius = np.interp(place, _PLACE, _RADIUS_MM) * draw(settings.calibre, rng) * wander
    return Route(
        points_mm=points,
        step_mm=settings.length_mm / (count - 1),
        radius_mm=smooth(radius, 4.0),
        fold_height=np.interp(place, _PLACE, _FOLD_HEIGHT),
        fold_spacing=np.interp(place, _PLACE, _FOLD_SPACING),
        triangle=np.interp(place, _PLACE, _TRIANGLE),
        first=first,
        last=first + share,
    )


def _whole_course(
    rng: np.random.Generator, total_mm: float, tortuosity: float
) -> Float64[np.ndarray, "points 3"]:
    """Draw the whole colon's axis, anus to caecum, scaled to its length."""
    corners = _COURSE + rng.normal(0.0, 9.0, _COURSE.shape)
    spline = CubicSpline(arc_length(corners), corners)
    curve = resample(spline(np.linspace(0.0, arc_length(corners)[-1], 900)), _STEP_MM)
    way = arc_length(curve) * total_mm / 1500.0  # bends keep their size in a longer colon
    bends = np.stack([_slow_noise(rng, way, (80.0, 190.0)) for _ in range(3)], axis=1)
    tangent = unit(np.gradient(curve, axis=0))
    bends -= (bends * tangent).sum(axis=1, keepdims=True) * tangent
    curve = resample(curve + 9.0 * tortuosity * bends, _STEP_MM)
    return np.asarray(curve * (total_mm / arc_length(curve)[-1]), dtype=np.float64)


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


def _untangled(route: Route) -> tuple[Float64[np.ndarray, "points 3"], bool]:
    """Ease bends that are too sharp and push loops apart until the tube fits round its axis."""
    points = route.points_mm.copy()
    room = 1.3 * route.radius_mm  # pouches and their bulge
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


def _respaced(route: Route, points: Float64[np.ndarray, "points 3"], length_mm: float) -> Route:
    """Fit the eased axis to the asked length by scaling its step, keeping every bend's shape."""
    scale = length_mm / arc_length(points)[-1]
    if scale < 1.0:  # pushing made it longer: cut, do not shrink the bends
        keep = arc_length(points) <= length_mm + route.step_mm
        points, scale = points[keep], 1.0
    fine = resample(points * scale, 0.5)
    at = np.linspace(0.0, 1.0, len(fine))
    old = np.linspace(0.0, 1.0, len(route.radius_mm))
    return Route(
        points_mm=smooth(fine, 8.0),
        step_mm=length_mm / (len(fine) - 1),
        radius_mm=np.interp(at, old, route.radius_mm),
        fold_height=np.interp(at, old, route.fold_height),
        fold_spacing=np.interp(at, old, route.fold_spacing),
        triangle=np.interp(at, old, route.triangle),
        first=route.first,
        last=route.last,
    )

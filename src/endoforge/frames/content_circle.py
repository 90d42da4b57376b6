# SPDX-License-Identifier: Apache-2.0
"""The round picture of a laparoscope on a dark surround, found as a circle.

Every row and column is walked from both of its ends to the first pixel that is brighter than the
corners; the circle that most of these pixels lie on is the rim.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float64, UInt8

#: A rim is this much brighter than the surround, levels of 255; the first that fits is taken.
_STEPS = (10, 20, 5)

#: Corners brighter than this are no surround, levels of 255.
_BRIGHTEST_SURROUND = 45

#: A point lies on the circle when it is this near, px of the small picture.
_NEAR_PX = 1.3

#: Share of the rim's visible length that must be found, and of it on each side.
_FOUND, _FOUND_ON_A_SIDE = 0.45, 0.3

#: Points so far outside the circle, px, and the share of them that is still a circle: eight-sided
#: pictures have 0.1 to 0.3, round ones at most 0.07 (measured on 185 real frames of each kind).
_BEYOND_PX, _BEYOND = 2.5, 0.085

#: Share of the surround that may be brighter than it should be: text and symbols.
_BRIGHT_OUTSIDE = 0.06

#: Radius as a share of the longer side.
_RADII = (0.25, 0.75)

_TRIALS = 400


@dataclass(frozen=True)
class Circle:
    """A circle in a picture; the first pixel's centre is (0.5, 0.5).

    Attributes:
        u: Centre, to the right, px.
        v: Centre, down, px.
        radius: In px.
    """

    u: float
    v: float
    radius: float


def find_circle(brightness: UInt8[np.ndarray, "height width"]) -> Circle | None:
    """Return the rim of a round picture; None where there is no such thing.

    Args:
        brightness: The largest of a pixel's colours, 0 to 255, at a longer side of about 320 px.
    """
    height, width = brightness.shape
    if min(height, width) < 32:
        return None
    calm = cv2.medianBlur(brightness, 3)
    surround = _surround_level(calm)
    if surround is None:
        return None
    for step in _STEPS:
        points = _rim_points(calm > surround + step)
        circle = _best_circle(points, calm.shape)
        if circle is not None and _is_rim(circle, points, calm, surround + step):
            return circle
    return None


# ---- inside -------------------------------------------------------------------------------------


def _surround_level(calm: UInt8[np.ndarray, "height width"]) -> float | None:
    """Brightness of the corners; None unless three of them are dark and alike."""
    height, width = calm.shape
    tall, wide = max(2, height // 40), max(2, width // 40)
    rows, columns = (slice(0, tall), slice(-tall, None)), (slice(0, wide), slice(-wide, None))
    levels = sorted(float(np.percentile(calm[r, c], 75)) for r in rows for c in columns)
    if levels[2] > _BRIGHTEST_SURROUND or levels[2] - levels[0] > 12:
        return None
    return levels[2]


def _rim_points(bright: Bool[np.ndarray, "height width"]) -> Float64[np.ndarray, "points 2"]:
    """First bright place of every row and column from both ends, (u, v) on the pixels' border."""
    # Words on the surround are thin; the picture is not.
    broad = cv2.morphologyEx(bright.astype(np.uint8), cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    found = [
        *_first_ones(broad),
        *((v, u) for u, v in _first_ones(np.ascontiguousarray(broad.T))),
    ]
    return np.array(found, np.float64).reshape(-1, 2)


def _first_ones(mask: UInt8[np.ndarray, "rows columns"]) -> list[tuple[float, float]]:
    columns = mask.shape[1]
    there = np.flatnonzero(mask.any(axis=1))
    first = mask[there].argmax(axis=1)
    last = columns - mask[there, ::-1].argmax(axis=1)
    left = [
        (float(u), v + 0.5) for u, v in zip(first.tolist(), there.tolist(), strict=True) if u > 1
    ]
    right = [
        (float(u), v + 0.5)
        for u, v in zip(last.tolist(), there.tolist(), strict=True)
        if u < columns - 1
    ]
    return left + right


def _best_circle(points: Float64[np.ndarray, "points 2"], shape: tuple[int, ...]) -> Circle | None:
    """The circle that most points lie on, refined by least squares on them."""
    if len(points) < 20:
        return None
    rng = np.random.default_rng(0)  # decides nothing but the order of the search
    picks = rng.integers(len(points), size=(_TRIALS, 3))
    circles = _through(points[picks], shape)
    if not len(circles):
        return None
    distance = np.abs(
        np.hypot(points[:, 0] - circles[:, :1], points[:, 1] - circles[:, 1:2]) - circles[:, 2:]
    )
    best = circles[int((distance < 2 * _NEAR_PX).sum(axis=1).argmax())]
    for _ in range(4):
        near = np.abs(np.hypot(*(points - best[:2]).T) - best[2]) < 1.5 * _NEAR_PX
        if near.sum() < 10:
            return None
        best = _least_squares(points[near])
    return Circle(*best.tolist()) if _is_possible(best[None], shape)[0] else None


def _through(
    triples: Float64[np.ndarray, "trials 3 2"], shape: tuple[int, ...]
) -> Float64[np.ndarray, "circles 3"]:
    """Circles (u, v, radius) through three points each; impossible ones are left out."""
    a, b, c = (triples[:, k] for k in range(3))
    first, second = b - a, c - a
    area = 2 * (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])
    good = np.abs(area) > 50
    a, first, second, area = a[good], first[good], second[good], area[good]
    long, longer = (first**2).sum(axis=1), (second**2).sum(axis=1)
    u = (second[:, 1] * long - first[:, 1] * longer) / area
    v = (first[:, 0] * longer - second[:, 0] * long) / area
    circles = np.stack([a[:, 0] + u, a[:, 1] + v, np.hypot(u, v)], axis=1)
    return np.asarray(circles[_is_possible(circles, shape)])


def _is_possible(
    circles: Float64[np.ndarray, "circles 3"], shape: tuple[int, ...]
) -> Bool[np.ndarray, " circles"]:
    height, width = shape
    u, v, radius = circles.T
    size = (radius > _RADII[0] * max(shape)) & (radius < _RADII[1] * max(shape))
    place = (np.abs(u / width - 0.5) < 0.3) & (np.abs(v / height - 0.5) < 0.3)
    return np.asarray(size & place)


def _least_squares(points: Float64[np.ndarray, "points 2"]) -> Float64[np.ndarray, "3"]:
    """The circle with the least algebraic distance from points.

    Source:
        Kåsa, *A circle fitting procedure and its error analysis*, IEEE Trans. Instrum. Meas. 1976.
    """
    matrix = np.column_stack([2 * points, np.ones(len(points))])
    (u, v, rest), *_ = np.linalg.lstsq(matrix, (points**2).sum(axis=1), rcond=None)
    return np.array([u, v, np.sqrt(max(rest + u**2 + v**2, 0.0))])


def _is_rim(
    circle: Circle,
    points: Float64[np.ndarray, "points 2"],
    calm: UInt8[np.ndarray, "height width"],
    bright: float,
) -> bool:
    """Whether enough of the visible rim was found on both sides, and it is dark outside."""
    height, width = calm.shape
    angle = np.linspace(-np.pi, np.pi, 720, endpoint=False)
    u = circle.u + circle.radius * np.cos(angle)
    v = circle.v + circle.radius * np.sin(angle)
    visible = (u > 2) & (u < width - 2) & (v > 2) & (v < height - 2)
    distance = np.hypot(points[:, 0] - circle.u, points[:, 1] - circle.v) - circle.radius
    if (distance > _BEYOND_PX).mean() > _BEYOND:
        return False
    on_rim = points[np.abs(distance) < 2 * _NEAR_PX]
    where = np.arctan2(on_rim[:, 1] - circle.v, on_rim[:, 0] - circle.u)
    found = np.zeros(720, bool)
    for shift in range(-3, 4):
        found[(np.floor((where + np.pi) / (2 * np.pi) * 720).astype(int) + shift) % 720] = True
    sides = (np.cos(angle) < 0, np.cos(angle) > 0)
    shares = [found[visible & side].mean() if (visible & side).any() else 0.0 for side in sides]
    if not visible.any() or found[visible].mean() < _FOUND or min(shares) < _FOUND_ON_A_SIDE:
        return False
    rows, columns = np.mgrid[:height, :width] + 0.5
    outside = np.hypot(columns - circle.u, rows - circle.v) > circle.radius + 2
    return bool(outside.any()) and bool((calm[outside] > bright).mean() < _BRIGHT_OUTSIDE)

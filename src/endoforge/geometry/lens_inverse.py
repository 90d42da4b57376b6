# SPDX-License-Identifier: Apache-2.0
"""How far a lens formula holds, and its inverse there.

A distortion polynomial fitted to a calibration board may fold back further out, so that one pixel
would see two directions. The field of a lens ends before that: where moving outwards in space
moves the image by less than a hundredth of what it does in the centre.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from endoforge.geometry.arrays import like, namespace
from endoforge.geometry.lens_equations import (
    brown_conrady_distort,
    even_series,
    odd_polynomial,
    odd_polynomial_slope,
)

#: The image must move at least by this share of its motion in the centre.
LEAST_SLOPE = 0.01
#: No pinhole reaches 90°; its formula is used up to here.
WIDEST_PINHOLE_RAD = math.radians(89.0)

_NODES = 2048
_RADIAL_STEPS = 4
_TANGENTIAL_STEPS = 3
_DAMPED_STEPS = 40
_HALVINGS = 60


class RadialTable(NamedTuple):
    """Start values for the inverse of a radial map.

    Attributes:
        coefficients: k1, k2, … of the odd polynomial.
        nodes: Values (tangent or angle) from the axis to the end of the field.
        images: The radial map of each node; increasing.
    """

    coefficients: tuple[float, ...]
    nodes: Float64[np.ndarray, "nodes"]
    images: Float64[np.ndarray, "nodes"]


@lru_cache(maxsize=64)
def fisheye_table(coefficients: tuple[float, ...], limit_rad: float) -> RadialTable:
    """Angle off axis against image radius over focal length, up to the limit or the fold."""

    def slope(angle: Any) -> Any:
        return odd_polynomial_slope(angle, coefficients)

    end = _first_below(slope, np.linspace(0.0, limit_rad, 4 * _NODES))
    nodes = np.linspace(0.0, end, _NODES)
    return RadialTable(coefficients, nodes, odd_polynomial(nodes, coefficients))


@lru_cache(maxsize=64)
def pinhole_table(distortion: tuple[float, ...]) -> RadialTable:
    """Tangent of the angle off axis against image radius over focal length, up to the fold.

    The field is a circle around the axis. Tangential distortion makes the fold depend on the
    direction; the nearest one counts.
    """
    k1, k2, _, _, k3 = distortion
    angles = np.linspace(0.0, WIDEST_PINHOLE_RAD, _NODES)

    def slope(angle: Any) -> Any:
        return _least_stretch(np.tan(angle), distortion)

    nodes = np.tan(np.linspace(0.0, _first_below(slope, angles), _NODES))
    return RadialTable((k1, k2, k3), nodes, odd_polynomial(nodes, (k1, k2, k3)))


def invert_radial(images: Any, table: RadialTable) -> Any:
    """Tangent or angle off axis that the lens maps to each image radius.

    Newton's method from a table, kept between the table's two neighbouring nodes, with bisection
    for whatever has not settled. Radii beyond the table give its end.
    """
    ops = namespace(images)
    if not any(table.coefficients):
        return images
    nodes, ends = like(table.nodes, images), like(table.images, images)
    target = ops.clip(images, 0.0, float(table.images[-1]))
    upper = ops.clip(ops.searchsorted(ends, target), 1, len(nodes) - 1)
    low, high = nodes[upper - 1], nodes[upper]
    share = (target - ends[upper - 1]) / (ends[upper] - ends[upper - 1])
    value = low + share * (high - low)
    for _ in range(_RADIAL_STEPS):
        value = ops.clip(_radial_step(value, target, table.coefficients), low, high)
    error = odd_polynomial(value, table.coefficients) - target
    if bool((abs(error) > _tolerance(images) * (1 + target)).any()):
        value = _bisect(low, high, target, table.coefficients)
    return value


def undistort(a: Any, b: Any, distortion: tuple[float, ...], table: RadialTable) -> tuple[Any, Any]:
    """Point of the plane z = 1 that the distorted lens shows at (a, b); NaN outside the field."""
    ops = namespace(a)
    radius2 = a * a + b * b
    radius = ops.sqrt(ops.where(radius2 == 0, 1.0, radius2))  # any radius will do for the axis
    scale = invert_radial(radius, table) / radius
    x, y = a * ops.where(radius2 == 0, 1.0, scale), b * ops.where(radius2 == 0, 1.0, scale)
    valid = (radius2 == 0) | (radius <= float(table.images[-1]))
    if distortion[2] or distortion[3]:
        x, y = _undistort_tangential(x, y, (a, b), distortion, float(table.nodes[-1]))
        valid = _settled(x, y, (a, b), distortion, float(table.nodes[-1]))
    return ops.where(valid, x, math.nan), ops.where(valid, y, math.nan)


def _first_below(slope: Any, values: Float64[np.ndarray, "values"]) -> float:
    """Last value before the slope drops under `LEAST_SLOPE`, or the last of all."""
    below = np.flatnonzero(~(slope(values) >= LEAST_SLOPE))
    if not len(below):
        return float(values[-1])
    low, high = float(values[max(below[0] - 1, 0)]), float(values[below[0]])
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if bool(slope(middle) >= LEAST_SLOPE) else (low, middle)
    return low


def _least_stretch(tangent: Any, distortion: tuple[float, ...]) -> Any:
    """Smallest eigenvalue of the distortion's Jacobian on a circle around the axis.

    Brown-Conrady distortion is the gradient of a potential, so its Jacobian is symmetric; positive
    eigenvalues on a disc make the potential convex, and then no two points share an image.
    """
    k1, k2, p1, p2, k3 = distortion
    tangent = np.asarray(tangent)[..., None]
    direction = np.linspace(0.0, np.pi, 61 if p1 or p2 else 1)
    along = math.hypot(p1, p2) * tangent * np.cos(direction)
    across = math.hypot(p1, p2) * tangent * np.sin(direction)
    outward = odd_polynomial_slope(tangent, (k1, k2, k3)) + 6 * along
    around = even_series(tangent * tangent, (k1, k2, k3)) + 2 * along
    spread = np.hypot((outward - around) / 2, 2 * across)
    return ((outward + around) / 2 - spread).min(axis=-1)


def _radial_step(value: Any, target: Any, coefficients: tuple[float, ...]) -> Any:
    error = odd_polynomial(value, coefficients) - target
    return value - error / odd_polynomial_slope(value, coefficients)


def _bisect(low: Any, high: Any, target: Any, coefficients: tuple[float, ...]) -> Any:
    ops = namespace(target)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        over = odd_polynomial(middle, coefficients) > target
        low, high = ops.where(over, low, middle), ops.where(over, middle, high)
    return _radial_step((low + high) / 2, target, coefficients)


def _undistort_tangential(
    x: Any, y: Any, image: tuple[Any, Any], distortion: tuple[float, ...], end: float
) -> tuple[Any, Any]:
    """Two-dimensional Newton from the radial solution; damped where full steps fail twice."""
    reach = abs(odd_polynomial(end, (distortion[0], distortion[1], distortion[4])))
    reach += 3 * math.hypot(distortion[2], distortion[3]) * end**2  # nothing shows further out
    shown = image[0] * image[0] + image[1] * image[1] <= reach * reach
    x, y = _full_steps(x, y, image, distortion, end)
    for solve in (_full_steps, _damped):
        hard = shown & ~_settled(x, y, image, distortion, end)
        if bool(hard.any()):
            x, y = x + 0.0, y + 0.0  # copies that may be written to
            part = (image[0][hard], image[1][hard])
            x[hard], y[hard] = solve(x[hard], y[hard], part, distortion, end)
    return x, y


def _full_steps(
    x: Any, y: Any, image: tuple[Any, Any], distortion: tuple[float, ...], end: float
) -> tuple[Any, Any]:
    for _ in range(_TANGENTIAL_STEPS):
        dx, dy = _newton_step(x, y, image, distortion)
        x, y = _inside_disc(x + dx, y + dy, 1.05 * end)
    return x, y


def _damped(
    x: Any, y: Any, image: tuple[Any, Any], distortion: tuple[float, ...], end: float
) -> tuple[Any, Any]:
    """Newton with a step length that is halved whenever the error would not shrink."""
    ops = namespace(x)
    x, y = 0.9 * x, 0.9 * y  # away from the rim, where a full step may leave the field
    length = ops.ones_like(x)
    error = _error(x, y, image, distortion)
    for _ in range(_DAMPED_STEPS):
        dx, dy = _newton_step(x, y, image, distortion)
        next_x, next_y = _inside_disc(x + length * dx, y + length * dy, 1.05 * end)
        next_error = _error(next_x, next_y, image, distortion)
        better = next_error < error
        x, y = ops.where(better, next_x, x), ops.where(better, next_y, y)
        error = ops.where(better, next_error, error)
        length = ops.where(better, ops.clip(2 * length, 0.0, 1.0), length / 2)
    return x, y


def _newton_step(
    x: Any, y: Any, image: tuple[Any, Any], distortion: tuple[float, ...]
) -> tuple[Any, Any]:
    k1, k2, p1, p2, k3 = distortion
    x2, y2 = x * x, y * y
    r2 = x2 + y2
    gain = even_series(r2, (k1, k2, k3)) + (2 * p2) * x + (2 * p1) * y
    bend = 2 * k1 + r2 * (4 * k2 + r2 * (6 * k3))
    xx = gain + x2 * bend + (4 * p2) * x
    yy = gain + y2 * bend + (4 * p1) * y
    xy = x * y * bend + (2 * p1) * x + (2 * p2) * y
    da, db = image[0] - x * gain - p2 * r2, image[1] - y * gain - p1 * r2
    determinant = xx * yy - xy * xy
    return (yy * da - xy * db) / determinant, (xx * db - xy * da) / determinant


def _inside_disc(x: Any, y: Any, end: float) -> tuple[Any, Any]:
    ops = namespace(x)
    shrink2 = (x * x + y * y) / (end * end)
    shrink = ops.sqrt(ops.where(shrink2 > 1, shrink2, 1.0))
    return x / shrink, y / shrink


def _error(x: Any, y: Any, image: tuple[Any, Any], distortion: tuple[float, ...]) -> Any:
    a, b = brown_conrady_distort(x, y, distortion)
    return abs(a - image[0]) + abs(b - image[1])


def _settled(
    x: Any, y: Any, image: tuple[Any, Any], distortion: tuple[float, ...], end: float
) -> Any:
    small = _error(x, y, image, distortion) <= _tolerance(x) * (1 + abs(image[0]) + abs(image[1]))
    return small & (x * x + y * y <= end * end)


def _tolerance(array: Any) -> float:
    eps = float(namespace(array).finfo(array.dtype).eps)
    return float(np.cbrt(eps)) ** 2

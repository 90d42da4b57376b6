# SPDX-License-Identifier: Apache-2.0
"""The bare projection formulas of the lenses, free of any array library.

`ops` is any namespace with `sqrt`, `atan2` and `where`: `numpy`, `torch`, or the renderer's adapter
for Dr.Jit. Nothing is checked here; `geometry.cameras` knows where the formulas hold.
"""

from collections.abc import Sequence
from typing import Any

_NEWTON_STEPS = 4


def even_series(square: Any, coefficients: Sequence[Any]) -> Any:
    """1 + k1·square + k2·square² + …, the gain of a radial map at a squared radius."""
    total: Any = 0.0
    for k in reversed(coefficients):
        total = square * (k + total)
    return 1.0 + total


def power_series(value: Any, coefficients: Sequence[Any]) -> Any:
    """c0 + c1·value + c2·value² + … by Horner's rule."""
    total: Any = 0.0
    for c in reversed(coefficients):
        total = value * total + c
    return total


def odd_polynomial(value: Any, coefficients: Sequence[Any]) -> Any:
    """Value · (1 + k1·value² + k2·value⁴ + …), the radial map of pinhole and fisheye."""
    return value * even_series(value * value, coefficients)


def odd_polynomial_slope(value: Any, coefficients: Sequence[Any]) -> Any:
    """Derivative of `odd_polynomial`: 1 + 3·k1·value² + 5·k2·value⁴ + …."""
    factors = [(2 * index + 3) * k for index, k in enumerate(coefficients)]
    return even_series(value * value, factors)


def kannala_brandt_project(x: Any, y: Any, z: Any, p: Sequence[Any], ops: Any) -> tuple[Any, Any]:
    """Pixel of a point seen through a fisheye lens.

    Args:
        x: Right of the camera centre, mm (any unit: only the direction counts).
        y: Below the camera centre.
        z: In front of the camera centre; may be negative.
        p: fx, fy, cx, cy, k1, k2, k3, k4; pixels and pure numbers.
        ops: Where `sqrt`, `atan2` and `where` come from.

    Returns:
        u and v, px; the first pixel's centre is (0.5, 0.5).

    Source:
        Kannala & Brandt, *A generic camera model*, PAMI 2006, equation 6, as OpenCV's
        `cv2.fisheye` parametrises it.
    """
    fx, fy, cx, cy = p[:4]
    off_axis2 = x * x + y * y
    on_axis = off_axis2 == 0
    off_axis = ops.sqrt(ops.where(on_axis, 1.0, off_axis2))
    scale = odd_polynomial(ops.atan2(off_axis, z), p[4:8]) / off_axis
    scale = ops.where(on_axis, 1 / ops.where(on_axis, z, 1.0), scale)
    return fx * (x * scale) + cx, fy * (y * scale) + cy


def omnidirectional_project(x: Any, y: Any, z: Any, p: Sequence[Any], ops: Any) -> tuple[Any, Any]:
    """Pixel of a point seen through a lens whose ray is a polynomial of the image radius.

    Args:
        x: Right of the camera centre, mm (any unit: only the direction counts).
        y: Below the camera centre.
        z: In front of the camera centre; may be negative.
        p: fx, fy, cx, cy, px; what u gains per y and v per x, px; k1 to k4; the largest radius; 8
            start coefficients (`geometry.radius_polynomial`). `OmnidirectionalCamera.parameters`.
        ops: Where `sqrt`, `atan2` and `where` come from.

    Returns:
        u and v, px; the first pixel's centre is (0.5, 0.5).

    Source:
        Scaramuzza, Martinelli & Siegwart, ICVS 2006, equation 6, inverted by Newton's method.
    """
    fx, fy, cx, cy, u_of_y, v_of_x = p[:6]
    off_axis2 = x * x + y * y
    on_axis = off_axis2 == 0
    off_axis = ops.sqrt(ops.where(on_axis, 1.0, off_axis2))
    length = ops.sqrt(off_axis * off_axis + z * z)
    lens = (p[6:10], p[11:19], p[10])
    t = polynomial_radius(ops.atan2(off_axis, z), off_axis / length, z / length, lens, ops)
    scale = ops.where(on_axis, 1 / ops.where(on_axis, z, 1.0), t / off_axis)
    a, b = x * scale, y * scale
    return fx * a + u_of_y * b + cx, fy * b + v_of_x * a + cy


def polynomial_radius(angle: Any, sine: Any, cosine: Any, lens: Sequence[Any], ops: Any) -> Any:
    """Image radius t, for a focal length of 1, whose ray (t, 1 + k1 t + k2 t² + …) has an angle.

    Always the same few Newton steps, so that it can be compiled.

    Args:
        angle: Off axis, rad.
        sine: Of the angle.
        cosine: Of the angle.
        lens: k1 to k4, the start coefficients of t over angle, the largest t.
        ops: Where `where` comes from.
    """
    shape, start, end = lens
    slope = [(power + 1) * k for power, k in enumerate(shape)]
    t = angle * power_series(angle, start)
    for _ in range(_NEWTON_STEPS):
        t = ops.where(t > end, end, ops.where(t < 0, 0.0, t))
        error = power_series(t, (1.0, *shape)) * sine - t * cosine
        t = t - error / (power_series(t, slope) * sine - cosine)
    return t


def brown_conrady_project(x: Any, y: Any, z: Any, p: Sequence[Any], ops: Any) -> tuple[Any, Any]:
    """Pixel of a point seen through a pinhole lens with radial and tangential distortion.

    Args:
        x: Right of the camera centre, mm (any unit: only the direction counts).
        y: Below the camera centre.
        z: In front of the camera centre; meaningful where positive.
        p: fx, fy, cx, cy, k1, k2, p1, p2, k3 in OpenCV's order.
        ops: Not used; the signature is that of the fisheye.

    Returns:
        u and v, px; the first pixel's centre is (0.5, 0.5).

    Source:
        Brown, *Decentering distortion of lenses*, 1966, as OpenCV's `projectPoints` does it.
    """
    fx, fy, cx, cy = p[:4]
    a, b = brown_conrady_distort(x / z, y / z, p[4:9])
    return fx * a + cx, fy * b + cy


def brown_conrady_distort(a: Any, b: Any, distortion: Sequence[Any]) -> tuple[Any, Any]:
    """Move a point of the plane z = 1 to where the distorted lens shows it."""
    k1, k2, p1, p2, k3 = distortion
    r2 = a * a + b * b
    tilt = 2 * (p2 * a + p1 * b)
    gain = even_series(r2, (k1, k2, k3)) + tilt
    return a * gain + p2 * r2, b * gain + p1 * r2

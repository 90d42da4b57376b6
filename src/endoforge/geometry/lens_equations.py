# SPDX-License-Identifier: Apache-2.0
"""The bare projection formulas of the two lenses, free of any array library.

`ops` is any namespace with `sqrt`, `atan2` and `where`: `numpy`, `torch`, or the renderer's adapter
for Dr.Jit. Nothing is checked here; `geometry.cameras` knows where the formulas hold.
"""

from collections.abc import Sequence
from typing import Any


def even_series(square: Any, coefficients: Sequence[Any]) -> Any:
    """1 + k1·square + k2·square² + …, the gain of a radial map at a squared radius."""
    total: Any = 0.0
    for k in reversed(coefficients):
        total = square * (k + total)
    return 1.0 + total


def odd_polynomial(value: Any, coefficients: Sequence[Any]) -> Any:
    """Value · (1 + k1·value² + k2·value⁴ + …), the radial map of both lenses."""
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

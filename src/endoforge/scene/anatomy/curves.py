# SPDX-License-Identifier: Apache-2.0
"""Curves in space as rows of points: spacing, smoothing, curvature and twist-free frames."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64


@dataclass(frozen=True, eq=False)
class CurveFrames:
    """A right-handed frame at every point of a curve that turns as little as possible about it.

    Attributes:
        tangent: Unit direction of travel.
        side: Unit vector across the curve.
        up: tangent × side.
    """

    tangent: Float64[np.ndarray, "points 3"]
    side: Float64[np.ndarray, "points 3"]
    up: Float64[np.ndarray, "points 3"]


def arc_length(points: Float[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points"]:
    """Way along the curve from its first point to each point, in the points' unit."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps, dtype=np.float64)])


def resample(
    points: Float[np.ndarray, "points 3"], spacing: float
) -> Float64[np.ndarray, "resampled 3"]:
    """Put points at equal steps along a curve, its two ends included.

    Args:
        points: At least two different points.
        spacing: Wanted step in the points' unit; the nearest that divides the length is used.
    """
    result = np.asarray(points, dtype=np.float64)
    for _ in range(2):  # the second round evens out what the corners of the first cut off
        way = arc_length(result)
        count = max(round(float(way[-1]) / spacing), 1) + 1
        at = np.linspace(0.0, way[-1], count)
        result = np.stack([np.interp(at, way, result[:, k]) for k in range(3)], axis=1)
    return result


def unit(vectors: Float[np.ndarray, "*rows 3"]) -> Float64[np.ndarray, "*rows 3"]:
    """Scale vectors to length 1; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-30), dtype=np.float64)


def curvature(points: Float[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points"]:
    """Inverse bend radius at each point of an equally spaced curve, 1 per unit."""
    step = float(np.linalg.norm(np.diff(points, axis=0), axis=1).mean())
    inner = np.linalg.norm(points[2:] - 2 * points[1:-1] + points[:-2], axis=1) / step**2
    return np.asarray(np.pad(inner, 1, mode="edge"), dtype=np.float64)


def smooth(
    values: Float[np.ndarray, "points *columns"], width: float
) -> Float64[np.ndarray, "points *columns"]:
    """Gaussian smoothing along the first axis; both ends stay where they are.

    Args:
        values: One row per point of an equally spaced curve.
        width: Standard deviation in points.
    """
    reach = int(np.ceil(4 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    kernel /= kernel.sum()
    rows = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    padded = np.pad(rows, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    columns = [np.convolve(padded[:, k], kernel, "valid") for k in range(rows.shape[1])]
    return np.stack(columns, axis=1).reshape(np.shape(values))


def transport_frames(points: Float[np.ndarray, "points 3"]) -> CurveFrames:
    """Carry a frame along a curve without turning it about the curve.

    Source:
        Wang, Jüttler, Zheng, Liu, *Computation of rotation minimizing frames*, ACM TOG 27 (2008),
        table I (double reflection).
    """
    tangent = unit(np.gradient(np.asarray(points, dtype=np.float64), axis=0))
    side = np.empty_like(tangent)
    axis = np.eye(3)[int(np.argmin(np.abs(tangent[0])))]
    side[0] = unit(np.cross(tangent[0], axis))
    for i in range(len(points) - 1):
        v1 = points[i + 1] - points[i]
        scale = 2.0 / float(v1 @ v1)
        r = side[i] - scale * float(v1 @ side[i]) * v1
        t = tangent[i] - scale * float(v1 @ tangent[i]) * v1
        v2 = tangent[i + 1] - t
        length = float(v2 @ v2)
        side[i + 1] = r if length < 1e-24 else r - 2.0 / length * float(v2 @ r) * v2
    side = unit(side - (side * tangent).sum(axis=1, keepdims=True) * tangent)
    return CurveFrames(tangent=tangent, side=side, up=np.cross(tangent, side))

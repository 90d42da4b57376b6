# SPDX-License-Identifier: Apache-2.0
"""Which place of a centre line each point of a surface belongs to; smooth in space."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy.spatial import cKDTree

from endoforge.scene.anatomy.curves import arc_length, resample, smooth, unit
from endoforge.scene.records import Centreline

_STEP_MM = 3.0
_REACH = 7  # steps to either side that a point is shared among
_BLEND_MM = 6.0
_EVEN_MM = 25.0  # over which the radius is evened out


@dataclass(frozen=True, eq=False)
class Attachment:
    """Points of a surface as places along a line and ways from it.

    Attributes:
        arc_mm: Way along the line to each point's place.
        anchor_mm: That place, world frame.
        out_mm: From there to the point.
    """

    arc_mm: Float64[np.ndarray, "points"]
    anchor_mm: Float64[np.ndarray, "points 3"]
    out_mm: Float64[np.ndarray, "points 3"]


def attach(points_mm: Float[np.ndarray, "points 3"], centreline: Centreline) -> Attachment:
    """Find each point's place along a centre line.

    The nearest place is sought by the power distance, the squared distance less the squared radius
    there, so that a wide loop's wall is not taken for that of a narrow one beside it. Around the
    nearest place a window is averaged, which makes the result smooth where the line bends.

    Args:
        points_mm: World positions.
        centreline: The line and the room around it.
    """
    line, arc, radius = _even_line(centreline)
    points = np.asarray(points_mm, dtype=np.float64)
    lift = np.sqrt(np.maximum(radius.max() ** 2 - radius**2, 0.0))
    tree = cKDTree(np.concatenate([line, lift[:, None]], axis=1))
    nearest = tree.query(np.concatenate([points, np.zeros((len(points), 1))], axis=1))[1]
    way = _touching_circle(points, line, arc, nearest)
    for _ in range(2):  # each window sits where the one before says, so that jumps die out
        way, anchor = _averaged(points, line, arc, way)
    return Attachment(way, anchor, points - anchor)


def _touching_circle(
    points: Float64[np.ndarray, "points 3"],
    line: Float64[np.ndarray, "places 3"],
    arc: Float64[np.ndarray, "places"],
    nearest: Int64[np.ndarray, "points"],
) -> Float64[np.ndarray, "points"]:
    """Way to each point's place if the line went on as the circle that touches it at the nearest.

    Inside a bend, towards the circle's middle, a step along the line is a smaller step in space.
    """
    tangent = unit(np.gradient(line, axis=0))
    bend = np.gradient(tangent, arc, axis=0)
    out = points - line[nearest]
    shrink = np.clip(1.0 - (out * bend[nearest]).sum(axis=1), 0.35, 2.0)
    way = arc[nearest] + (out * tangent[nearest]).sum(axis=1) / shrink
    return np.asarray(np.clip(way, 0.0, arc[-1]), dtype=np.float64)


def _averaged(
    points: Float64[np.ndarray, "points 3"],
    line: Float64[np.ndarray, "places 3"],
    arc: Float64[np.ndarray, "places"],
    guess_mm: Float64[np.ndarray, "points"],
) -> tuple[Float64[np.ndarray, "points"], Float64[np.ndarray, "points 3"]]:
    """Mean place along the line and in space, nearer places counting more, around a guess."""
    step = float(arc[1] - arc[0])
    index = np.rint(guess_mm / step).astype(int)
    first = ((points - line[index]) ** 2).sum(axis=1)
    total, way, anchor = np.zeros(len(points)), np.zeros(len(points)), np.zeros_like(points)
    for offset in range(-_REACH, _REACH + 1):
        at = np.clip(index + offset, 0, len(line) - 1)
        excess = ((points - line[at]) ** 2).sum(axis=1) - first
        off = ((arc[at] - guess_mm) / (_REACH * step)) ** 2
        weight = np.exp(np.minimum(-excess / (2 * _BLEND_MM**2), 20.0))
        weight *= np.clip(1.0 - off, 0.0, None) ** 2 * (at == index + offset)
        total += weight
        way += weight * arc[at]
        anchor += weight[:, None] * line[at]
    return way / total, anchor / total[:, None]


def _even_line(centreline: Centreline) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The line at equal steps, the way to each point, and an evened-out radius."""
    line = resample(centreline.points_mm, _STEP_MM)
    arc = arc_length(centreline.points_mm)
    at = np.linspace(0.0, arc[-1], len(line))
    radius = np.interp(at, arc, centreline.radius_mm)
    width = min(_EVEN_MM / _STEP_MM, len(line) / 10)
    return line, at, np.maximum(smooth(radius, width), 1.0)

# SPDX-License-Identifier: Apache-2.0
"""The camera's path from two sides, over the wall that its own depth images trace out.

The wall is drawn from depth and poses, so a wrong pose or a wrong depth shows at once: the outline
blurs.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64
from markupsafe import Markup

from endoforge.evaluation.report.svg import Attribute, drawing, element, label, line
from endoforge.geometry.poses import invert_pose

_WIDTH, _HEIGHT, _MARGIN = 560, 420, 26
_SEGMENTS = 40
_MOST_WALL_POINTS = 5000


@dataclass(frozen=True, eq=False)
class Path3D:
    """A path through a scene, in world coordinates.

    Attributes:
        positions_mm: Camera centres, in order of time.
        views: Unit viewing directions.
        wall_mm: Points on the wall.
    """

    positions_mm: Float64[np.ndarray, "frames 3"]
    views: Float64[np.ndarray, "frames 3"]
    wall_mm: Float64[np.ndarray, "points 3"]

    @classmethod
    def from_poses(
        cls,
        camera_from_world: Float64[np.ndarray, "frames 4 4"],
        wall_mm: Float64[np.ndarray, "points 3"],
    ) -> "Path3D":
        """Read positions and viewing directions off the poses."""
        world_from_camera = np.stack([invert_pose(pose) for pose in camera_from_world])
        return cls(world_from_camera[:, :3, 3], world_from_camera[:, :3, 2], wall_mm)

    @property
    def length_mm(self) -> float:
        """Way that the camera went, mm."""
        steps = np.linalg.norm(np.diff(self.positions_mm, axis=0), axis=1)
        return float(steps.sum())


def path_plots(path: Path3D, title: str) -> tuple[Markup, Markup]:
    """The path along its two longest extents, and along the longest and the shortest."""
    axes = _principal_axes(path)
    scale = _scale(path, axes)
    return tuple(  # type: ignore[return-value]
        _plot(path, axes[[0, second]], scale, f"{title}, view {number} of 2")
        for number, second in ((1, 1), (2, 2))
    )


# ---- inside -------------------------------------------------------------------------------------


def _principal_axes(path: Path3D) -> Float64[np.ndarray, "3 3"]:
    points = np.concatenate([path.wall_mm, path.positions_mm])
    _, _, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    if len(axes) < 3:
        return np.eye(3)
    result: np.ndarray = axes
    return result


def _scale(path: Path3D, axes: np.ndarray) -> float:
    """Drawing units per mm, the same for both views."""
    points = np.concatenate([path.wall_mm, path.positions_mm]) @ axes.T
    extent = np.ptp(points, axis=0)
    room = np.array([_WIDTH, _HEIGHT, _HEIGHT]) - 2 * _MARGIN - np.array([0, 20, 20])
    return float(np.min(room / np.maximum(extent, 1e-6)))


def _plot(path: Path3D, axes: np.ndarray, scale: float, title: str) -> Markup:
    everything = np.concatenate([path.wall_mm, path.positions_mm]) @ axes.T
    middle = (everything.max(axis=0) + everything.min(axis=0)) / 2

    def place(points: np.ndarray) -> np.ndarray:
        placed: np.ndarray = (points @ axes.T - middle) * scale
        placed += np.array([_WIDTH / 2, _HEIGHT / 2 - 10])
        return placed

    stride = max(1, len(path.wall_mm) // _MOST_WALL_POINTS)
    wall = place(path.wall_mm[::stride])
    dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in wall)
    centres = place(path.positions_mm)
    tips = place(path.positions_mm + path.views * (20 / scale))
    children = [
        element("path", {"d": dots, "class": "wall"}),
        *_looks(centres, tips),
        *_segments(centres),
        _dot(centres[0], "start"),
        _dot(centres[-1], "end"),
        *_ruler(scale),
    ]
    return drawing(_WIDTH, _HEIGHT, title, *children)


def _segments(centres: np.ndarray) -> list[Markup]:
    """The path in pieces whose colour runs from start to end."""
    cuts = np.unique(np.linspace(0, len(centres) - 1, _SEGMENTS + 1).round().astype(int))
    pieces = []
    for number, (low, high) in enumerate(pairwise(cuts)):
        points = centres[low : high + 1]
        data = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        colour = _colour_of(number / max(len(cuts) - 2, 1))
        pieces.append(
            element("path", {"d": data, "class": "route", "stroke": colour, "fill": "none"})
        )
    return pieces


def _looks(centres: np.ndarray, tips: np.ndarray) -> list[Markup]:
    """Short strokes the way the camera looks, at some of the frames."""
    chosen = np.unique(np.linspace(0, len(centres) - 1, 14).round().astype(int))
    ends = [(centres[k].tolist(), tips[k].tolist()) for k in chosen]
    return [line(x1, y1, x2, y2, "look") for (x1, y1), (x2, y2) in ends]


def _dot(centre: np.ndarray, kind: str) -> Markup:
    x, y = map(float, centre)
    attributes: dict[str, Attribute] = {"cx": x, "cy": y, "r": 5.0, "class": f"dot {kind}"}
    return element("circle", attributes, element("title", None, kind))


def _ruler(scale: float) -> list[Markup]:
    """A bar of a round length, with its length in mm."""
    target = 110 / scale
    power = 10.0 ** math.floor(math.log10(target))
    length = power * max(f for f in (1, 2, 5) if power * f <= target)
    x, y = float(_MARGIN), float(_HEIGHT - 16)
    return [
        line(x, y, x + length * scale, y, "ruler"),
        line(x, y - 4, x, y + 4, "ruler"),
        line(x + length * scale, y - 4, x + length * scale, y + 4, "ruler"),
        label(x + length * scale + 8, y + 4, f"{length:g} mm", "tick", "start"),
    ]


def _colour_of(place: float) -> str:
    """From teal at the start over violet to orange at the end; readable on light and dark."""
    stops = np.array([[20, 150, 160], [120, 90, 200], [225, 120, 30]], float)
    at = place * (len(stops) - 1)
    low = min(int(at), len(stops) - 2)
    red, green, blue = stops[low] + (stops[low + 1] - stops[low]) * (at - low)
    return f"#{round(red):02x}{round(green):02x}{round(blue):02x}"

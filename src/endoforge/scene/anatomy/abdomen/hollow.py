# SPDX-License-Identifier: Apache-2.0
"""Stomach, bowel and spleen: tubes of changing width along their courses."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.interpolate import CubicSpline

from endoforge.distributions import draw, draw_count
from endoforge.scene.anatomy.abdomen.organs import Organ, organ_from, shifted_along_normals, tinted
from endoforge.scene.anatomy.abdomen.relief import smooth_noise
from endoforge.scene.anatomy.abdomen.settings import BowelSettings
from endoforge.scene.anatomy.abdomen.volumes import Volume, tube_volume
from endoforge.scene.anatomy.curves import arc_length, resample

STOMACH_LABEL, BOWEL_LABEL, SPLEEN_LABEL = 11, 12, 15

_KINDS = {"stomach": (STOMACH_LABEL, "stomach"), "spleen": (SPLEEN_LABEL, "spleen")}

_MARGIN_MM = 20.0  # the omentum needs to know how far away the bowel is


@dataclass(frozen=True, eq=False)
class Tube:
    """A course with a radius at each of its points.

    Attributes:
        name: The organ.
        axis_mm: World positions along the course.
        radius_mm: Half the width at each.
        seed: Unevenness.
    """

    name: str
    axis_mm: Float64[np.ndarray, "points 3"]
    radius_mm: Float64[np.ndarray, "points"]
    seed: int


def course(
    points_mm: list[tuple[float, float, float]], radii_mm: list[float], spacing_mm: float
) -> tuple[Float64[np.ndarray, "points 3"], Float64[np.ndarray, "points"]]:
    """A smooth curve through points, with the radius between them."""
    knots = np.arange(len(points_mm), dtype=np.float64)
    fine = np.linspace(0, knots[-1], 40 * len(points_mm))
    dense = np.asarray(CubicSpline(knots, np.array(points_mm))(fine))
    radius = np.interp(fine, knots, radii_mm)
    way = arc_length(dense)
    axis = resample(dense, spacing_mm)
    at = np.linspace(0, way[-1], len(axis))
    return axis, np.interp(at, way, radius)


def sample_stomach(settings: BowelSettings, rng: np.random.Generator) -> tuple[Tube, Tube]:
    """Draw stomach and duodenum."""
    size = draw(settings.stomach, rng)
    shift = rng.uniform(-6, 6, 3)
    points = np.array(
        [(-92, -38, 62), (-96, -16, 20), (-80, 0, -18), (-45, 4, -44), (-8, -2, -52), (14, -8, -46)]
    )
    points[:4] = points[:4] + shift
    radii = [26 * size, 33 * size, 31 * size, 25 * size, 18 * size, 10.0]
    axis, radius = course([tuple(p) for p in points.tolist()], radii, 4.0)
    stomach = Tube("stomach", axis, radius, int(rng.integers(2**31)))
    path = [(16.0, -10.0, -46.0), (34.0, -17.0, -42.0), (48.0, -34.0, -60.0), (46.0, -46.0, -110.0)]
    axis, radius = course(path, [10.0, 14.0, 13.0, 13.0], 3.0)
    return stomach, Tube("duodenum", axis, radius, int(rng.integers(2**31)))


def sample_colon_tube(settings: BowelSettings, rng: np.random.Generator) -> Tube:
    """Draw ascending and transverse colon with their haustra."""
    radius = 0.5 * draw(settings.colon_mm, rng)
    length = draw(settings.haustra_mm, rng)
    sink = rng.uniform(-6, 6, 3)
    path = [
        (108.0, -42.0, -190.0),
        (112.0, -36.0, -120.0),
        (96.0, -20.0, -78.0),
        (62.0, -8.0 + sink[0], -94.0),
        (15.0, -5.0 + sink[1], -106.0),
        (-40.0, -6.0 + sink[2], -98.0),
        (-92.0, -18.0, -66.0),
        (-118.0, -45.0, -10.0),
    ]
    axis, base = course(path, [radius] * len(path), 2.5)
    way = arc_length(axis) / length + rng.uniform()
    pouch = np.abs(np.sin(np.pi * way)) ** 0.6
    slow = 1 + 0.08 * np.sin(0.9 * way + rng.uniform(0, 6))
    return Tube("colon", axis, base * slow * (0.80 + 0.20 * pouch), int(rng.integers(2**31)))


def sample_small_bowel(settings: BowelSettings, rng: np.random.Generator) -> Tube | None:
    """Draw coils of small bowel that fill the room below the transverse colon."""
    rows = draw_count(settings.coils, rng)
    if rows == 0:
        return None
    width = draw(settings.small_bowel_mm, rng)
    points: list[tuple[float, float, float]] = []
    for row in range(rows):
        z = -136.0 - 0.92 * width * row
        across = np.linspace(-78, 78, 6) * (1 if row % 2 else -1)
        for x in across:
            wobble = rng.uniform(-1, 1, 3) * (9.0, 8.0, 0.3 * width)
            points.append((float(x + wobble[0]), float(-24.0 + wobble[1]), float(z + wobble[2])))
    axis, radius = course(points, [0.5 * width] * len(points), 3.0)
    way = arc_length(axis)
    radius = radius * (1 + 0.10 * np.sin(way / 17.0) + 0.07 * np.sin(way / 7.3 + 1.0))
    return Tube("small bowel", axis, radius, int(rng.integers(2**31)))


def sample_spleen(rng: np.random.Generator) -> Tube:
    """Draw the spleen as a short, thick, bent tube under the left dome."""
    size = float(rng.uniform(0.85, 1.15))
    path = [(-104.0, -52.0, 5.0), (-116.0, -42.0, 35.0), (-106.0, -44.0, 66.0)]
    axis, radius = course(path, [20.0 * size, 27.0 * size, 21.0 * size], 3.0)
    return Tube("spleen", axis, radius, int(rng.integers(2**31)))


def tube_body(tube: Tube, step_mm: float) -> Volume:
    """The tube as a body."""
    return tube_volume(tube.axis_mm, tube.radius_mm, step_mm, _MARGIN_MM)


def hollow_organ(tube: Tube, body: Volume) -> Organ:
    """A hollow organ's surface."""
    label, material = _KINDS.get(tube.name, (BOWEL_LABEL, "bowel"))
    organ = organ_from(tube.name, label, material, body)
    noise = smooth_noise(organ.vertices_mm, 16.0, tube.seed)
    organ = shifted_along_normals(organ, -0.5 * np.clip(noise + 1.0, 0, 2))
    return tinted(organ, 0.07 * smooth_noise(organ.vertices_mm, 28.0, tube.seed + 1))

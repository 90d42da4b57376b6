# SPDX-License-Identifier: Apache-2.0
"""Cystic duct and artery, the hepatocystic triangle that covers them, and the ligament behind."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial import cKDTree

from endoforge.distributions import draw
from endoforge.scene.anatomy.abdomen.gallbladder import Gallbladder
from endoforge.scene.anatomy.abdomen.hollow import course
from endoforge.scene.anatomy.abdomen.liver import Liver, lower_face_mm, to_world
from endoforge.scene.anatomy.abdomen.settings import GallbladderSettings
from endoforge.scene.anatomy.abdomen.volumes import FAR_MM, Volume, grid_over, tube_volume
from endoforge.scene.anatomy.curves import arc_length, unit

DUCT_LABEL, ARTERY_LABEL, TRIANGLE_LABEL, LIGAMENT_LABEL = 8, 9, 10, 5

Curve = Float64[np.ndarray, "points 3"]


@dataclass(frozen=True, eq=False)
class Biliary:
    """Courses of the structures beside the neck, in the world.

    Attributes:
        duct_mm: Cystic duct, from the gallbladder to the common duct.
        duct_radius_mm: At each point.
        artery_mm: Cystic artery, from the hepatic artery to the gallbladder.
        artery_radius_mm: At each point.
        ligament_mm: Hepatoduodenal ligament, from the porta to the duodenum.
        exposure: How far the triangle is dissected, 0 to 1.
        seed: Unevenness.
    """

    duct_mm: Curve
    duct_radius_mm: Float64[np.ndarray, "points"]
    artery_mm: Curve
    artery_radius_mm: Float64[np.ndarray, "points"]
    ligament_mm: Curve
    exposure: float
    seed: int

    @property
    def corners_mm(self) -> Float64[np.ndarray, "3 3"]:
        """The triangle: neck, junction of the ducts, porta."""
        return np.stack([self.duct_mm[0], self.duct_mm[-1], self.ligament_mm[0]])


def sample_biliary(
    settings: GallbladderSettings, liver: Liver, bladder: Gallbladder, rng: np.random.Generator
) -> Biliary:
    """Draw duct, artery and ligament beside a gallbladder's neck."""
    flat = np.array([2.0, -16.0]) * liver.size + rng.uniform(-3, 3, 2)
    face = float(lower_face_mm(liver, flat[:1], flat[1:])[0])
    porta = to_world(liver, np.array([[flat[0], flat[1], face]]))[0]
    bowel = np.array([32.0, -16.0, -40.0])
    junction = porta + (0.42 + 0.15 * rng.uniform()) * (bowel - porta) + (0.0, 6.0, 0.0)
    outlet = bladder.outlet_mm
    duct = _winding(outlet, junction, draw(settings.duct_length_mm, rng), rng)
    spiral = 1 + 0.14 * np.sin(arc_length(duct) * 2 * np.pi / 4.5)
    width = draw(settings.duct_width_mm, rng)
    root = porta + np.array([-5.0, 2.0, -8.0])
    high = 0.5 * (root + bladder.axis_mm[-4]) + rng.uniform(-2, 2, 3) + (0.0, 3.0, -3.0)
    side = bladder.axis_mm[-14] + unit(np.array([-0.8, 0.5, -0.4])) * bladder.radius_mm[-14]
    near = bladder.axis_mm[-5] + np.array([-0.7, 0.5, -0.5]) * (bladder.radius_mm[-5] + 1.0)
    thick = 0.5 * draw(settings.artery_width_mm, rng)
    artery, taper = course(
        [_triple(p) for p in (root, high, near, side)],
        [1.2 * thick, thick, thick, 0.5 * thick],
        0.6,
    )
    return Biliary(
        duct_mm=duct,
        duct_radius_mm=0.5 * width * spiral,
        artery_mm=artery,
        artery_radius_mm=taper,
        ligament_mm=course([_triple(porta), _triple(bowel)], [1.0, 1.0], 3.0)[0],
        exposure=draw(settings.exposure, rng),
        seed=int(rng.integers(2**31)),
    )


def _triple(point: Float[np.ndarray, "3"]) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in point)
    return x, y, z


def _winding(
    start: Float64[np.ndarray, "3"],
    end: Float64[np.ndarray, "3"],
    length_mm: float,
    rng: np.random.Generator,
) -> Curve:
    """An S-shaped curve between two points, near a length."""
    way = end - start
    straight = float(np.linalg.norm(way))
    aside = unit(np.cross(way, rng.normal(size=3)))
    bow = 0.35 * np.sqrt(max(length_mm**2 - straight**2, 0.0))
    points = [start, start + 0.33 * way + bow * aside, start + 0.67 * way - 0.6 * bow * aside, end]
    return course([_triple(p) for p in points], [1.0] * 4, 0.6)[0]


def duct_body(biliary: Biliary, step_mm: float) -> Volume:
    """The cystic duct as a body."""
    return tube_volume(biliary.duct_mm, biliary.duct_radius_mm, step_mm)


def artery_body(biliary: Biliary, step_mm: float) -> Volume:
    """The cystic artery as a body."""
    return tube_volume(biliary.artery_mm, biliary.artery_radius_mm, step_mm)


def ligament_body(biliary: Biliary, step_mm: float) -> Volume:
    """The hepatoduodenal ligament as a body."""
    axis = biliary.ligament_mm
    share = np.linspace(0, 1, len(axis))
    radius = 9.0 + 3.0 * np.sin(np.pi * share) + 0.8 * np.sin(12.0 * share + biliary.seed % 7)
    return tube_volume(axis, radius, step_mm, margin_mm=12.0)


def triangle_body(biliary: Biliary, step_mm: float) -> Volume:
    """The fatty sheet between duct, common duct and liver, with windows where it is dissected."""
    corners = biliary.corners_mm
    bare = biliary.exposure
    thick = 1.4 + 3.2 * (1.0 - bare)
    grid = grid_over(corners.min(axis=0) - 12.0, corners.max(axis=0) + 12.0, step_mm)
    x, y, z = np.meshgrid(*(a.ravel() for a in grid.axes()), indexing="ij")
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    away = cKDTree(_over_triangle(corners, 0.8)).query(points)[0] - thick
    middle = corners.mean(axis=0)
    for window, size in ((middle, 6.5), (0.6 * middle + 0.4 * corners[2], 4.5)):
        if bare > 0.3:
            hole = np.linalg.norm(points - window, axis=1) - size * bare
            away = np.maximum(away, -hole)
    return Volume(grid, np.minimum(away, FAR_MM).reshape(grid.shape).astype(np.float32))


def _over_triangle(corners: Float64[np.ndarray, "3 3"], spacing_mm: float) -> Curve:
    longest = float(np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).max())
    count = int(np.ceil(longest / spacing_mm))
    i, j = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
    inside = i + j <= count
    one, two = i[inside] / count, j[inside] / count
    return np.asarray(np.stack([1 - one - two, one, two], axis=1) @ corners)

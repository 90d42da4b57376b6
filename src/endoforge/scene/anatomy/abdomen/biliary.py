# SPDX-License-Identifier: Apache-2.0
"""Cystic duct and artery, the hepatocystic triangle that covers them, and the ligament behind."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial import cKDTree

from endoforge.distributions import draw
from endoforge.scene.anatomy.abdomen.gallbladder import Gallbladder
from endoforge.scene.anatomy.abdomen.hollow import course
from endoforge.scene.anatomy.abdomen.liver import LiverBed
from endoforge.scene.anatomy.abdomen.relief import smooth_noise
from endoforge.scene.anatomy.abdomen.settings import GallbladderSettings
from endoforge.scene.anatomy.abdomen.volumes import (
    FAR_MM,
    Grid,
    Volume,
    grid_over,
    smooth_max,
    smooth_min,
    tube_volume,
)
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
        ribbon_mm: Corners of the hepatoduodenal ligament: at the porta left and right, at the
            duodenum right and left.
        plate_mm: On the gallbladder's axis, where the triangle's sheet ends.
        exposure: How far the triangle is dissected, 0 to 1.
        seed: Unevenness.
    """

    duct_mm: Curve
    duct_radius_mm: Float64[np.ndarray, "points"]
    artery_mm: Float64[np.ndarray, "places 3"]
    artery_radius_mm: Float64[np.ndarray, "places"]
    ribbon_mm: Float64[np.ndarray, "4 3"]
    plate_mm: Float64[np.ndarray, "3"]
    exposure: float
    seed: int

    @property
    def corners_mm(self) -> Float64[np.ndarray, "3 3"]:
        """The triangle: neck, junction of the ducts, porta."""
        return np.stack([self.duct_mm[0], self.duct_mm[-1], self.ribbon_mm[1]])


def sample_biliary(
    settings: GallbladderSettings, liver: LiverBed, bladder: Gallbladder, rng: np.random.Generator
) -> Biliary:
    """Draw duct, artery and ligament beside a gallbladder's neck."""
    ribbon = _ribbon(liver, rng)
    share = 0.38 + 0.15 * rng.uniform()
    junction = (1 - share) * ribbon[1] + share * ribbon[2]
    duct = _winding(bladder.outlet_mm, junction, draw(settings.duct_length_mm, rng), rng)
    spiral = 1 + 0.08 * np.sin(arc_length(duct) * 2 * np.pi / 5.0)
    artery, taper = _artery(bladder, ribbon, 0.5 * draw(settings.artery_width_mm, rng), rng)
    return Biliary(
        duct_mm=duct,
        duct_radius_mm=0.5 * draw(settings.duct_width_mm, rng) * spiral,
        artery_mm=artery,
        artery_radius_mm=taper,
        ribbon_mm=ribbon,
        plate_mm=bladder.axis_mm[-11],
        exposure=draw(settings.exposure, rng),
        seed=int(rng.integers(2**31)),
    )


def _ribbon(liver: LiverBed, rng: np.random.Generator) -> Float64[np.ndarray, "4 3"]:
    """Corners of the hepatoduodenal ligament, hung from the liver's lower face."""
    shift = rng.uniform(-3, 3, 2)
    flat = np.array([[-5.0, -13.0], [10.0, -18.0]]) * liver.size + shift
    face = liver.face_mm(flat[:, 0], flat[:, 1])
    porta = liver.world(np.column_stack([flat, face]))
    return np.concatenate([porta, [[29.0, -22.0, -42.0], [8.0, -22.0, -46.0]]])


def _artery(
    bladder: Gallbladder,
    ribbon: Float64[np.ndarray, "4 3"],
    thick: float,
    rng: np.random.Generator,
) -> tuple[Curve, Float64[np.ndarray, "points"]]:
    """From the right border of the ligament to the neck, then along the gallbladder's left side."""
    root = 0.85 * ribbon[1] + 0.15 * ribbon[2] + (-3.0, 2.0, -1.0)
    near = _beside(bladder, -5, 0.7)
    high = 0.5 * (root + near) + rng.uniform(-2, 2, 3) + (0.0, 2.0, -2.0)
    points = [root, high, near, _beside(bladder, -12, 0.2), _beside(bladder, -20, 0.0)]
    return course(
        [_triple(p) for p in points], [1.2 * thick, thick, thick, 0.6 * thick, 0.4 * thick], 0.6
    )


def _beside(bladder: Gallbladder, at: int, off_mm: float) -> Float64[np.ndarray, "3"]:
    """A point on the left and lower side of the gallbladder."""
    way = unit(np.array([-0.75, 0.1, -0.65]))
    return np.asarray(bladder.axis_mm[at] + way * (bladder.radius_mm[at] + off_mm))


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
    bow = 0.22 * np.sqrt(max(length_mm**2 - straight**2, 0.0))
    points = [start, start + 0.33 * way + bow * aside, start + 0.67 * way - 0.6 * bow * aside, end]
    return course([_triple(p) for p in points], [1.0] * 4, 0.6)[0]


def duct_body(biliary: Biliary, step_mm: float) -> Volume:
    """The cystic duct as a body."""
    return tube_volume(biliary.duct_mm, biliary.duct_radius_mm, step_mm)


def artery_body(biliary: Biliary, step_mm: float) -> Volume:
    """The cystic artery as a body."""
    return tube_volume(biliary.artery_mm, biliary.artery_radius_mm, step_mm)


def ligament_body(biliary: Biliary, step_mm: float) -> Volume:
    """The hepatoduodenal ligament: a fatty fold with the common duct in its right border."""
    left, right, low_right, low_left = biliary.ribbon_mm
    halves = np.stack([[left, right, low_right], [left, low_right, low_left]])
    sheet = _sheet(halves, 3.4, step_mm)
    uneven = smooth_noise(_points(sheet.grid), 13.0, biliary.seed).reshape(sheet.grid.shape)
    values = sheet.values - np.clip(1.3 * uneven, -1.5, 2.5).astype(np.float32)
    for start, end, radius in ((right, low_right, 4.8), (left, low_left, 4.0)):
        axis = course([_triple(start), _triple(end)], [1.0, 1.0], 2.0)[0]
        tube = tube_volume(axis, np.full(len(axis), radius), step_mm, 12.0)
        values = smooth_min(values, tube.on(sheet.grid), 6.0)
    return Volume(sheet.grid, np.minimum(values, FAR_MM).astype(np.float32))


def triangle_body(biliary: Biliary, step_mm: float) -> Volume:
    """The fatty sheet between duct, common duct and liver, with windows where it is dissected."""
    bare = biliary.exposure
    neck, junction, porta = biliary.corners_mm
    halves = np.stack([[biliary.plate_mm, junction, porta], [neck, junction, biliary.plate_mm]])
    sheet = _sheet(halves, 0.9 + 2.7 * (1.0 - bare), step_mm)
    points = _points(sheet.grid)
    away = sheet.values - 0.7 * smooth_noise(points, 10.0, biliary.seed).reshape(sheet.grid.shape)
    artery = biliary.artery_mm[len(biliary.artery_mm) // 4]
    middle = biliary.duct_mm[len(biliary.duct_mm) // 2]
    for window, size in ((0.5 * (artery + middle), 4.6), (0.6 * artery + 0.4 * porta, 3.4)):
        if bare > 0.35:
            hole = np.linalg.norm(points - window, axis=1) - size * bare
            away = smooth_max(away, -hole.reshape(sheet.grid.shape), 2.0)
    return Volume(sheet.grid, np.minimum(away, FAR_MM).astype(np.float32))


def _points(grid: Grid) -> Float64[np.ndarray, "points 3"]:
    lines = [axis.ravel() for axis in grid.axes()]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
    return points.reshape(-1, 3).astype(np.float64)


def _sheet(
    triangles: Float64[np.ndarray, "triangles 3 3"], half_mm: float, step_mm: float
) -> Volume:
    """Everything within half a thickness of flat triangles."""
    corners = triangles.reshape(-1, 3)
    grid = grid_over(corners.min(axis=0) - 11.0, corners.max(axis=0) + 11.0, step_mm)
    dense = np.concatenate([_over_triangle(t, 1.0) for t in triangles])
    away = cKDTree(dense).query(_points(grid), distance_upper_bound=11.0)[0] - half_mm
    return Volume(grid, np.minimum(away, FAR_MM).reshape(grid.shape).astype(np.float32))


def _over_triangle(corners: Float64[np.ndarray, "3 3"], spacing_mm: float) -> Curve:
    longest = float(np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).max())
    count = int(np.ceil(longest / spacing_mm))
    i, j = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
    inside = i + j <= count
    one, two = i[inside] / count, j[inside] / count
    return np.asarray(np.stack([1 - one - two, one, two], axis=1) @ corners)

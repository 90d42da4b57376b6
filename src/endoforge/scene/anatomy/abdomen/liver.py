# SPDX-License-Identifier: Apache-2.0
"""The liver: two lobes under the diaphragm, cut by a sloping lower face with a sharp edge."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Float64

from endoforge.distributions import draw
from endoforge.scene.anatomy.abdomen.organs import Organ, organ_from, shifted_along_normals, tinted
from endoforge.scene.anatomy.abdomen.relief import lobules, smooth_noise
from endoforge.scene.anatomy.abdomen.settings import LiverSettings
from endoforge.scene.anatomy.abdomen.volumes import (
    FAR_MM,
    Grid,
    Volume,
    ellipsoid,
    grid_over,
    kept_inside,
    smooth_max,
    smooth_min,
)

LIVER_LABEL = 1

_EDGE_ROUND_MM = 5.0
_PIVOT_MM = np.array([0.0, -15.0, 45.0])


@dataclass(frozen=True)
class Liver:
    """Measures of one liver in its own frame, which `turn_rad` lifts about the pivot.

    Attributes:
        size: Multiplies all lengths.
        left: Size of the left lobe.
        slope: Rise of the lower face behind the edge, mm per mm.
        wave_mm: Ups and downs of the edge.
        wave_phase: Where they lie, radians.
        notch_mm: Depth of the notch.
        notch_x: Where the notch is.
        turn_rad: How far the edge is lifted.
        nodules_mm: Height of nodules.
        fat: Fatty change.
        seed: Unevenness.
    """

    size: float
    left: float
    slope: float
    wave_mm: float
    wave_phase: tuple[float, float]
    notch_mm: float
    notch_x: float
    turn_rad: float
    nodules_mm: float
    fat: float
    seed: int

    def face_mm(
        self, x: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Height (z) of the lower face in the liver's frame: lowest at the edge."""
        size = self.size
        edge = (-6.0 - 0.40 * x) * size
        one, two = self.wave_phase
        edge = edge + self.wave_mm * (np.sin(x / 17.0 + one) + 0.6 * np.sin(x / 9.0 + two))
        edge = edge + self.notch_mm * np.exp(-(((x - self.notch_x) / 9.0) ** 2))
        behind = np.maximum(62.0 * size - y, 0.0)
        height = 44.0 * size
        rise = height * (1.0 - np.exp(-self.slope * behind / height))
        renal = 34.0 * size * _step((-(y / size) - 5.0) / 50.0) * _step((x / size - 20.0) / 50.0)
        return np.asarray(edge + rise - renal)

    def world(self, points_mm: Float64[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points 3"]:
        """World positions of points in the liver's frame."""
        c, s = np.cos(self.turn_rad), np.sin(self.turn_rad)
        turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        return np.asarray((points_mm - _PIVOT_MM) @ turn.T + _PIVOT_MM)


@runtime_checkable
class LiverBed(Protocol):
    """What the gallbladder and the ducts need to know about a liver, drawn or given."""

    @property
    def size(self) -> float:
        """Multiplies all lengths; 1 is a usual liver."""

    def face_mm(
        self, x: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Height (z) of the lower face in the liver's frame."""

    def world(self, points_mm: Float64[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points 3"]:
        """World positions of points in the liver's frame."""


def sample_liver(settings: LiverSettings, notch_x: float, rng: np.random.Generator) -> Liver:
    """Draw one liver; the notch lies where the falciform ligament is."""
    first, second = rng.uniform(0, 2 * np.pi, 2).tolist()
    return Liver(
        size=draw(settings.size, rng),
        left=draw(settings.left_lobe, rng),
        slope=float(np.tan(np.radians(draw(settings.edge_angle_deg, rng)))),
        wave_mm=draw(settings.edge_wave_mm, rng),
        wave_phase=(first, second),
        notch_mm=draw(settings.notch_mm, rng),
        notch_x=notch_x,
        turn_rad=float(np.radians(draw(settings.lift_deg, rng))),
        nodules_mm=draw(settings.nodules_mm, rng),
        fat=draw(settings.fat, rng),
        seed=int(rng.integers(2**31)),
    )


def _step(t: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    t = np.clip(t, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def liver_volume(liver: Liver, room: Volume, step_mm: float) -> Volume:
    """The liver as a body, cut off where it would leave the room."""
    size = liver.size
    grid = grid_over((-125 * size, -90 * size, -85 * size), (155 * size, 110, 115 * size), step_mm)
    x, y, z = _into_liver(liver, grid)
    lobes = smooth_min(_right(liver, x, y, z), _left(liver, x, y, z), 30.0)
    lobes = lobes + _swell(liver, x, y, z)
    lower = (liver.face_mm(x, y) - z) / np.float32(np.hypot(1.0, 0.7 * liver.slope))
    lower = lower + 0.6 * _swell(liver, y, x, z)
    values = smooth_max(lobes, lower, _EDGE_ROUND_MM)
    body = Volume(grid, np.minimum(values, 24.0).astype(np.float32))
    return kept_inside(body, room, 1.0, 10.0)


def _swell(liver: Liver, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Slow unevenness of the large faces, mm."""
    one, two = liver.wave_phase
    along = np.sin(x / 15.0 + one) * np.sin(y / 21.0 + two) + np.sin(z / 17.0 + one + two)
    return np.asarray(1.3 * along, dtype=np.float32)


def drawn_up(body: Volume, bladder: Volume) -> Volume:
    """Let the liver's capsule climb a little way up the gallbladder, as the peritoneum does."""
    beside = bladder.on(body.grid)
    values = smooth_min(body.values, beside + np.float32(2.5), 11.0)  # meets it at an angle
    return Volume(body.grid, np.where(beside < FAR_MM, values, body.values).astype(np.float32))


def _into_liver(liver: Liver, grid: Grid) -> tuple[Float32[np.ndarray, "..."], ...]:
    """The samples' coordinates in the liver's own frame."""
    x, y, z = grid.axes()
    c, s = np.float32(np.cos(liver.turn_rad)), np.float32(np.sin(liver.turn_rad))
    v, w = y - np.float32(_PIVOT_MM[1]), z - np.float32(_PIVOT_MM[2])
    # The edge lies in front of and below the pivot: lifting it turns front to head.
    return x, c * v + s * w + np.float32(_PIVOT_MM[1]), -s * v + c * w + np.float32(_PIVOT_MM[2])


def _right(liver: Liver, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    size = liver.size
    middle_z = 25.0 * size
    return ellipsoid(
        (x, y, np.where(z < middle_z, middle_z + (z - middle_z) * 0.58, z)),
        (45.0 * size, -6.0 * size, middle_z),
        (96.0 * size, 72.0 * size, 84.0 * size),
    )


def _left(liver: Liver, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    size = liver.size
    reach = 76.0 * size * liver.left
    middle_z = 46.0 * size
    return ellipsoid(
        (x, y, np.where(z < middle_z, middle_z + (z - middle_z) * 0.7, z)),
        (-28.0 * size, 20.0 * size, middle_z),
        (reach, 36.0 * size, 44.0 * size * np.sqrt(liver.left)),
    )


def liver_organ(liver: Liver, body: Volume) -> Organ:
    """The liver's surface with its capsule's unevenness and disease."""
    organ = organ_from("liver", LIVER_LABEL, "liver", body, smoothing=8)
    points = organ.vertices_mm
    sunk = 0.35 * np.clip(smooth_noise(points, 22.0, liver.seed) + 1.0, 0.0, 2.0)
    if liver.nodules_mm > 0:
        height, _ = lobules(points, 5.0 + 2.0 * liver.nodules_mm, liver.seed + 1)
        sunk = sunk + liver.nodules_mm * (1.0 - height)
    organ = shifted_along_normals(organ, -sunk)
    light = 0.05 * smooth_noise(points, 35.0, liver.seed + 2) + 0.35 * liver.fat
    return tinted(organ, light, warm=0.05 * liver.fat)

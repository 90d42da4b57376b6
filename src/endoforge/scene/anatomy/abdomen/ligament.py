# SPDX-License-Identifier: Apache-2.0
"""The falciform ligament: a thin sheet between liver and front wall, with the round ligament."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32

from endoforge.distributions import draw
from endoforge.scene.anatomy.abdomen.organs import Organ, organ_from, shifted_along_normals, tinted
from endoforge.scene.anatomy.abdomen.relief import lobules, smooth_noise
from endoforge.scene.anatomy.abdomen.settings import LigamentSettings
from endoforge.scene.anatomy.abdomen.volumes import Volume, tube_volume
from endoforge.scene.anatomy.curves import unit

LIGAMENT_LABEL = 5

_ROWS, _COLUMNS = 56, 40


@dataclass(frozen=True)
class Ligament:
    """Measures of one falciform ligament.

    Attributes:
        x_mm: Where its plane lies.
        thickness_mm: Of the sheet.
        fat: Fat along its free edge.
        wave_mm: How far it waves out of its plane.
        seed: Unevenness.
    """

    x_mm: float
    thickness_mm: float
    fat: float
    wave_mm: float
    seed: int


def sample_ligament(settings: LigamentSettings, rng: np.random.Generator) -> Ligament:
    """Draw one ligament."""
    return Ligament(
        x_mm=draw(settings.aside_mm, rng),
        thickness_mm=draw(settings.thickness_mm, rng),
        fat=draw(settings.fat, rng),
        wave_mm=float(rng.uniform(1.5, 4.0)),
        seed=int(rng.integers(2**31)),
    )


def ligament_organs(ligament: Ligament, liver: Volume, room: Volume) -> list[Organ]:
    """The sheet and the fatty cord along its free edge."""
    middle = _sheet(ligament, liver, room)
    normal = unit(np.cross(np.gradient(middle, axis=0), np.gradient(middle, axis=1)))
    half = 0.5 * ligament.thickness_mm
    points = np.concatenate(
        [(middle + half * normal).reshape(-1, 3), (middle - half * normal).reshape(-1, 3)]
    )
    faces = _plate_faces(_ROWS, _COLUMNS)
    vertices = points.astype(np.float32)
    cord = _cord(ligament, middle[0], liver, room)
    sheet = Organ(
        "falciform ligament", LIGAMENT_LABEL, "ligament", vertices, faces,
        np.ones_like(vertices), cord.volume,
    )  # fmt: skip
    return [tinted(sheet, 0.05 * smooth_noise(vertices, 30.0, ligament.seed)), cord]


def _sheet(
    ligament: Ligament, liver: Volume, room: Volume
) -> Float64[np.ndarray, "rows columns 3"]:
    """Points from liver (first column) to wall (last), from the free edge (first row) upwards."""
    eye = np.array([ligament.x_mm, 5.0, 48.0])
    angle = np.radians(np.linspace(-42.0, 78.0, _ROWS))
    from_liver = _leaves(liver, eye, angle, 0.6)
    bent = angle - np.radians(11.0) * np.linspace(1, 0, _ROWS) ** 2
    to_wall = _leaves(room, eye, bent, 0.6)
    share = np.linspace(0, 1, _COLUMNS)[None, :, None]
    points = from_liver[:, None] * (1 - share) + to_wall[:, None] * share
    reach = np.linalg.norm(to_wall - from_liver, axis=1)[:, None]
    bulge = np.sin(np.pi * share[..., 0]) * np.minimum(reach / 25.0, 1.0)
    flat = points.reshape(-1, 3) * (1.0, 1.0, 1.0)
    wave = smooth_noise(flat, 80.0, ligament.seed + 5).reshape(_ROWS, _COLUMNS)
    points[..., 0] += ligament.wave_mm * wave * bulge
    return points


def _leaves(
    body: Volume, eye: Float64[np.ndarray, "3"], angle: Float64[np.ndarray, "rows"], deeper: float
) -> Float64[np.ndarray, "rows 3"]:
    """Where rays in the plane of the ligament leave a body for good."""
    way = np.stack([np.zeros_like(angle), np.cos(angle), np.sin(angle)], axis=1)
    reach = np.arange(0.0, 240.0, 0.5)
    points = eye + reach[None, :, None] * way[:, None]
    inside = body.at(points.reshape(-1, 3)).reshape(len(angle), -1) < 0
    last = inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1)
    last = np.where(inside.any(axis=1), last, 0)
    sign = 1.0 if body.at(eye[None])[0] < 0 else 0.0
    return np.asarray(eye + (reach[last] + sign * deeper)[:, None] * way)


def _plate_faces(rows: int, columns: int) -> Int32[np.ndarray, "faces 3"]:
    """Two grids of points, front then back, closed around their rim."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    front = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    back = front[:, ::-1] + rows * columns
    rim = np.concatenate([index[0, :-1], index[:-1, -1], index[-1, :0:-1], index[:0:-1, 0]])
    after = np.roll(rim, -1)
    side = [np.stack([rim, after, after + rows * columns], 1)]
    side.append(np.stack([rim, after + rows * columns, rim + rows * columns], 1))
    return np.concatenate([front, back, *side]).astype(np.int32)


def _cord(
    ligament: Ligament, edge: Float64[np.ndarray, "columns 3"], liver: Volume, room: Volume
) -> Organ:
    share = np.linspace(0, 1, len(edge))
    radius = 2.2 + 4.5 * ligament.fat * (0.5 + 0.5 * np.sin(np.pi * np.clip(1.2 * share, 0, 1)))
    dense = np.stack([np.interp(np.linspace(0, 1, 160), share, edge[:, k]) for k in range(3)], 1)
    body = tube_volume(dense, np.interp(np.linspace(0, 1, 160), share, radius), 1.25)
    organ = organ_from("round ligament", LIGAMENT_LABEL, "fat", body, smoothing=4)
    height, own = lobules(organ.vertices_mm, 6.0, ligament.seed)
    organ = shifted_along_normals(organ, -1.1 * ligament.fat * (1 - height))
    return tinted(organ, 0.06 * own)

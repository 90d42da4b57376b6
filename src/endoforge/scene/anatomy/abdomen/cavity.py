# SPDX-License-Identifier: Apache-2.0
"""The room that the gas opens: abdominal wall, diaphragm and floor, closed all around.

The world's frame is that of the patient: +x to the right, +y to the front, +z to the head. x = 0 is
the midline; y = 0 the middle of the body before it was blown up; z = 0 the neck of the gallbladder.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import draw
from endoforge.scene.anatomy.abdomen.organs import MATERIALS, Organ, organ_from, tinted
from endoforge.scene.anatomy.abdomen.relief import smooth_noise
from endoforge.scene.anatomy.abdomen.settings import CavitySettings
from endoforge.scene.anatomy.abdomen.volumes import Volume, grid_over, smooth_max

WALL_LABEL, DIAPHRAGM_LABEL = 3, 13

_POWER = 2.5
_COARSE = 2.5  # the wall is smooth: its grid is this much coarser
_COSTAL_MM = 25.0


@dataclass(frozen=True)
class Cavity:
    """Measures of one cavity; lengths in mm, angles in radians.

    Attributes:
        half_width: From the midline to a flank.
        front: Front wall above y = 0.
        back: Back wall below y = 0.
        top: z of the diaphragm's dome.
        bottom: z of the lower end.
        waist: z where it is widest.
        spine: How far the spine stands into it.
        seed: Unevenness.
        gravity: Unit direction of gravity in the world.
    """

    half_width: float
    front: float
    back: float
    top: float
    bottom: float
    waist: float
    spine: float
    seed: int
    gravity: tuple[float, float, float]


def sample_cavity(settings: CavitySettings, rng: np.random.Generator) -> Cavity:
    """Draw the room of one abdomen."""
    height = draw(settings.height_mm, rng)
    top = float(rng.uniform(100.0, 112.0))
    return Cavity(
        half_width=0.5 * draw(settings.width_mm, rng),
        front=draw(settings.lift_mm, rng),
        back=draw(settings.depth_mm, rng),
        top=top,
        bottom=top - height,
        waist=float(rng.uniform(-70.0, -50.0)),
        spine=float(rng.uniform(12.0, 22.0)),
        seed=int(rng.integers(2**31)),
        gravity=_gravity(draw(settings.head_up_deg, rng), draw(settings.left_down_deg, rng)),
    )


def _gravity(head_up_deg: float, left_down_deg: float) -> tuple[float, float, float]:
    """Down in the frame of a patient on the back whose table is tilted."""
    up, left = np.radians(head_up_deg), np.radians(left_down_deg)
    down = np.array([-np.sin(left), -np.cos(left) * np.cos(up), -np.cos(left) * np.sin(up)])
    x, y, z = (down / np.linalg.norm(down)).tolist()
    return x, y, z


def fitted(cavity: Cavity, points_mm: Float64[np.ndarray, "points 3"]) -> Cavity:
    """Widen a room until given points lie inside, with some space around them."""
    x, y, z = points_mm.T
    wider = replace(
        cavity,
        half_width=max(cavity.half_width, 1.05 * float(np.abs(x).max())),
        front=max(cavity.front, float(y.max()) + 25.0),
        back=max(cavity.back, 1.05 * float(-y.min())),
        top=max(cavity.top, float(z.max()) + 2.0),
        bottom=min(cavity.bottom, float(z.min()) - 5.0),
        spine=0.0,
    )
    depth = np.where(y > 0, wider.front, wider.back)
    length = np.where(z > wider.waist, wider.top - wider.waist, wider.waist - wider.bottom)
    ratio = np.stack([np.abs(x) / wider.half_width, np.abs(y) / depth])
    ratio = np.concatenate([ratio, [np.abs(z - wider.waist) / length]])
    grow = max(1.06 * float(((ratio**_POWER).sum(axis=0) ** (1 / _POWER)).max()), 1.0)
    return replace(
        wider,
        half_width=wider.half_width * grow,
        front=wider.front * grow,
        back=wider.back * grow,
        top=wider.waist + (wider.top - wider.waist) * grow,
        bottom=wider.waist + (wider.bottom - wider.waist) * grow,
    )


def cavity_volume(cavity: Cavity, step_mm: float) -> Volume:
    """The room as a body: negative where gas and organs are."""
    margin = 8.0
    low = (-cavity.half_width - margin, -cavity.back - margin, cavity.bottom - margin)
    high = (cavity.half_width + margin, cavity.front + margin, cavity.top + margin)
    grid = grid_over(low, high, step_mm)
    x, y, z = grid.axes()
    depth = np.where(y > 0, cavity.front, cavity.back).astype(np.float32)
    length = np.where(z > cavity.waist, cavity.top - cavity.waist, cavity.waist - cavity.bottom)
    dent = 0.05 * np.exp(-((x + 25.0) ** 2) / 1800.0)  # the heart lies on the diaphragm there
    ratio = [np.abs(x) / cavity.half_width, np.abs(y) / depth]
    ratio.append(np.abs(z - cavity.waist) / length * (1 + np.where(z > 0, dent, 0)))
    reach = sum(np.asarray(r, np.float32) ** _POWER for r in ratio) ** (1 / _POWER)
    thickness = np.minimum(np.minimum(cavity.half_width, depth), length).astype(np.float32)
    room = (reach - 1.0) * thickness
    spine = 34.0 - np.sqrt(x**2 + (y + cavity.back + 34.0 - cavity.spine) ** 2)
    room = smooth_max(room, np.broadcast_to(spine, room.shape), 25.0)
    return Volume(grid, np.minimum(room, 24.0).astype(np.float32))


def wall_organ(cavity: Cavity, room: Volume) -> Organ:
    """The inner face of the wall as a closed surface that faces inwards."""
    step = room.grid.step_mm * _COARSE
    coarse = grid_over(room.grid.origin_mm, room.grid.high_mm, step)
    organ = organ_from(
        "abdominal wall", WALL_LABEL, "abdominal wall", Volume(coarse, room.on(coarse))
    )
    organ = replace(organ, faces=np.ascontiguousarray(organ.faces[:, ::-1]), volume=room)
    return tinted(organ, 0.05 * smooth_noise(organ.vertices_mm, 45.0, cavity.seed))


def is_diaphragm(cavity: Cavity, points_mm: Float64[np.ndarray, "points 3"]) -> np.ndarray:
    """True above the costal margin, which runs down towards the flanks and the back."""
    x, y, z = points_mm.T
    margin = _COSTAL_MM - 0.30 * np.abs(x) + 0.35 * np.clip(y, -60, 90)
    return np.asarray(z > margin)


def diaphragm_material() -> int:
    """Index of the diaphragm's material."""
    return MATERIALS.index("diaphragm")

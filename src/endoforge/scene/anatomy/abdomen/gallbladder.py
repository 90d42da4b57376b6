# SPDX-License-Identifier: Apache-2.0
"""The gallbladder under the liver: fundus, body, neck with Hartmann's pouch."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import draw
from endoforge.scene.anatomy.abdomen.liver import LiverBed
from endoforge.scene.anatomy.abdomen.organs import Organ, organ_from, shifted_along_normals, tinted
from endoforge.scene.anatomy.abdomen.relief import smooth_noise
from endoforge.scene.anatomy.abdomen.settings import GallbladderSettings
from endoforge.scene.anatomy.abdomen.volumes import FAR_MM, Volume, smooth_min, tube_volume
from endoforge.scene.anatomy.curves import resample

GALLBLADDER_LABEL = 2


@dataclass(frozen=True, eq=False)
class Gallbladder:
    """One gallbladder, in the world.

    Attributes:
        axis_mm: From the fundus to the neck.
        radius_mm: At each point of the axis.
        pouch_mm: Middle of Hartmann's pouch.
        pouch_radius_mm: Its size.
        outlet_mm: Where the cystic duct begins.
        inflammation: 0 to 1.
        seed: Unevenness.
    """

    axis_mm: Float64[np.ndarray, "points 3"]
    radius_mm: Float64[np.ndarray, "points"]
    pouch_mm: Float64[np.ndarray, "3"]
    pouch_radius_mm: float
    outlet_mm: Float64[np.ndarray, "3"]
    inflammation: float
    seed: int


def sample_gallbladder(
    settings: GallbladderSettings, liver: LiverBed, rng: np.random.Generator
) -> Gallbladder:
    """Draw a gallbladder that lies along the lower face of a liver."""
    length, width = draw(settings.length_mm, rng), draw(settings.width_mm, rng)
    size = liver.size
    neck = np.array([38.0, -4.0]) * size + rng.uniform(-4, 4, 2)
    way = np.array([0.33, 0.94]) + rng.uniform(-0.12, 0.12, 2)
    share = np.linspace(1.0, 0.0, 60)  # from the fundus
    flat = neck + share[:, None] * (way / np.linalg.norm(way)) * length * 0.74
    radius = 0.5 * width * _profile(share)
    above = liver.face_mm(flat[:, 0], np.minimum(flat[:, 1], 56.0 * size))
    # embedded 0.5: the axis lies in the liver's face; the fundus passes free below the edge
    free = np.clip((share - 0.45) / 0.4, 0.0, 1.0)
    embedded = draw(settings.embedded, rng) * (1.0 - 0.85 * free * free * (3.0 - 2.0 * free))
    z = above - (1.0 - 2.0 * embedded) * radius
    axis = liver.world(np.column_stack([flat, z]))
    pouch = draw(settings.pouch, rng)
    down = np.array([-0.35, -0.15, -0.9])
    middle = axis[-8] + down * (3.0 + 4.0 * pouch)
    return Gallbladder(
        axis_mm=axis,
        radius_mm=radius,
        pouch_mm=middle,
        pouch_radius_mm=float(4.0 + 5.0 * pouch) * width / 33.0,
        outlet_mm=axis[-1] + np.array([-4.0, -2.0, -2.0]),
        inflammation=draw(settings.inflammation, rng),
        seed=int(rng.integers(2**31)),
    )


def _profile(share: Float64[np.ndarray, "points"]) -> Float64[np.ndarray, "points"]:
    """Radius along the axis, 0 the neck to 1 the fundus's tip."""
    body = 0.22 + 0.78 * np.sin(0.5 * np.pi * np.clip(share / 0.72, 0, 1)) ** 1.3
    return np.asarray(body * np.where(share > 0.72, 1 - 0.18 * ((share - 0.72) / 0.28) ** 2, 1.0))


def gallbladder_volume(gallbladder: Gallbladder, step_mm: float) -> Volume:
    """The gallbladder as a body."""
    axis = resample(gallbladder.axis_mm, 1.2)
    old = np.linspace(0, 1, len(gallbladder.axis_mm))
    radius = np.interp(np.linspace(0, 1, len(axis)), old, gallbladder.radius_mm)
    # Tube points begin a radius before the end, so that the length is kept.
    body = tube_volume(axis, radius, step_mm, margin_mm=14.0)
    x, y, z = body.grid.axes()
    away = [(a - np.float32(p)) ** 2 for a, p in zip((x, y, z), gallbladder.pouch_mm, strict=True)]
    pouch = np.sqrt(away[0] + away[1] + away[2]) - np.float32(gallbladder.pouch_radius_mm)
    values = smooth_min(body.values, pouch, 8.0)
    return Volume(body.grid, np.minimum(values, FAR_MM).astype(np.float32))


def gallbladder_organ(gallbladder: Gallbladder, body: Volume) -> Organ:
    """The gallbladder's surface; inflammation makes it uneven and red."""
    organ = organ_from("gallbladder", GALLBLADDER_LABEL, "gallbladder", body)
    points, red = organ.vertices_mm, gallbladder.inflammation
    noise = smooth_noise(points, 22.0, gallbladder.seed)
    organ = shifted_along_normals(organ, -(0.2 + 0.6 * red) * np.clip(noise + 1.0, 0, 2))
    organ = tinted(organ, 0.06 * smooth_noise(points, 20.0, gallbladder.seed + 1) - 0.15 * red)
    blush = red * (0.5 + 0.25 * np.clip(smooth_noise(points, 18.0, gallbladder.seed + 2), -2, 2))
    colour = np.stack([1 - 0.1 * blush, 1 - 0.35 * blush, 1 - 0.38 * blush], axis=1)
    tint = np.clip(organ.tint * colour, 0.2, 1.8).astype(np.float32)
    return replace(organ, tint=tint)

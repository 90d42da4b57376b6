# SPDX-License-Identifier: Apache-2.0
"""Stool: clumps and specks that lie on the wall, mostly where it is low."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import draw, draw_count
from endoforge.scene.anatomy.bodies import Form, Ground, Look, Site, body_surface
from endoforge.scene.anatomy.findings_settings import StoolSettings
from endoforge.scene.records import Surface

STOOL_LABEL = 8

_AXIS_MM = 7.0
_TRIES = 4


@dataclass(frozen=True, eq=False)
class Clump:
    """One piece of stool before it has a place.

    Attributes:
        width_mm: Its mean width.
        length: Its length as a share of its width.
        turn_rad: Direction of its length in the wall's plane.
        height: Its height as a share of its width.
        lobes: Plane waves that make it uneven: direction times frequency.
        lobe_phase: Their phases.
        depth: Their size as a share of the radius.
        tint: Multiplies the stool's albedo.
    """

    width_mm: float
    length: float
    turn_rad: float
    height: float
    lobes: Float64[np.ndarray, "waves 3"]
    lobe_phase: Float64[np.ndarray, "waves"]
    depth: float
    tint: Float64[np.ndarray, "3"]


def sample_stool(
    settings: StoolSettings, rng: np.random.Generator
) -> tuple[tuple[Clump, ...], tuple[Clump, ...]]:
    """Draw the clumps and the specks."""
    clumps = [
        _sample(draw(settings.clump_mm, rng), rng) for _ in range(draw_count(settings.clumps, rng))
    ]
    specks = [
        _sample(draw(settings.speck_mm, rng), rng) for _ in range(draw_count(settings.specks, rng))
    ]
    return tuple(clumps), tuple(specks)


def _sample(width_mm: float, rng: np.random.Generator) -> Clump:
    return Clump(
        width_mm=width_mm,
        length=float(rng.uniform(1.0, 1.6)),
        turn_rad=float(rng.uniform(0, np.pi)),
        height=float(rng.uniform(0.14, 0.4)),
        lobes=rng.normal(0.0, 3.4, (12, 3)),
        lobe_phase=rng.uniform(0, 2 * np.pi, 12),
        depth=float(rng.uniform(0.1, 0.24)),
        tint=rng.uniform(0.75, 1.15) * rng.uniform(0.95, 1.05, 3),
    )


def clump_surface(clump: Clump, site: Site, instance: int, material: int) -> Surface:
    """An uneven heap on the wall; small ones have few triangles."""
    r = clump.width_mm / 2
    columns = int(np.clip(2 * np.pi * r / 0.45, 8, 72)) // 2 * 2
    rows = int(np.clip(2 * r / 0.45, 4, 34))
    fall = np.linspace(0.15, 0.5 * np.pi + 0.5, rows)[:, None]
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    place = np.stack(
        np.broadcast_arrays(np.sin(fall) * np.cos(turn), np.sin(fall) * np.sin(turn), np.cos(fall)),
        axis=-1,
    )
    wave = np.sin(place @ clump.lobes.T + clump.lobe_phase).sum(-1) / np.sqrt(6.0)
    grown = r * (1 + clump.depth * wave)[..., None] * place
    c, s = np.cos(clump.turn_rad), np.sin(clump.turn_rad)
    x, y = grown[..., 0] * clump.length, grown[..., 1]
    height = 2 * clump.height * (grown[..., 2] + 0.25 * r)
    top = 2 * clump.height * float(grown[0, :, 2].mean() + 0.27 * r)
    tint = clump.tint * (1 + 0.12 * np.append(wave.ravel(), [0.0, 0.0]))[:, None]
    look = Look(STOOL_LABEL, material, tint.astype(np.float32))
    form = Form(c * x - s * y, s * x + c * y, height, (0.0, 0.0, top), follow_mm=1.5)
    return body_surface(form, site, look, instance)


def place_clump(
    clump: Clump, ground: Ground, up: Float64[np.ndarray, "3"], rng: np.random.Generator
) -> Site | None:
    """Draw a low-lying place that leaves the axis free; None if a few tries find none."""
    reach = clump.width_mm * clump.length * 0.5 + clump.width_mm * clump.height + _AXIS_MM
    for _ in range(_TRIES):
        site = ground.draw_site(rng, 3 if clump.width_mm < 2 else 8, up)
        if np.linalg.norm(ground.axis_mm - site.point_mm, axis=1).min() > reach:
            return site
    return None

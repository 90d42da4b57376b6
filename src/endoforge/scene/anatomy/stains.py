# SPDX-License-Identifier: Apache-2.0
"""Blood and yellow mucus lying on the wall, as two shares of each vertex."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64

from endoforge.distributions import draw, draw_count
from endoforge.scene.anatomy.findings_settings import StainSettings
from endoforge.scene.records import Surface

BLOOD, BILE = 0, 1


@dataclass(frozen=True, eq=False)
class Stain:
    """One patch before it has a place.

    Attributes:
        kind: Column of `Surface.stain`: blood or bile, as which yellow mucus is drawn.
        width_mm: Its width.
        run: How much longer it is downhill than wide.
        strength: Largest share, 0 to 1.
        waves: Frequencies of its uneven edge, per mm.
        phase: Their phases, radians.
    """

    kind: int
    width_mm: float
    run: float
    strength: float
    waves: Float64[np.ndarray, "waves 3"]
    phase: Float64[np.ndarray, "waves"]


def sample_stains(settings: StainSettings, rng: np.random.Generator) -> tuple[Stain, ...]:
    """Draw the patches."""
    kinds = [BLOOD] * draw_count(settings.blood, rng) + [BILE] * draw_count(settings.mucus, rng)
    return tuple(_sample(kind, settings, rng) for kind in kinds)


def _sample(kind: int, settings: StainSettings, rng: np.random.Generator) -> Stain:
    width = draw(settings.width_mm, rng) * (0.6 if kind == BLOOD else 1.0)
    return Stain(
        kind=kind,
        width_mm=width,
        run=float(rng.uniform(1.0, 3.0)),
        strength=float(rng.uniform(0.6, 1.0) if kind == BLOOD else rng.uniform(0.25, 0.7)),
        waves=rng.normal(0.0, 4.0 / width, (9, 3)),
        phase=rng.uniform(0, 2 * np.pi, 9),
    )


def stained(
    surface: Surface,
    stains: tuple[Stain, ...],
    up: Float64[np.ndarray, "3"],
    rng: np.random.Generator,
) -> Surface:
    """Lay the patches on a surface, each around a vertex drawn for it."""
    if not stains:
        return surface
    vertices = np.asarray(surface.vertices_mm, dtype=np.float64)
    total = np.zeros((len(vertices), 2)) if surface.stain is None else surface.stain.astype(float)
    for stain in stains:
        middle = int(rng.integers(len(vertices)))
        off = vertices - vertices[middle]
        near = np.flatnonzero((np.abs(off) < 1.6 * stain.run * stain.width_mm).all(axis=1))
        share = stain_share(stain, off[near], surface.normals[middle], up)
        total[near, stain.kind] = np.maximum(total[near, stain.kind], share)
    return replace(surface, stain=np.clip(total, 0.0, 1.0).astype(np.float32))


def stain_share(
    stain: Stain,
    off_mm: Float64[np.ndarray, "near 3"],
    normal: Float32[np.ndarray, "3"],
    up: Float64[np.ndarray, "3"],
) -> Float64[np.ndarray, "near"]:
    """How much of each place a patch covers: longer downhill, uneven at its edge.

    Only this side of a fold is covered.

    Args:
        stain: The patch.
        off_mm: Places from its middle.
        normal: The surface's, in the middle.
        up: Unit direction against gravity.
    """
    downhill = -(up - (up @ normal) * normal)
    length = float(np.linalg.norm(downhill))
    along = off_mm @ (downhill / max(length, 1e-9))
    run = 1.0 + (stain.run - 1.0) * length * (along > 0)
    squared = (off_mm**2).sum(axis=1) - along**2 + (along / run) ** 2
    noise = np.sin(off_mm @ stain.waves.T + stain.phase).sum(axis=1) / 3.0
    edge = 1.0 - np.sqrt(np.maximum(squared, 0.0)) / (0.5 * stain.width_mm) + 0.35 * noise
    level = np.abs(off_mm @ normal) < 0.5 * stain.width_mm
    return np.asarray(stain.strength * level * np.clip(edge / 0.35, 0.0, 1.0))

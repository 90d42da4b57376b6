# SPDX-License-Identifier: Apache-2.0
"""The scene's tissues as one table, a row for each, and all their patterns in one buffer.

Import this file after `render.engine.start`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np

from endoforge.optics import texture as pattern
from endoforge.optics.tissue import Tissue
from endoforge.render.arrays import aligned

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: Texels of one pattern, all levels together.
TEXELS = sum((pattern.SIZE >> level) ** 2 for level in range(pattern.LEVELS))

_PACKET, _PACKETS = 8, 3


@dataclass(frozen=True, eq=False)
class Materials:
    """The tissues on the device.

    Attributes:
        table: Three packets of eight numbers for each tissue, in the order of `row_of`.
        words: Two whole numbers of four bytes per texel, pattern after pattern.
    """

    table: Any
    words: Any


@dataclass(frozen=True, eq=False)
class Material:
    """One tissue per lane; the names are those of `optics.tissue.Tissue`."""

    albedo: Any
    coarse_vessels: Any
    fine_vessels: Any
    mottling: Any
    relief: Any
    roughness: Any
    f0: Any
    softness: Any
    edge_glow: Any
    interreflection: Any
    tile_mm: Any
    pattern: Any
    film_colour: Any
    film_variation: Any


def row_of(tissue: Tissue, number: int) -> list[float]:
    """The numbers of a tissue with the number of its pattern, as `material_at` reads them."""
    return [
        *tissue.albedo,
        tissue.coarse_vessels,
        tissue.fine_vessels,
        tissue.mottling,
        tissue.relief,
        tissue.roughness,
        tissue.f0,
        *tissue.softness,
        tissue.edge_glow,
        tissue.interreflection,
        tissue.tile_mm,
        float(number),
        *tissue.film_colour,
        tissue.film_variation,
        *([0.0] * 4),
    ]


def upload_materials(tissues: Sequence[Tissue]) -> Materials:
    """Put all tissues on the device; tissues with the same pattern share it."""
    keys = list(dict.fromkeys((tissue.texture_seed, tissue.pattern) for tissue in tissues))
    rows = [row_of(t, keys.index((t.texture_seed, t.pattern))) for t in tissues]
    patterns = [pattern.tissue_texture(*key).packed().view(np.uint32) for key in keys]
    materials = Materials(
        table=mi.Float(aligned(np.array(rows, np.float32))),
        words=mi.UInt32(aligned(np.concatenate(patterns))),
    )
    dr.eval(materials.table, materials.words)
    return materials


def material_at(materials: Materials, index: Any, active: Any) -> Material:
    """Read the tissue of every lane."""
    width = dr.width(index)
    v: list[Any] = []
    for k in range(_PACKETS):
        place = index * _PACKETS + k
        part = dr.gather(mi.ArrayXf, materials.table, place, active, shape=(_PACKET, width))
        v += [part[j] for j in range(_PACKET)]
    return Material(
        albedo=mi.Color3f(*v[0:3]),
        coarse_vessels=v[3],
        fine_vessels=v[4],
        mottling=v[5],
        relief=v[6],
        roughness=v[7],
        f0=v[8],
        softness=mi.Color3f(*v[9:12]),
        edge_glow=v[12],
        interreflection=v[13],
        tile_mm=dr.select(active, v[14], 1),
        pattern=mi.UInt32(v[15]),
        film_colour=mi.Color3f(*v[16:19]),
        film_variation=v[19],
    )

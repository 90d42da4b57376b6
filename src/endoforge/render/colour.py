# SPDX-License-Identifier: Apache-2.0
"""What covers each hit: the tissue's own colour with its vessels, then blood and bile on it.

Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.optics.tissue import COARSE_TRANSMISSION, FILM_SPAN_LOG2, FINE_TRANSMISSION
from endoforge.render import constants as fixed
from endoforge.render.hits import Hit
from endoforge.render.materials import Material
from endoforge.render.pattern import Skin

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba


@dataclass(frozen=True, eq=False)
class Coat:
    """The outermost layer: its albedo, and the shape and reflectance of its wet film."""

    albedo: Any
    relief: Any
    roughness: Any
    f0: Any


def coat_of(hit: Hit, skin: Skin, material: Material) -> Coat:
    """Tissue, then bile over it, then blood over both."""
    blood, bile = (layer(amount, skin.blotch) for amount in (hit.blood, hit.bile))
    albedo = covered(tissue_colour(hit, skin, material), bile, fixed.BILE_COLOUR)
    albedo = covered(albedo, blood, fixed.BLOOD_COLOUR)
    wet = 1 - (1 - blood) * (1 - bile)
    return Coat(
        albedo=albedo,
        relief=material.relief * (1 - fixed.LAYER_FILLS * wet),
        roughness=dr.lerp(film_roughness(skin, material), fixed.LAYER_ROUGHNESS, wet),
        f0=dr.lerp(material.f0 * material.film_colour, mi.Color3f(fixed.LAYER_F0), wet),
    )


def film_roughness(skin: Skin, material: Material) -> Any:
    """Roughness of a film that lies unevenly."""
    exponent = material.film_variation * dr.fma(2, skin.film, -1)
    return material.roughness * dr.exp2(exponent * FILM_SPAN_LOG2)


def layer(amount: Any, blotch: Any) -> Any:
    """How much of a hit a stain covers; the border is frayed by the pattern's blotches."""
    frayed = dr.clip(amount + fixed.LAYER_FRAY * (blotch - 0.5) * 4 * amount * (1 - amount), 0, 1)
    return dr.square(frayed) * (3 - 2 * frayed)


def covered(albedo: Any, share: Any, colour: tuple[float, float, float]) -> Any:
    """Albedo under a layer."""
    return albedo + share * (mi.Color3f(*colour) - albedo)


def tissue_colour(hit: Hit, skin: Skin, material: Material) -> Any:
    """Albedo with blotches, patches and vessels, times the mesh's tint."""
    coarse = material.coarse_vessels * skin.coarse
    fine = material.fine_vessels * skin.fine
    colour = []
    for channel in range(3):
        kept = 1 - coarse * (1 - COARSE_TRANSMISSION[channel])
        kept *= 1 - fine * (1 - FINE_TRANSMISSION[channel])
        kept *= 1 - material.mottling * fixed.PATCH_COLOUR[channel] * skin.patch
        kept *= 1 + material.mottling * (2 * skin.blotch - 1)
        colour.append(dr.clip(material.albedo[channel] * hit.tint[channel] * kept, 0, 0.98))
    return mi.Color3f(*colour)

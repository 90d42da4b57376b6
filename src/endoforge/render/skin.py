# SPDX-License-Identifier: Apache-2.0
"""The light of the kernel: soft diffuse tissue with vessels, under a wet film, lit from the tip.

`optics.tissue` states the laws; `render.basic_skin` is the same in slow NumPy, with the same names.
Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.render import constants as fixed
from endoforge.render.colour import Coat, coat_of
from endoforge.render.hits import Hit, World, blocked
from endoforge.render.materials import Material, material_at
from endoforge.render.numbers import Numbers
from endoforge.render.pattern import Skin, read_pattern

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba


@dataclass(frozen=True, eq=False)
class Light:
    """What a hit sends to the eye: radiance = albedo * shading + film."""

    albedo: Any
    shading: Any
    film: Any


def shade(world: World, hit: Hit, numbers: Numbers) -> Light:
    """Light that leaves each hit towards the eye, from the sources beside the lens."""
    material = material_at(world.materials, hit.meaning >> 24, hit.found)
    skin = read_pattern(world, hit, material, numbers)
    coat = coat_of(hit, skin, material)
    diffuse, film, around = from_lamps(world, hit, skin, coat, material, numbers)
    if not numbers.layout.bounces:
        diffuse += material.interreflection * coat.albedo * around
    nothing = mi.Color3f(0)
    return Light(
        albedo=dr.select(hit.found, coat.albedo, nothing),
        shading=dr.select(hit.found, dr.inv_pi * diffuse, nothing),
        film=dr.select(hit.found, film, nothing),
    )


def from_lamps(
    world: World, hit: Hit, skin: Skin, coat: Coat, material: Material, numbers: Numbers
) -> tuple[Any, Any, Any]:
    """Diffuse light, the film's reflection, and light that comes back from around."""
    soft_normal = bend(hit.normal, skin.gradient, coat.relief * fixed.DIFFUSE_RELIEF)
    film_normal = bend(hit.normal, skin.gradient, coat.relief)
    alpha = dr.sqrt(dr.square(coat.roughness) + dr.square(coat.relief) * skin.roughening)
    softness = material.softness
    start = hit.place + fixed.SHADOW_START_MM * hit.normal
    diffuse, film, around = mi.Color3f(0), mi.Color3f(0), mi.Color3f(0)
    for light in range(numbers.layout.lights):
        lamp = mi.Point3f(numbers.vector(f"light{light}_position"))
        toward, squared, power = lamp_light(lamp - hit.place, numbers, f"light{light}_")
        facing = dr.dot(soft_normal, toward)
        lit = hit.found & (facing > -dr.max(softness))
        lit &= ~blocked(world.now, start, lamp, lit)
        arriving = dr.select(lit, power * dr.rcp(squared), 0)
        diffuse += arriving * dr.maximum(facing + softness, 0)
        film += arriving * reflect(film_normal, hit.out, toward, alpha, coat.f0)
        around += power * dr.rcp(squared + fixed.CAVITY_MM**2)
    sideways = 1 - dr.maximum(dr.dot(soft_normal, hit.out), 0)
    glow = dr.fma(material.edge_glow, sideways * sideways * sideways, 1)
    diffuse *= glow * dr.rcp(dr.square(1 + softness))
    return diffuse, film, around


def lamp_light(away: Any, numbers: Numbers, name: str) -> tuple[Any, Any, Any]:
    """Direction to a lamp, squared distance, and radiant intensity that leaves it this way."""
    squared = dr.squared_norm(away)
    toward = away * dr.rsqrt(squared)
    off_axis = 1 + dr.dot(toward, numbers.vector(name + "axis"))
    beam = dr.exp(-numbers.one(name + "mu") * off_axis)
    return toward, squared, mi.Color3f(*numbers(name + "power")) * beam


def reflect(normal: Any, out: Any, toward: Any, alpha: Any, f0: Any) -> Any:
    """GGX with height-correlated Smith masking and Schlick's Fresnel term, times the cosine."""
    half = dr.normalize(out + toward)
    cos_in = dr.maximum(dr.dot(normal, toward), 0)
    cos_out = dr.maximum(dr.dot(normal, out), 1e-3)
    squared = dr.square(alpha)
    spread = dr.fma(dr.square(dr.maximum(dr.dot(normal, half), 0)), squared - 1, 1)
    density = squared * dr.rcp(dr.pi * dr.square(spread))
    masked = cos_out * dr.sqrt(dr.fma(dr.square(cos_in), 1 - squared, squared))
    masked += cos_in * dr.sqrt(dr.fma(dr.square(cos_out), 1 - squared, squared))
    grazing = 1 - dr.maximum(dr.dot(half, out), 0)
    fresnel = f0 + (1 - f0) * dr.square(dr.square(grazing)) * grazing
    return density * fresnel * cos_in * 0.5 * dr.rcp(dr.maximum(masked, 1e-6))


def bend(normal: Any, gradient: Any, slope: Any) -> Any:
    """The normal tilted by the relief."""
    along = gradient - dr.dot(gradient, normal) * normal
    return dr.normalize(normal - slope * along)

# SPDX-License-Identifier: Apache-2.0
"""The light of the kernel: soft diffuse tissue with vessels, under a wet film, lit from the tip.

`optics.tissue` states the laws; `render.basic` is the same in slow NumPy and the names agree.
Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.optics import texture as pattern
from endoforge.optics.tissue import COARSE_TRANSMISSION, FINE_TRANSMISSION
from endoforge.render.buffers import MeshBuffers
from endoforge.render.hits import Hit, Numbers, blocked, rotate_back
from endoforge.render.parameters import (
    CAVITY_MM,
    DIFFUSE_RELIEF,
    FAINTEST_SIDE,
    PATCH_COLOUR,
    SHADOW_START_MM,
    SIDE_SHIFT,
    STEEPEST,
)

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba


@dataclass(frozen=True, eq=False)
class Skin:
    """What the pattern says at a hit, 0 to 1; the gradient is that of a relief of unit slope."""

    coarse: Any
    fine: Any
    blotch: Any
    patch: Any
    gradient: Any  # world frame
    roughening: Any


def shade(mesh: MeshBuffers, hit: Hit, numbers: Numbers, words: Any) -> Any:
    """Radiance towards the camera: soft diffuse, wet film, once-reflected light."""
    skin = read_pattern(hit, numbers, words)
    albedo = tissue_colour(hit, skin, numbers)
    relief = numbers.one("relief")
    soft_normal = bend(hit, skin, relief * DIFFUSE_RELIEF, numbers)
    film_normal = bend(hit, skin, relief, numbers)
    alpha = dr.sqrt(dr.square(numbers.one("roughness")) + dr.square(relief) * skin.roughening)
    softness = mi.Color3f(*numbers("softness"))
    start = hit.place + SHADOW_START_MM * hit.normal_world
    diffuse, film, around = mi.Color3f(0), mi.Color3f(0), mi.Color3f(0)
    for light in range(numbers.layout.lights):
        toward, squared, power = lamp_light(hit, numbers, f"light{light}_")
        facing = dr.dot(soft_normal, toward)
        lit = hit.found & (facing > -dr.max(softness))
        lit &= ~blocked(mesh, start, mi.Point3f(numbers.vector(f"light{light}_world")), lit)
        arriving = dr.select(lit, power * dr.rcp(squared), 0)
        diffuse += arriving * dr.maximum(facing + softness, 0)
        film += arriving * reflect(film_normal, hit.out, toward, alpha, numbers.one("f0"))
        around += power * dr.rcp(squared + CAVITY_MM**2)
    sideways = 1 - dr.maximum(dr.dot(soft_normal, hit.out), 0)
    glow = dr.fma(numbers.one("edge_glow"), sideways * sideways * sideways, 1)
    diffuse *= glow * dr.rcp(dr.square(1 + softness))
    around *= numbers.one("interreflection") * albedo
    return dr.select(hit.found, albedo * dr.inv_pi * (diffuse + around) + film, 0)


def lamp_light(hit: Hit, numbers: Numbers, name: str) -> tuple[Any, Any, Any]:
    """Direction to a lamp, squared distance, and radiant intensity that leaves it this way."""
    away = numbers.vector(name + "position") - hit.point
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


def tissue_colour(hit: Hit, skin: Skin, numbers: Numbers) -> Any:
    """Albedo with blotches, patches and vessels, times the mesh's tint."""
    coarse = numbers.one("coarse_vessels") * skin.coarse
    fine = numbers.one("fine_vessels") * skin.fine
    mottling = numbers.one("mottling")
    colour = []
    for channel, albedo in enumerate(numbers("albedo")):
        kept = 1 - coarse * (1 - COARSE_TRANSMISSION[channel])
        kept *= 1 - fine * (1 - FINE_TRANSMISSION[channel])
        kept *= 1 - mottling * PATCH_COLOUR[channel] * skin.patch
        kept *= 1 + mottling * (2 * skin.blotch - 1)
        colour.append(dr.clip(albedo * hit.tint[channel] * kept, 0, 0.98))
    return mi.Color3f(*colour)


def bend(hit: Hit, skin: Skin, slope: Any, numbers: Numbers) -> Any:
    """The normal in the camera frame, tilted by the relief."""
    normal = hit.normal_world
    along = skin.gradient - dr.dot(skin.gradient, normal) * normal
    return rotate_back(numbers("world_from_camera"), dr.normalize(normal - slope * along))


def read_pattern(hit: Hit, numbers: Numbers, words: Any) -> Skin:
    """Read the pattern from three sides and mix by the normal."""
    level = pattern_level(hit, numbers)
    place = hit.place * dr.rcp(numbers.one("tile_mm"))
    values = [mi.Float(0)] * 5
    gradient = [mi.Float(0)] * 3
    for axis, weight in enumerate(side_weights(hit.normal_world)):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        used = hit.found & (weight > 0)
        weight = dr.select(used, weight, 0)
        read = read_level(words, place[first] + SIDE_SHIFT[axis], place[second], level, used)
        for k, channel in enumerate((0, 1, 2, 3, pattern.ROUGHENING)):
            values[k] = dr.fma(weight, read[channel], values[k])
        for component, channel in ((first, pattern.SLOPE_U), (second, pattern.SLOPE_V)):
            slope = pattern.SLOPE_SPAN * (2 * read[channel] - 1)
            gradient[component] = dr.fma(weight, slope, gradient[component])
    coarse, fine, blotch, patch, roughening = values
    return Skin(coarse, fine, blotch, patch, mi.Vector3f(*gradient), roughening)


def side_weights(normal: Any) -> list[Any]:
    """How much each of the three sides counts; mostly one of them alone."""
    raw = [dr.square(dr.square(component)) for component in normal]
    inverse = dr.rcp(raw[0] + raw[1] + raw[2])
    kept = [dr.maximum(weight * inverse - FAINTEST_SIDE, 0) for weight in raw]
    inverse = dr.rcp(kept[0] + kept[1] + kept[2])
    return [weight * inverse for weight in kept]


def pattern_level(hit: Hit, numbers: Numbers) -> Any:
    """The level whose texels are about as wide as a pixel is on the surface."""
    facing = dr.maximum(dr.dot(hit.normal_world, hit.facing_world), STEEPEST)
    width = hit.distance * numbers.one("pixel_rad") * dr.rsqrt(facing)
    texels = dr.maximum(width * pattern.SIZE * dr.rcp(numbers.one("tile_mm")), 1)
    return mi.UInt32(dr.minimum(dr.log2(texels) + 0.5, pattern.LEVELS - 1))


def read_level(words: Any, u: Any, v: Any, level: Any, active: Any) -> list[Any]:
    """Read one level with bilinear interpolation; u and v in periods."""
    size = mi.UInt32(pattern.SIZE) >> level
    first = mi.UInt32(pattern.SIZE**2 * 4 // 3) - (size * size * 4 - 1) // 3
    scale = mi.Float(size)
    u, v = dr.fma(u, scale, -0.5), dr.fma(v, scale, -0.5)
    left, top = dr.floor(u), dr.floor(v)
    right, down = u - left, v - top
    mask = mi.Int32(size - 1)
    u0, v0 = mi.Int32(left) & mask, mi.Int32(top) & mask
    u1, v1 = (u0 + 1) & mask, (v0 + 1) & mask
    width = mi.Int32(size)
    total = [mi.Float(0)] * 8
    corners = (
        (u0, v0, (1 - right) * (1 - down)),
        (u1, v0, right * (1 - down)),
        (u0, v1, (1 - right) * down),
        (u1, v1, right * down),
    )
    for column, row, weight in corners:
        index = first + mi.UInt32(row * width + column)
        pair = dr.gather(mi.Vector2u, words, index, active)
        scaled = weight * (1 / 255)
        for channel in range(7):
            byte = (pair[channel // 4] >> (8 * (channel % 4))) & 255
            total[channel] = dr.fma(scaled, mi.Float(byte), total[channel])
    return total

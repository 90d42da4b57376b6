# SPDX-License-Identifier: Apache-2.0
"""Reads the tissue's pattern in the kernel: from three sides of the rest frame, at a fit level.

Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.optics import texture as pattern
from endoforge.render.constants import FAINTEST_SIDE, SIDE_SHIFT, STEEPEST
from endoforge.render.hits import Hit, World, position
from endoforge.render.materials import TEXELS, Material
from endoforge.render.numbers import Numbers, mixed

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

_LEAST_AREA = 1e-12  # mm⁴, of a face seen in its rest frame


@dataclass(frozen=True, eq=False)
class Skin:
    """What the pattern says at a hit, 0 to 1; the gradient is that of a relief of unit slope."""

    coarse: Any
    fine: Any
    blotch: Any
    patch: Any
    gradient: Any  # world frame
    roughening: Any
    film: Any


def read_pattern(world: World, hit: Hit, material: Material, numbers: Numbers) -> Skin:
    """Read the pattern from three sides and mix by the normal, all in the rest frame."""
    level = pattern_level(hit, material, numbers)
    place = hit.rest * dr.rcp(material.tile_mm)
    values = [mi.Float(0)] * 6
    gradient = [mi.Float(0)] * 3
    for axis, weight in enumerate(side_weights(rest_normal(world, hit, numbers))):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        used = hit.found & (weight > 0)
        weight = dr.select(used, weight, 0)
        u, v = place[first] + SIDE_SHIFT[axis], place[second]
        read = read_level(world.materials.words, material.pattern, (u, v), level, used)
        for k, channel in enumerate((0, 1, 2, 3, pattern.ROUGHENING, pattern.FILM)):
            values[k] = dr.fma(weight, read[channel], values[k])
        for component, channel in ((first, pattern.SLOPE_U), (second, pattern.SLOPE_V)):
            slope = pattern.SLOPE_SPAN * (2 * read[channel] - 1)
            gradient[component] = dr.fma(weight, slope, gradient[component])
    coarse, fine, blotch, patch, roughening, film = values
    slopes = mi.Vector3f(*gradient)
    if numbers.layout.placed:
        slopes = carried(world, hit, slopes)
    return Skin(coarse, fine, blotch, patch, slopes, roughening, film)


def rest_normal(world: World, hit: Hit, numbers: Numbers) -> Any:
    """The normal in the rest frame; its length and sign do not matter."""
    if not numbers.layout.placed:
        return hit.normal
    normals = world.mesh.rest_normals
    return mixed(
        hit.weights,
        [
            mi.Vector3f(dr.gather(mi.Vector4f, normals, corner, hit.found).xyz)
            for corner in hit.corners
        ],
    )


def carried(world: World, hit: Hit, gradient: Any) -> Any:
    """A gradient along the surface of the rest frame as one in the world: same rise per edge."""
    base, first, second = hit.rest_corners
    rise_1, rise_2 = dr.dot(gradient, first - base), dr.dot(gradient, second - base)
    base, first, second = (position(world.now, corner, hit.found) for corner in hit.corners)
    edge_1, edge_2 = first - base, second - base
    square_1, square_2 = dr.squared_norm(edge_1), dr.squared_norm(edge_2)
    across = dr.dot(edge_1, edge_2)
    scale = dr.rcp(dr.maximum(square_1 * square_2 - across * across, _LEAST_AREA))
    along_1 = scale * (square_2 * rise_1 - across * rise_2)
    along_2 = scale * (square_1 * rise_2 - across * rise_1)
    return along_1 * edge_1 + along_2 * edge_2


def side_weights(normal: Any) -> list[Any]:
    """How much each of the three sides counts; mostly one of them alone."""
    raw = [dr.square(dr.square(component)) for component in normal]
    inverse = dr.rcp(raw[0] + raw[1] + raw[2])
    kept = [dr.maximum(weight * inverse - FAINTEST_SIDE, 0) for weight in raw]
    inverse = dr.rcp(kept[0] + kept[1] + kept[2])
    return [weight * inverse for weight in kept]


def pattern_level(hit: Hit, material: Material, numbers: Numbers) -> Any:
    """The level whose texels are about as wide as a pixel is on the surface."""
    facing = dr.maximum(dr.dot(hit.normal, hit.out), STEEPEST)
    width = hit.distance * numbers.one("pixel_rad") * dr.rsqrt(facing)
    texels = dr.maximum(width * pattern.SIZE * dr.rcp(material.tile_mm), 1)
    return mi.UInt32(dr.minimum(dr.log2(texels) + 0.5, pattern.LEVELS - 1))


def read_level(words: Any, number: Any, place: tuple[Any, Any], level: Any, active: Any) -> Any:
    """Read one level of one pattern with bilinear interpolation; the place is in periods."""
    size = mi.UInt32(pattern.SIZE) >> level
    first = mi.UInt32(pattern.SIZE**2 * 4 // 3) - (size * size * 4 - 1) // 3 + number * TEXELS
    scale = mi.Float(size)
    u, v = dr.fma(place[0], scale, -0.5), dr.fma(place[1], scale, -0.5)
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
        for channel in range(8):
            byte = (pair[channel // 4] >> (8 * (channel % 4))) & 255
            total[channel] = dr.fma(scaled, mi.Float(byte), total[channel])
    return total

# SPDX-License-Identifier: Apache-2.0
"""Light that reaches a place without a detour: one of the sources is drawn and asked.

Small sources, disks and surroundings take part in one draw, in proportion to the light that each
would bring if nothing stood in its way. Light of disks and of uneven surroundings is also found by
chance, when a path flies there; both ways are weighed by Veach's balance heuristic. Import this
file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.render.constants import BRIGHTNESS
from endoforge.render.numbers import Numbers, rotate, rotate_back
from endoforge.render.volume.chance import Chance

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

_FAR = 1e9
_TINY = 1e-20
#: Shadow rays end this share of their way before the lamp.
_SHORT = 1e-4


@dataclass(frozen=True, eq=False)
class Lights:
    """All light of a view inside a kernel.

    Attributes:
        numbers: Of the frame.
        sources: How many small sources there are.
        disks: How many disks.
        sky: `"dark"`, `"even"` or `"map"`.
        radiance: Of the surroundings' cells, see `surroundings.SkyTables`.
        alias: The same.
    """

    numbers: Numbers
    sources: int
    disks: int
    sky: str
    radiance: Any
    alias: Any


@dataclass(frozen=True, eq=False)
class Offer:
    """Light that one drawn source offers to a place.

    Attributes:
        toward: Unit, to the source.
        length_mm: How far the way must be free.
        light: Radiance, or irradiance of a small source, over the chance that it was drawn.
        density: How densely this direction was drawn, 1/sr; 0 for small sources.
    """

    toward: Any
    length_mm: Any
    light: Any
    density: Any


def offers(lights: Lights, place: Any, normal: Any, surface: Any, random: Chance) -> Any:
    """Draw one source and a direction to it.

    Args:
        lights: All there are.
        place: That is lit, mm along the grid's axes.
        normal: Of the surface there.
        surface: True where only light from the normal's side counts.
        random: Random numbers.

    Returns:
        The offer, and one over the sum of the weights by which sources were drawn.
    """
    wide = lights.disks > 0 or lights.sky == "map"
    draws = (random.next(), random.next()) if wide else ()
    choices = [
        *(_source(lights, k, place, normal, surface) for k in range(lights.sources)),
        *(_disk(lights, k, place, draws) for k in range(lights.disks)),
        *((_sky(lights, draws),) if lights.sky == "map" else ()),
    ]
    total = mi.Float(_TINY)
    for weight, _ in choices:
        total += weight
    mark, passed = random.next() * total, mi.Float(0)
    offer = Offer(mi.Vector3f(0, 0, 1), mi.Float(0), mi.Color3f(0), mi.Float(0))
    for weight, other in choices:
        here = (mark >= passed) & (mark < passed + weight)
        chance = weight * dr.rcp(total)
        offer = Offer(
            dr.select(here, other.toward, offer.toward),
            dr.select(here, other.length_mm, offer.length_mm),
            dr.select(here, other.light * dr.rcp(chance), offer.light),
            dr.select(here, other.density * chance, offer.density),
        )
        passed += weight
    return offer, dr.rcp(total)


def brightness(colour: Any) -> Any:
    """Luminance of a linear colour."""
    red, green, blue = BRIGHTNESS
    return red * colour[0] + green * colour[1] + blue * colour[2]


# ---- small sources ------------------------------------------------------------------------------


def _source(lights: Lights, k: int, place: Any, normal: Any, surface: Any) -> tuple[Any, Offer]:
    numbers, name = lights.numbers, f"light{k}_"
    away = numbers.vector(name + "position") - place
    squared = dr.maximum(dr.squared_norm(away), 1e-6)
    length = dr.sqrt(squared)
    toward = away * dr.rcp(length)
    cosine = -dr.dot(numbers.vector(name + "axis"), toward)
    fall = dr.exp(numbers.one(name + "mu") * (cosine - 1)) * dr.rcp(squared)
    light = mi.Color3f(numbers.vector(name + "power")) * fall
    facing = dr.select(surface, dr.maximum(dr.dot(normal, toward), 0), 1)
    return brightness(light) * facing, Offer(toward, length, light, mi.Float(0))


# ---- disks --------------------------------------------------------------------------------------


def _disk(lights: Lights, k: int, place: Any, draws: tuple[Any, ...]) -> tuple[Any, Offer]:
    numbers, name = lights.numbers, f"disk{k}_"
    axis, radius = numbers.vector(name + "axis"), numbers.one(name + "radius")
    spot = mi.warp.square_to_uniform_disk_concentric(mi.Point2f(draws[0], draws[1]))
    around = mi.Frame3f(axis)
    point = numbers.vector(name + "centre") + radius * (spot.x * around.s + spot.y * around.t)
    away = point - place
    squared = dr.maximum(dr.squared_norm(away), 1e-6)
    length = dr.sqrt(squared)
    toward = away * dr.rcp(length)
    cosine = -dr.dot(axis, toward)
    density = squared * dr.rcp(dr.pi * radius * radius * dr.maximum(cosine, _TINY))
    radiance = mi.Color3f(numbers.vector(name + "radiance"))
    light = dr.select(cosine > 0, radiance * dr.rcp(density), 0)
    offer = Offer(toward, length * (1 - _SHORT), light, density)
    return _disk_weight(lights, k, place), offer


def _disk_weight(lights: Lights, k: int, place: Any) -> Any:
    """The same for every point of the disk, and above 0 wherever the disk shines."""
    numbers, name = lights.numbers, f"disk{k}_"
    away = numbers.vector(name + "centre") - place
    squared = dr.squared_norm(away)
    radius = numbers.one(name + "radius")
    cosine = -dr.dot(numbers.vector(name + "axis"), away) * dr.rsqrt(squared + _TINY)
    area = dr.pi * radius * radius
    bright = brightness(numbers.vector(name + "radiance"))
    return bright * area * dr.maximum(cosine, 0) * dr.rcp(squared + radius * radius)


def disks_met(
    lights: Lights, place: Any, toward: Any, flown_mm: Any, drawn: Any, share: Any
) -> Any:
    """Light of the disks that a path has flown through, weighed against drawing them.

    Args:
        lights: All there are.
        place: Where the path was scattered last, mm.
        toward: Where it went.
        flown_mm: How far it came.
        drawn: How densely that direction was drawn, 1/sr.
        share: One over the sum of all sources' weights there.
    """
    total = mi.Color3f(0)
    numbers = lights.numbers
    for k in range(lights.disks):
        name = f"disk{k}_"
        axis, radius = numbers.vector(name + "axis"), numbers.one(name + "radius")
        cosine = -dr.dot(axis, toward)
        away = numbers.vector(name + "centre") - place
        length = -dr.dot(axis, away) * dr.rcp(dr.maximum(cosine, _TINY))
        off = dr.squared_norm(length * toward - away)
        met = (cosine > 0) & (length > 0) & (length < flown_mm) & (off < radius * radius)
        density = length * length * dr.rcp(dr.pi * radius * radius * dr.maximum(cosine, _TINY))
        density *= _disk_weight(lights, k, place) * share
        weight = drawn * dr.rcp(dr.maximum(drawn + density, _TINY))
        total += dr.select(met, mi.Color3f(numbers.vector(name + "radiance")) * weight, 0)
    return total


# ---- surroundings -------------------------------------------------------------------------------


def _sky(lights: Lights, draws: tuple[Any, ...]) -> tuple[Any, Offer]:
    numbers = lights.numbers
    rows, columns, mean = numbers("sky_size")
    cells = rows * columns
    mark = draws[0] * cells
    cell = dr.minimum(mi.UInt32(mark), mi.UInt32(cells) - 1)
    rest = dr.clip(mark - mi.Float(cell), 0, 1)
    entry = dr.gather(mi.Vector2f, lights.alias, cell)
    kept = rest < entry.x
    within = dr.select(kept, rest * dr.rcp(entry.x), (rest - entry.x) * dr.rcp(1 - entry.x))
    cell = dr.select(kept, cell, mi.UInt32(entry.y))
    row = cell // mi.UInt32(columns)
    column = cell - row * mi.UInt32(columns)
    low, high = (dr.cos(dr.pi * (mi.Float(row) + k) * dr.rcp(rows)) for k in (1, 0))
    z = dr.lerp(low, high, draws[1])
    turn = dr.two_pi * (mi.Float(column) + dr.clip(within, 0, 1)) * dr.rcp(columns)
    sine, cosine = dr.sincos(turn)
    flat = dr.safe_sqrt(1 - z * z)
    toward = rotate(numbers("grid_from_world"), mi.Vector3f(flat * cosine, flat * sine, z))
    light = dr.gather(mi.Vector4f, lights.radiance, cell)
    radiance = mi.Color3f(light.x, light.y, light.z) * dr.rcp(dr.maximum(light.w, _TINY))
    return mean * dr.pi, Offer(toward, mi.Float(_FAR), radiance, light.w)


def sky_seen(lights: Lights, toward: Any, drawn: Any, share: Any, active: Any) -> Any:
    """Light of the surroundings that a path flies out to, weighed against drawing it.

    Args:
        lights: All there are.
        toward: Where the path goes.
        drawn: How densely that direction was drawn, 1/sr.
        share: One over the sum of all sources' weights where it was scattered.
        active: Only these lanes are asked for.
    """
    if lights.sky == "dark":
        return mi.Color3f(0)
    if lights.sky == "even":
        return mi.Color3f(lights.numbers.vector("sky_radiance"))
    numbers = lights.numbers
    rows, columns, mean = numbers("sky_size")
    way = rotate_back(numbers("grid_from_world"), toward)
    turn = dr.atan2(way.y, way.x) * dr.inv_two_pi
    turn = turn - dr.floor(turn)
    fall = dr.safe_acos(way.z) * dr.inv_pi
    row = dr.clip(mi.Int32(fall * rows), 0, mi.Int32(rows) - 1)
    column = dr.clip(mi.Int32(turn * columns), 0, mi.Int32(columns) - 1)
    cell = mi.UInt32(row) * mi.UInt32(columns) + mi.UInt32(column)
    light = dr.gather(mi.Vector4f, lights.radiance, cell, active)
    density = light.w * mean * dr.pi * share
    weight = drawn * dr.rcp(dr.maximum(drawn + density, _TINY))
    return mi.Color3f(light.x, light.y, light.z) * weight

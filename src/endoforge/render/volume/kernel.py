# SPDX-License-Identifier: Apache-2.0
"""The path tracer in one compiled kernel: each lane takes some pixels and traces path after path.

A lane is in flight, towards a lamp or along its path, until its photon collides or leaves; then it
scatters, asks a lamp, goes on or begins the next path, so that lanes do not idle. Whatever changes
between frames enters as an array of numbers. Import this file after `render.engine.start`.
"""

from typing import Any

import drjit
import mitsuba

from endoforge.render.volume.chance import chance_of
from endoforge.render.volume.eye import ray_through
from endoforge.render.volume.flight import fly, ray_along, ray_from
from endoforge.render.volume.lights import disks_met, offers, sky_seen
from endoforge.render.volume.matter import colours_at, corner_of, table_of
from endoforge.render.volume.paths import Lane, Path, Sums, World, new_path
from endoforge.render.volume.scattering import (
    Scatterer,
    draw_direction,
    draw_facet,
    drawn_density,
    reflected,
    scatterer,
)
from endoforge.render.volume.voxels import shape_between

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: A path is followed this far before it may end by chance.
SURE_BOUNCES = 2
#: Paths go on at most this likely once they may end.
MOST_SURVIVAL = 0.95
#: Floats of a pixel's sums: light, its squares, albedo.
CHANNELS = 9
_FAR = 1e9


def trace(world: World, lanes: int) -> None:
    """Trace all paths of all pixels; the sums of each pixel are written to `world.sums`.

    Args:
        world: What all lanes share.
        lanes: Each takes every so manieth pixel.
    """
    numbers = world.numbers
    patience, pixels = mi.UInt32(numbers.one("patience")), mi.UInt32(numbers.one("pixels"))

    def alive(lane: Lane) -> Any:
        return lane.sums.pixel < pixels

    def step(lane: Lane) -> tuple[Lane]:
        ray, random, collided = fly(world.medium, lane.ray, lane.random, patience)
        return (land(world, Lane(ray, lane.path, lane.sums, random), collided),)

    random = chance_of(lanes, numbers("seed"))
    first = dr.arange(mi.UInt32, lanes)
    origin, direction = ray_through(world.eye, numbers, first, random)
    ray = ray_from(world.medium, ray_along(origin, direction), random)
    nothing = mi.Color3f(0)
    sums = Sums(nothing, nothing, nothing, first, mi.UInt32(0))
    dr.while_loop((Lane(ray, new_path(), sums, random),), alive, step, label="paths")


def land(world: World, lane: Lane, collided: Any) -> Lane:
    """Deal with photons that have collided or left; those in flight are not touched."""
    left = ~collided & (lane.ray.at_mm >= lane.ray.end_mm)
    path = lane.path
    path.light = path.light + dr.select(left & path.shadow, path.pending * lane.ray.share, 0)
    out = left & ~path.shadow
    path.light = path.light + found_by_chance(world, lane, collided & ~path.shadow, out)
    answered = path.shadow & (collided | left)
    spent = path.bounce >= mi.UInt32(world.numbers.one("bounces"))
    out |= collided & ~path.shadow & spent  # one collision too many
    hit = collided & ~path.shadow & ~spent
    lane = dr.if_stmt((lane,), hit, lambda lane: (scatter(world, lane),), lambda lane: (lane,))[0]
    asks = hit & lane.path.shadow
    answered |= hit & ~asks
    ended = out | (answered & (dr.max(lane.path.weight) <= 0))
    lane.path.shadow = lane.path.shadow & ~(answered | ended)
    lane = dr.if_stmt((lane,), ended, lambda lane: (next_path(world, lane),), lambda lane: (lane,))[
        0
    ]
    return depart(world, lane, asks, answered & ~ended, asks | answered | ended)


def found_by_chance(world: World, lane: Lane, hit: Any, out: Any) -> Any:
    """Light that a path flew into: surroundings, and disks on its way."""
    path, ray, lights = lane.path, lane.ray, world.lights
    first = path.bounce == 0
    total = mi.Color3f(0)
    if lights.sky != "dark":
        drawn = dr.select(first, 1e20, path.drawn)
        sky = sky_seen(lights, ray.direction, drawn, path.share, out)
        shown = out & (~first | (world.numbers.one("sky_shown") > 0))
        total += dr.select(shown, path.weight * sky, 0)
    if lights.disks:
        flown = dr.select(out, _FAR, ray.at_mm)
        met = disks_met(lights, ray.origin, ray.direction, flown, path.drawn, path.share)
        total += dr.select((hit | out) & ~first, path.weight * met, 0)
    return total


def scatter(world: World, lane: Lane) -> Lane:
    """A collision: draw surface or tissue, a lamp to ask, and where the path goes on.

    The ray then begins at the collision; while it asks a lamp, it points there and ends there.
    """
    path, ray, random = lane.path, lane.ray, lane.random
    place = mi.Point3f(ray.origin + ray.at_mm * ray.direction)
    hit = collision(world, lane, place)
    facet = draw_facet(hit, random.next(), random.next())
    offer, share = offers(world.lights, place, hit.frame.n, hit.surface, random)
    value = reflected(hit, facet, offer.toward)
    fair = mi.Float(1)
    if world.weighs:
        density = drawn_density(hit, offer.toward)
        chance = offer.density * dr.rcp(dr.maximum(offer.density + density, 1e-20))
        fair = dr.select(offer.density > 0, chance, 1)
    path.pending = path.weight * value * offer.light * fair
    toward, kept = draw_direction(hit, facet, random)
    path.toward = mi.Vector3f(toward)
    if world.weighs:
        path.drawn, path.share = drawn_density(hit, toward), mi.Float(share)
    lane.sums.albedo = lane.sums.albedo + dr.select(path.bounce == 0, hit.albedo, 0)
    path.bounce = path.bounce + 1
    path.weight = survivors(world, path, path.weight * kept, random.next())
    path.shadow = dr.max(path.pending) > 0
    way = dr.select(path.shadow, offer.toward, path.toward)
    length = dr.select(path.shadow, offer.length_mm, _FAR)
    lane.ray = ray_along(place, way, path.shadow, length)
    return lane


def collision(world: World, lane: Lane, place: Any) -> Scatterer:
    """What a photon has hit, and whether it acts as a surface."""
    medium, numbers = world.medium, world.numbers
    corner = corner_of(medium, place)
    hu, gradient = shape_between(medium.voxels, medium.size, corner, True)
    gradient = gradient * medium.per_mm
    chance = 1 - dr.exp(-dr.norm(gradient) * numbers.one("per_surface_hu"))
    surface = lane.random.next() < chance
    looks = colours_at(medium, table_of(medium, corner), hu)
    hit: Scatterer = scatterer(
        gradient, surface, lane.ray.direction, looks, numbers.one("anisotropy")
    )
    return hit


def survivors(world: World, path: Path, weight: Any, chance: Any) -> Any:
    """End faint paths by chance, and count the others more."""
    lives = dr.minimum(dr.max(weight), MOST_SURVIVAL)
    lives = dr.select(path.bounce > SURE_BOUNCES, lives, 1)
    if world.lights.sky == "dark" and not world.lights.disks:  # nothing left to be found
        lives = dr.select(path.bounce < mi.UInt32(world.numbers.one("bounces")), lives, 0)
    return dr.select(chance < lives, weight * dr.rcp(dr.maximum(lives, 1e-9)), 0)


def next_path(world: World, lane: Lane) -> Lane:
    """Add up what the path has brought, and begin another."""
    path, sums, numbers = lane.path, lane.sums, world.numbers
    light, squares = sums.light + path.light, sums.squares + dr.square(path.light)
    last = sums.path + 1 >= mi.UInt32(numbers.one("samples"))
    channels = (*light, *squares, *sums.albedo)
    for k, channel in enumerate(channels):
        dr.scatter(world.sums, channel, sums.pixel * CHANNELS + k, last)
    pixel = dr.select(last, sums.pixel + mi.UInt32(numbers.one("lanes")), sums.pixel)
    random = lane.random
    origin, direction = ray_through(
        world.eye, numbers, dr.minimum(pixel, mi.UInt32(numbers.one("pixels")) - 1), random
    )
    light, squares, albedo = (dr.select(last, 0, part) for part in (light, squares, sums.albedo))
    sums = Sums(light, squares, albedo, pixel, dr.select(last, 0, sums.path + 1))
    return Lane(ray_along(origin, direction), new_path(), sums, random)


def depart(world: World, lane: Lane, asks: Any, onward: Any, landed: Any) -> Lane:
    """Send those that have landed on their new way, from where they enter the volume."""
    ray = lane.ray
    direction = dr.select(onward, lane.path.toward, ray.direction)
    length = dr.select(asks, ray.end_mm, _FAR)
    begun = ray_from(world.medium, ray_along(ray.origin, direction, asks, length), lane.random)
    lane.ray = dr.select(landed, begun, ray)
    return lane

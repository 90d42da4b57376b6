# SPDX-License-Identifier: Apache-2.0
"""The path tracer in one compiled kernel: each lane takes one pixel and traces its paths in turn.

A lane is in flight, towards a lamp or along its path, until its photon collides or leaves; then it
scatters, asks a lamp, goes on or begins the next path, so that lanes do not idle. Whatever changes
between frames enters as an array of numbers. Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.render.numbers import Numbers
from endoforge.render.volume.eye import Eye, ray_through
from endoforge.render.volume.flight import Ray, fly, ray_from
from endoforge.render.volume.lights import Lights, disks_met, offers, sky_seen
from endoforge.render.volume.matter import Medium, colours_at, corner_of, table_of
from endoforge.render.volume.scattering import (
    Scatterer,
    draw_direction,
    draw_facet,
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
_FAR = 1e9


@dataclass
class Path:
    """What a lane knows of the path that it follows.

    Attributes:
        weight: Light that still arrives per light at the path's end.
        light: Found so far.
        bounce: Collisions so far.
        shadow: True while the lane asks a lamp.
        pending: Light that arrives if the way to that lamp is free.
        toward: Where the path goes on afterwards.
        drawn: How densely that direction was drawn, 1/sr.
        share: One over the sum of all sources' weights at the last collision.
    """

    weight: Any
    light: Any
    bounce: Any
    shadow: Any
    pending: Any
    toward: Any
    drawn: Any
    share: Any


@dataclass
class Sums:
    """What a lane's finished paths have brought.

    Attributes:
        light: Sum of radiance.
        squares: Sum of its squares.
        albedo: Sum of the albedo at first collisions.
        paths: How many are finished.
    """

    light: Any
    squares: Any
    albedo: Any
    paths: Any


@dataclass
class Lane:
    """Everything that a lane carries from step to step."""

    ray: Ray
    path: Path
    sums: Sums
    random: Any


@dataclass(frozen=True, eq=False)
class World:
    """What all lanes share."""

    medium: Medium
    eye: Eye
    lights: Lights
    numbers: Numbers


def trace(world: World) -> Sums:
    """Trace all paths of all pixels."""
    numbers = world.numbers
    samples = mi.UInt32(numbers.one("samples"))
    patience = mi.UInt32(numbers.one("patience"))
    lane = first_lane(world)

    def alive(lane: Lane) -> Any:
        return lane.sums.paths < samples

    def step(lane: Lane) -> tuple[Lane]:
        ray, random, collided = fly(world.medium, lane.ray, lane.random, patience)
        return (land(world, Lane(ray, lane.path, lane.sums, random), collided),)

    done: Lane = dr.while_loop((lane,), alive, step, label="paths")[0]
    return done.sums


def first_lane(world: World) -> Lane:
    """Every lane at the start of its first path; lanes without a ray are done at once."""
    numbers = world.numbers
    width = dr.width(world.eye.field)
    low, high = (mi.UInt64(half) for half in numbers("seed"))
    random = mi.PCG32(
        size=width, initstate=low + high * (1 << 16), initseq=dr.arange(mi.UInt64, width)
    )
    ray = new_ray(world, random)
    samples = mi.UInt32(numbers.one("samples"))
    paths = dr.select(world.eye.field, mi.UInt32(0), samples)
    sums = Sums(mi.Color3f(0), mi.Color3f(0), mi.Color3f(0), paths)
    return Lane(ray, new_path(), sums, random)


def new_path() -> Path:
    """A path that has not met anything yet."""
    return Path(
        weight=mi.Color3f(1),
        light=mi.Color3f(0),
        bounce=mi.UInt32(0),
        shadow=mi.Bool(False),
        pending=mi.Color3f(0),
        toward=mi.Vector3f(0),
        drawn=mi.Float(0),
        share=mi.Float(0),
    )


def new_ray(world: World, random: Any) -> Ray:
    """A ray into the scene, through the lane's pixel."""
    draws = tuple(random.next_float32() for _ in range(4))
    origin, direction = ray_through(world.eye, world.numbers, draws)
    return ray_from(world.medium, origin, direction, _FAR, free_depth(random))


def free_depth(random: Any) -> Any:
    """Optical depth until the next possible collision."""
    return -dr.log(1 - random.next_float32())


# ---- landing ------------------------------------------------------------------------------------


def land(world: World, lane: Lane, collided: Any) -> Lane:
    """Deal with photons that have collided or left; those in flight are not touched."""
    left = ~collided & (lane.ray.at_mm >= lane.ray.end_mm)
    path = lane.path
    lane.path.light = path.light + dr.select(left & path.shadow, path.pending, 0)
    answered = path.shadow & (collided | left)
    out = left & ~path.shadow
    if world.lights.disks or world.lights.sky == "map":
        lane = dr.if_stmt(
            (lane,),
            (collided | left) & ~path.shadow,
            lambda lane: (found_by_chance(world, lane, out),),
            lambda lane: (lane,),
        )[0]
    else:
        lane = found_by_chance(world, lane, out)
    hit = collided & ~lane.path.shadow
    lane = dr.if_stmt((lane,), hit, lambda lane: (scatter(world, lane),), lambda lane: (lane,))[0]
    answered |= hit & ~lane.path.shadow
    return go_on(world, lane, answered, out)


def found_by_chance(world: World, lane: Lane, out: Any) -> Lane:
    """Light that a path flew into: surroundings, and disks on its way."""
    path, ray, lights = lane.path, lane.ray, world.lights
    first = path.bounce == 0
    sky = sky_seen(lights, ray.direction, dr.select(first, 1e20, path.drawn), path.share, out)
    shown = out & (~first | (world.numbers.one("sky_shown") > 0)) if lights.sky != "dark" else out
    found = dr.select(shown, sky, 0)
    if lights.disks:
        flown = dr.select(out, _FAR, ray.at_mm)
        met = disks_met(lights, ray.origin, ray.direction, flown, path.drawn, path.share)
        found += dr.select(first, 0, met)
    path.light = path.light + path.weight * found
    return lane


def scatter(world: World, lane: Lane) -> Lane:
    """A collision: draw surface or tissue, a lamp to ask, and where the path goes on."""
    path, ray, random = lane.path, lane.ray, lane.random
    place = mi.Point3f(ray.origin + ray.at_mm * ray.direction)
    hit = collision(world, lane, place)
    draws = [random.next_float32() for _ in range(8)]
    facet = draw_facet(hit, draws[0], draws[1])
    normal = hit.frame.n
    offer, share = offers(world.lights, place, normal, hit.surface, tuple(draws[2:5]))
    value, density = reflected(hit, facet, offer.toward)
    fair = offer.density * dr.rcp(dr.maximum(offer.density + density, 1e-20))
    fair = dr.select(offer.density > 0, fair, 1)
    path.pending = path.weight * value * offer.light * fair
    toward, kept = draw_direction(hit, facet, draws[5], draws[6], draws[7])
    path.toward = mi.Vector3f(toward)
    _, path.drawn = reflected(hit, facet, toward)
    path.share = share
    first = path.bounce == 0
    lane.sums.albedo = lane.sums.albedo + dr.select(first, hit.albedo, 0)
    path.bounce = path.bounce + 1
    path.weight = survivors(world, path, path.weight * kept, random.next_float32())
    asks = dr.max(path.pending) > 0
    path.shadow = mi.Bool(asks)
    begin = ray_from(world.medium, place, offer.toward, offer.length_mm, free_depth(random))
    lane.ray = Ray(
        mi.Point3f(place),
        dr.select(asks, begin.direction, path.toward),
        begin.at_mm,
        begin.end_mm,
        begin.left,
    )
    return lane


def collision(world: World, lane: Lane, place: Any) -> Scatterer:
    """What a photon has hit, and whether it acts as a surface."""
    medium, numbers = world.medium, world.numbers
    corner = corner_of(medium, place)
    hu, gradient = shape_between(medium.voxels, medium.size, corner, True)
    gradient = gradient * medium.per_mm
    steep = dr.norm(gradient)
    chance = 1 - dr.exp(-steep * numbers.one("per_surface_hu"))
    surface = lane.random.next_float32() < chance
    looks = colours_at(medium, table_of(medium, corner), hu)
    return scatterer(gradient, surface, lane.ray.direction, looks, numbers.one("anisotropy"))


def survivors(world: World, path: Path, weight: Any, chance: Any) -> Any:
    """End faint paths by chance, and count the others more; all end after the most bounces."""
    lives = dr.minimum(dr.max(weight), MOST_SURVIVAL)
    lives = dr.select(path.bounce > SURE_BOUNCES, lives, 1)
    lives = dr.select(path.bounce < mi.UInt32(world.numbers.one("bounces")), lives, 0)
    return dr.select(chance < lives, weight * dr.rcp(dr.maximum(lives, 1e-9)), 0)


def go_on(world: World, lane: Lane, answered: Any, out: Any) -> Lane:
    """Send lanes along their path again, or into the next one."""
    path = lane.path
    ended = out | (answered & (dr.max(path.weight) <= 0))
    back = answered & ~ended
    path.shadow = path.shadow & ~(answered | ended)
    lane = dr.if_stmt((lane,), ended, lambda lane: (next_path(world, lane),), lambda lane: (lane,))[
        0
    ]
    onward = ray_from(
        world.medium, lane.ray.origin, lane.path.toward, _FAR, free_depth(lane.random)
    )
    lane.ray = dr.select(back, onward, lane.ray)
    return lane


def next_path(world: World, lane: Lane) -> Lane:
    """Add up what the path has brought, and begin another."""
    path, sums = lane.path, lane.sums
    sums.light = sums.light + path.light
    sums.squares = sums.squares + dr.square(path.light)
    sums.paths = sums.paths + 1
    return Lane(new_ray(world, lane.random), new_path(), sums, lane.random)

# SPDX-License-Identifier: Apache-2.0
"""How far a photon flies: delta tracking through blocks with majorants of their own.

Where light stops is drawn from the medium itself, without steps and without bias (Woodcock
tracking; Novák et al., *Monte Carlo methods for volumetric light transport simulation*, 2018,
section 5). Light that asks a lamp is not stopped at random but weakened (ratio tracking, section
6). Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.render.volume.chance import Chance
from endoforge.render.volume.lookup import left_of, steep_around
from endoforge.render.volume.matter import Medium, corner_of, extinction_at, table_of
from endoforge.render.volume.voxels import Corner, hu_between

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: How far beyond a block's border the next one begins, blocks.
_NUDGE = 1e-4
_FAR = 1e9
_LEAST_STEP = 1e-9
_ALMOST_ONE = 1 - 2**-24
_LEAST_MOST = 1e-12

#: A photon on its way to a lamp may be stopped when less of it than this is left. Never (0) is
#: pure ratio tracking, always (1) is delta tracking; see docs/concepts/convergence.md.
SURE_SHARE = 0.5


@dataclass
class Ray:
    """A straight way through the volume.

    Attributes:
        origin: mm along the grid's axes.
        direction: Unit, along the grid's axes.
        at_mm: How far the photon is.
        end_mm: Where the ray leaves the volume or ends at a light.
        left: Optical depth (by majorants) that is left until the next possible collision.
        asks: True where it leads to a lamp.
        share: Of the light that comes through, so far, where it does.
    """

    origin: Any
    direction: Any
    at_mm: Any
    end_mm: Any
    left: Any
    asks: Any
    share: Any


def ray_from(medium: Medium, ray: Ray, random: Chance) -> Ray:
    """The same ray from where it enters the volume to where it leaves it, if it does not end."""
    origin, direction = ray.origin, ray.direction
    inverse = dr.rcp(dr.select(dr.abs(direction) > _LEAST_STEP, direction, _LEAST_STEP))
    near, far = -origin * inverse, (medium.extent_mm - origin) * inverse
    begin = dr.maximum(dr.max(dr.minimum(near, far)), 0)
    end = dr.minimum(dr.min(dr.maximum(near, far)), ray.end_mm)
    free = -dr.log(1 - random.next())
    return Ray(origin, direction, begin, end, free, ray.asks, mi.Float(1))


def ray_along(origin: Any, direction: Any, asks: Any = False, length_mm: Any = _FAR) -> Ray:
    """A ray that has not set out yet; see `ray_from`."""
    start = mi.Point3f(origin), mi.Vector3f(direction)
    return Ray(*start, mi.Float(0), mi.Float(length_mm), mi.Float(0), mi.Bool(asks), mi.Float(1))


@dataclass(frozen=True, eq=False)
class Course:
    """A ray in blocks, with what is reckoned once for all its steps.

    Attributes:
        start: Where it begins.
        speed: Blocks per mm.
        inverse: One over the speed.
        nudge_mm: A step that surely leads over a border.
    """

    start: Any
    speed: Any
    inverse: Any
    nudge_mm: Any


def course_of(medium: Medium, ray: Ray) -> Course:
    """Prepare a ray's flight."""
    speed = ray.direction * medium.blocks_per_mm
    speed = dr.select(dr.abs(speed) > _LEAST_STEP, speed, _LEAST_STEP)
    nudge = _NUDGE * dr.rcp(dr.max(dr.abs(speed)))
    return Course(ray.origin * medium.blocks_per_mm, speed, dr.rcp(speed), nudge)


def block_step(medium: Medium, course: Course, at_mm: Any) -> tuple[Any, Any]:
    """Where the ray leaves its block (or the empty blocks around it), mm, and the majorant."""
    place = course.start + at_mm * course.speed
    block = dr.clip(mi.Vector3i(place), 0, mi.Vector3i(medium.blocks) - 1)
    b = mi.Vector3u(block)
    index = (b.x * medium.blocks.y + b.y) * medium.blocks.z + b.z
    most = dr.gather(mi.Float, medium.matter.cells, index)
    reach = dr.maximum(-most, 1)  # blocks to the border, this one included
    border = mi.Vector3f(block) + dr.select(course.speed > 0, reach, 1 - reach)
    leaves = dr.min((border - course.start) * course.inverse)
    return dr.maximum(leaves, at_mm) + course.nudge_mm, dr.maximum(most, 0)


def advance(medium: Medium, course: Course, ray: Ray) -> tuple[Ray, Any, Any]:
    """Fly to the next possible collision or the block's border.

    Returns:
        The ray, whether it may collide where it now is, and the majorant there.
    """
    border, most = block_step(medium, course, ray.at_mm)
    stop = ray.at_mm + ray.left * dr.rcp(dr.maximum(most, 1e-20))
    may = stop < dr.minimum(border, ray.end_mm)
    left = ray.left - most * (border - ray.at_mm)
    at = dr.select(may, stop, border)
    return Ray(ray.origin, ray.direction, at, ray.end_mm, left, ray.asks, ray.share), may, most


def stopping(medium: Medium, corner: Corner, active: Any) -> Any:
    """Extinction by the HU at a place, 1/mm."""
    hu = hu_between(medium.voxels, medium.size, corner, active)
    return extinction_at(medium, table_of(medium, corner, active), hu, active)


def collide(medium: Medium, ray: Ray, may: Any, most: Any, chance: Any) -> tuple[Ray, Any]:
    """Decide whether the photon is stopped where it now is.

    A photon that asks a lamp is not stopped but weakened by what would have stopped it (ratio
    tracking); once little is left it is stopped by chance.

    Args:
        medium: Volume and transfer function.
        ray: With where it is.
        may: Others are not stopped.
        most: The majorant there, 1/mm.
        chance: Uniform in [0, 1).

    Returns:
        The ray, and which photons are stopped.
    """
    corner = corner_of(medium, ray.origin + ray.at_mm * ray.direction)
    stops = stopping(medium, corner, may)
    mark = chance * most
    hit = may & (mark < stops)
    low, high = stops, most
    ramp = medium.matter.lookup.ramp
    if ramp is not None:  # only what HU alone would stop needs to know their gradient
        near = hit | (may & ray.asks)
        left = left_of(ramp, steep_around(ramp, medium.size, corner, near), corner.share)
        low = dr.select(near, stops * left, stops)
        high = dr.select(near, dr.minimum(stops, most), most)
        hit &= mark < low
    weakened = may & ray.asks
    clear = dr.clip(1 - low * dr.rcp(dr.maximum(most, _LEAST_MOST)), 0, 1)
    share = dr.select(weakened, ray.share * clear, ray.share)
    faint = weakened & (share < SURE_SHARE)
    lives = dr.select(faint, share * (1 / SURE_SHARE), 1)
    hit = dr.select(ray.asks, faint & (chance >= lives), hit)
    again = (mark - low) * dr.rcp(high - low)  # uniform once more
    again = dr.select(ray.asks, chance * dr.rcp(dr.maximum(lives, _LEAST_STEP)), again)
    left_mm = dr.select(may, -dr.log(1 - dr.clip(again, 0, _ALMOST_ONE)), ray.left)
    share = dr.select(faint, SURE_SHARE, share)
    return Ray(ray.origin, ray.direction, ray.at_mm, ray.end_mm, left_mm, ray.asks, share), hit


def fly(medium: Medium, ray: Ray, random: Chance, patience: Any) -> tuple[Ray, Chance, Any]:
    """Let photons fly until they collide or leave, or the others have waited long enough.

    Returns:
        The rays, the random numbers, and which of the photons have collided.
    """
    course = course_of(medium, ray)

    def goes_on(ray: Ray, random: Chance, hit: Any, steps: Any) -> Any:
        return ~hit & (ray.at_mm < ray.end_mm) & (steps < patience)

    def step(ray: Ray, random: Chance, hit: Any, steps: Any) -> Any:
        ray, may, most = advance(medium, course, ray)
        ray, hit = collide(medium, ray, may, most, random.next())
        return ray, random, hit, steps + 1

    begin = (ray, random, mi.Bool(False), mi.UInt32(0))
    ray, random, hit, _ = dr.while_loop(begin, goes_on, step, label="flight")
    return ray, random, hit

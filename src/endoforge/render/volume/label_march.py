# SPDX-License-Identifier: Apache-2.0
"""Rays through a medium without chance: how much light is left, and where how much is lost.

The formulas are in docs/concepts/volume-labels.md. Places are in voxels, lengths in mm. Import this
file after `render.engine.start`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.render.volume.blocks import BLOCK
from endoforge.render.volume.medium import (
    Medium,
    cell_at,
    depth_of_step,
    extinction,
    hu_in,
    table_at,
)

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: A ray ends where less than 1e-4 of its light is left.
END_DEPTH = -math.log(1e-4)

#: So far beyond a cell's border, in voxels, a step looks for its cell; floats end at about 1e-4.
_NUDGE = 1e-3

#: Steps within a cell: on the way, with organs, whose borders lie within cells, and where the
#: sought place lies.
_STEPS, _ORGAN_STEPS, _FINE_STEPS = 2, 4, 8

_FAR = 1e30
_STILL = 1e-9


@dataclass(frozen=True, eq=False)
class Ray:
    """A ray within the grid.

    Attributes:
        start: Where it enters the grid, voxels.
        step: Voxels per mm along it.
        inverse: mm per voxel along each axis; very large where it does not move along one.
        before_mm: From its origin to `start`.
        length_mm: From `start` to where it leaves the grid or ends.
    """

    start: Any
    step: Any
    inverse: Any
    before_mm: Any
    length_mm: Any


@dataclass(eq=False)
class Crossing:
    """The step of a ray within which its optical depth passes a threshold."""

    begin_mm: Any
    end_mm: Any
    before: Any  # optical depth where the step begins; negative until it is found


@dataclass(eq=False)
class March:
    """A ray on its way."""

    at_mm: Any
    depth: Any
    left: Any  # share of the light, exp(-depth)
    moment: Any  # integral of (distance from the entry) times what was lost there
    point: Crossing
    first: Crossing


def ray_through(medium: Medium, origin: Any, step: Any, reach_mm: Any, active: Any) -> Ray:
    """The part of a ray that lies within the grid.

    Args:
        medium: The volume.
        origin: In voxels, anywhere.
        step: Voxels per mm.
        reach_mm: Where the ray ends, mm from its origin.
        active: Others get no length.
    """
    moves = dr.abs(step) > _STILL
    inverse = mi.Vector3f(dr.select(moves, dr.rcp(dr.select(moves, step, 1)), _FAR))
    last = mi.Vector3f(medium.size) - 1
    low, high = -origin * inverse, (last - origin) * inverse
    beside = ~moves & ((origin < 0) | (origin > last))
    near = dr.select(moves, dr.minimum(low, high), -_FAR)
    far = dr.select(moves, dr.maximum(low, high), _FAR)
    enter = dr.maximum(dr.max(near), 0)
    leave = dr.minimum(dr.min(far), reach_mm)
    length = dr.select(active & ~dr.any(beside), dr.maximum(leave - enter, 0), 0)
    return Ray(mi.Vector3f(origin + enter * step), mi.Vector3f(step), inverse, enter, length)


def march(medium: Medium, ray: Ray, point_depth: Any, first_depth: Any) -> March:
    """Follow a ray until it leaves the grid or its light is gone.

    Args:
        medium: Volume and transfer function.
        ray: Where.
        point_depth: Optical depth at which the labelled point lies.
        first_depth: Optical depth of the first hit.
    """
    steps = _steps(medium)

    def cell_step(m: March) -> March:
        end = _cell_end(medium, ray, m.at_mm)
        depth, left, moment = m.depth, m.left, m.moment
        step_mm = (end - m.at_mm) * (1 / steps)
        for k, (first, last) in enumerate(_nodes(medium, ray, m.at_mm, end, steps)):
            more = depth_of_step(step_mm, first, last)
            bend = (first[1] - last[1]) * step_mm * (1 / 8)
            half = dr.clip(0.5 * more + bend, 0, more)  # extinction changes evenly
            left_middle, left_after = dr.exp(-depth - half), dr.exp(-depth - more)
            area = _mean_left(half, left, left_middle)
            area += _mean_left(more - half, left_middle, left_after)
            moment += (m.at_mm + k * step_mm) * (left - left_after)
            moment += step_mm * (0.5 * area - left_after)
            depth, left = depth + more, left_after
        return March(
            at_mm=end,
            depth=depth,
            left=left,
            moment=moment,
            point=_crossed(m.point, m, end, depth, point_depth),
            first=_crossed(m.first, m, end, depth, first_depth),
        )

    def step(m: March) -> tuple[March]:
        empty, end = leap(medium, ray, m.at_mm)
        past = March(end, m.depth, m.left, m.moment, m.point, m.first)
        return (dr.if_stmt((m, past), empty, lambda m, past: past, lambda m, past: cell_step(m)),)

    nowhere = Crossing(mi.Float(0), mi.Float(0), mi.Float(-1))
    begin = March(mi.Float(0), mi.Float(0), mi.Float(1), mi.Float(0), nowhere, nowhere)

    def goes_on(m: March) -> Any:
        return (m.at_mm < ray.length_mm) & (m.depth < END_DEPTH)

    done: March = dr.while_loop((begin,), goes_on, step, label="march")[0]
    return done


def depth_between(medium: Medium, ray: Ray, most: Any) -> Any:
    """Optical depth of a ray; rays beyond `most` are not followed to their end.

    Args:
        medium: Volume and transfer function.
        ray: Where.
        most: An optical depth.
    """
    steps = _steps(medium)

    def cell_step(at_mm: Any, depth: Any) -> tuple[Any, Any]:
        end = _cell_end(medium, ray, at_mm)
        for first, last in _nodes(medium, ray, at_mm, end, steps):
            depth = depth + depth_of_step((end - at_mm) * (1 / steps), first, last)
        return end, depth

    def step(at_mm: Any, depth: Any) -> Any:
        empty, end = leap(medium, ray, at_mm)
        return dr.if_stmt(
            (at_mm, depth, end),
            empty,
            lambda at_mm, depth, end: (end, depth),
            lambda at_mm, depth, end: cell_step(at_mm, depth),
        )

    def goes_on(at_mm: Any, depth: Any) -> Any:
        return (at_mm < ray.length_mm) & (depth < most)

    begin = (mi.Float(0), mi.Float(0))
    return dr.while_loop(begin, goes_on, step, label="depth between")[1]


def located(medium: Medium, ray: Ray, crossing: Crossing, threshold: Any) -> Any:
    """Where within a step the optical depth passes a threshold, mm from the grid's border.

    The step is divided again; within one part extinction is taken as linear.
    """
    begin, end = crossing.begin_mm, crossing.end_mm
    part = (end - begin) * (1 / _FINE_STEPS)
    found = mi.Float(end)
    depth = mi.Float(crossing.before)
    for k, (first, last) in enumerate(_nodes(medium, ray, begin, end, _FINE_STEPS)):
        more = depth_of_step(part, first, last)
        share = _share_of(threshold - depth, more, first[1], last[1])
        here = (depth <= threshold) & (threshold < depth + more)
        found = dr.select(here, begin + (k + share) * part, found)
        depth += more
    return found


# ---- inside -------------------------------------------------------------------------------------


def leap(medium: Medium, ray: Ray, at_mm: Any) -> tuple[Any, Any]:
    """Whether the block at a place is empty, and where the empty blocks around it end, mm."""
    here = _ahead(ray, at_mm)
    counts = mi.Vector3i(medium.blocks)
    block = dr.clip(mi.Vector3i(dr.floor(here * (1 / BLOCK))), 0, counts - 1)
    b = mi.Vector3u(block)
    index = (b.x * medium.blocks.y + b.y) * medium.blocks.z + b.z
    away = mi.Int32(dr.gather(mi.UInt32, medium.tables.leaps, index))
    low = mi.Vector3f((block - (away - 1)) * BLOCK)
    high = mi.Vector3f((block + away) * BLOCK)
    return away > 0, _exit(ray, at_mm, low, high)


def _ahead(ray: Ray, at_mm: Any) -> Any:
    """A place on the ray, a little further on, so that it lies in the next cell at a border."""
    place = ray.start + at_mm * ray.step
    return place + dr.select(ray.step > 0, mi.Float(_NUDGE), -_NUDGE)


def _exit(ray: Ray, at_mm: Any, low: Any, high: Any) -> Any:
    """Where a ray leaves a box, mm, and always a little further than it was."""
    border = dr.select(ray.step > 0, high, low)
    away = dr.select(dr.abs(ray.inverse) < _FAR, (border - ray.start) * ray.inverse, _FAR)
    least = _NUDGE * dr.min(dr.abs(ray.inverse))
    return dr.minimum(dr.maximum(dr.min(away), at_mm + least), ray.length_mm)


def _steps(medium: Medium) -> int:
    return _ORGAN_STEPS if medium.tables.several else _STEPS


def _cell_end(medium: Medium, ray: Ray, at_mm: Any) -> Any:
    low = dr.floor(_ahead(ray, at_mm))
    return _exit(ray, at_mm, low, low + 1)


def _nodes(medium: Medium, ray: Ray, begin: Any, end: Any, count: int) -> Iterator[Any]:
    """Both ends of each part of a step within one cell: HU, extinction, and its integral.

    HU within a cell are a cubic of the distance. Over each part they are taken as linear, moved so
    that their mean is that of the parabola through both ends and the middle.
    """
    part = (end - begin) * (1 / count)
    cell = cell_at(medium, _ahead(ray, begin))
    places = [ray.start + (begin + 0.5 * k * part) * ray.step for k in range(2 * count + 1)]
    hu = [hu_in(cell, place) for place in places]
    for k in range(count):
        first, middle, last = hu[2 * k : 2 * k + 3]
        bulge = (2 / 3) * (middle - 0.5 * (first + last))
        table = table_at(medium, places[2 * k + 1])
        yield tuple((h, *extinction(medium, table, h)) for h in (first + bulge, last + bulge))


def _mean_left(more: Any, before: Any, after: Any) -> Any:
    """Mean of the light that is left over a step of constant extinction."""
    small = more < 1e-2
    series = before * (1 - more * (0.5 - more * (1 / 6)))
    return dr.select(small, series, (before - after) * dr.rcp(dr.select(small, 1, more)))


def _crossed(old: Crossing, m: March, end: Any, depth: Any, threshold: Any) -> Crossing:
    now = (old.before < 0) & (depth > threshold)
    return Crossing(
        dr.select(now, m.at_mm, old.begin_mm),
        dr.select(now, end, old.end_mm),
        dr.select(now, m.depth, old.before),
    )


def _share_of(wanted: Any, more: Any, first: Any, last: Any) -> Any:
    """Share of a part after which a wanted optical depth has gathered, extinction being linear."""
    scale = more * dr.rcp(dr.maximum(0.5 * (first + last), 1e-20))
    linear, square = first * scale, 0.5 * (last - first) * scale
    root = dr.sqrt(dr.maximum(linear * linear + 4 * square * wanted, 0))
    return dr.clip(2 * wanted * dr.rcp(dr.maximum(linear + root, 1e-20)), 0, 1)

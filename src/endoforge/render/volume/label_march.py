# SPDX-License-Identifier: Apache-2.0
"""Rays through a medium without chance: how much light is left, and where how much is lost.

The formulas are in docs/concepts/volume-labels.md. Places are in voxels, lengths in mm. Import this
file after `render.engine.start`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import drjit
import mitsuba

from endoforge.render.volume.blocks import BLOCK
from endoforge.render.volume.lookup import left_of, steep_around, table_near
from endoforge.render.volume.medium import LEAP_BITS, Medium, Node, depth_of_step, node_at
from endoforge.render.volume.voxels import between, corner_at, eight_around

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: A ray ends where less than 1e-4 of its light is left.
END_DEPTH = -math.log(1e-4)

#: So far beyond a cell's border, in voxels, a step looks for its cell; floats end at about 1e-4.
_NUDGE = 1e-3

#: Parts of a step (even numbers): on the way, there with a ramp over the gradient, whose ends are
#: sharp, and where the sought place lies.
_PARTS, _RAMP_PARTS, _FINE_PARTS = 2, 4, 6

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
class Block:
    """Where a ray is.

    Attributes:
        empty: Nothing stops light there.
        end_mm: Where the ray leaves the empty blocks around.
        only: See `medium.LEAP_BITS`.
    """

    empty: Any
    end_mm: Any
    only: Any


@dataclass(eq=False)
class Way:
    """A stretch of a ray within one cell and one table.

    Attributes:
        end_mm: Where it ends.
        table: First entry of the table that holds there.
    """

    end_mm: Any
    table: Any


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
    parts = _parts(medium)

    def cell_step(m: March, block: Block) -> March:
        way = way_on(medium, ray, m.at_mm, block)
        depth, left, moment = m.depth, m.left, m.moment
        step_mm = (way.end_mm - m.at_mm) * (1 / parts)
        for k, (first, last) in enumerate(_nodes(medium, ray, m.at_mm, way, parts)):
            more = depth_of_step(step_mm, first, last)
            left_after = dr.exp(-depth - more)
            bend = (first.extinction - last.extinction) * step_mm * (1 / 12)
            bend = dr.clip(bend, -more * (1 / 6), more * (1 / 6))
            area = dr.clip(_mean_left(more, left, left_after) * (1 - bend), left_after, left)
            moment += (m.at_mm + k * step_mm) * (left - left_after)
            moment += step_mm * (area - left_after)
            depth, left = depth + more, left_after
        return March(
            at_mm=way.end_mm,
            depth=depth,
            left=left,
            moment=moment,
            point=_crossed(m.point, m, way, depth, point_depth),
            first=_crossed(m.first, m, way, depth, first_depth),
        )

    def step(m: March) -> tuple[March]:
        block = block_at(medium, ray, m.at_mm)
        past = March(block.end_mm, m.depth, m.left, m.moment, m.point, m.first)
        return (
            dr.if_stmt(
                (m, past, block),
                block.empty,
                lambda m, past, block: past,
                lambda m, past, block: cell_step(m, block),
            ),
        )

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
    parts = _parts(medium)

    def cell_step(at_mm: Any, depth: Any, block: Block) -> tuple[Any, Any]:
        way = way_on(medium, ray, at_mm, block)
        for first, last in _nodes(medium, ray, at_mm, way, parts):
            depth = depth + depth_of_step((way.end_mm - at_mm) * (1 / parts), first, last)
        return way.end_mm, depth

    def step(at_mm: Any, depth: Any) -> Any:
        block = block_at(medium, ray, at_mm)
        return dr.if_stmt(
            (at_mm, depth, block),
            block.empty,
            lambda at_mm, depth, block: (block.end_mm, depth),
            cell_step,
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
    part = (end - begin) * (1 / _FINE_PARTS)
    found = mi.Float(end)
    depth = mi.Float(crossing.before)
    way = Way(end, way_on(medium, ray, begin, block_at(medium, ray, begin)).table)
    for k, (first, last) in enumerate(_nodes(medium, ray, begin, way, _FINE_PARTS)):
        more = depth_of_step(part, first, last)
        share = _share_of(threshold - depth, more, first.extinction, last.extinction)
        here = (depth <= threshold) & (threshold < depth + more)
        found = dr.select(here, begin + (k + share) * part, found)
        depth += more
    return found


# ---- inside -------------------------------------------------------------------------------------


def block_at(medium: Medium, ray: Ray, at_mm: Any) -> Block:
    """The block at a place, and where the empty blocks around it end."""
    here = _ahead(ray, at_mm)
    counts = mi.Vector3i(medium.blocks)
    block = dr.clip(mi.Vector3i(dr.floor(here * (1 / BLOCK))), 0, counts - 1)
    b = mi.Vector3u(block)
    index = (b.x * medium.blocks.y + b.y) * medium.blocks.z + b.z
    word = dr.gather(mi.UInt32, medium.tables.blocks, index)
    away = mi.Int32(word & ((1 << LEAP_BITS) - 1))
    low = mi.Vector3f((block - (away - 1)) * BLOCK)
    high = mi.Vector3f((block + away) * BLOCK)
    return Block(away > 0, _exit(ray, at_mm, low, high), word >> LEAP_BITS)


def way_on(medium: Medium, ray: Ray, at_mm: Any, block: Block) -> Way:
    """How far a ray stays within one cell and one table."""
    here = _ahead(ray, at_mm)
    if not medium.tables.several:
        low = dr.floor(here)
        return Way(_exit(ray, at_mm, low, low + 1), mi.UInt32(0))
    mixed = block.only == 0
    size = dr.select(mixed, mi.Float(0.5), 1)  # half-way between voxels their organs change
    low = dr.floor(here * dr.rcp(size)) * size
    end = _exit(ray, at_mm, low, low + size)
    middle = ray.start + (0.5 * (at_mm + end)) * ray.step
    corner = corner_at(medium.size, middle)
    near = table_near(medium.tables.lookup, medium.voxels, medium.size, corner, mixed)
    return Way(end, dr.select(mixed, near, (block.only - 1) * medium.tables.lookup.entries))


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


def _parts(medium: Medium) -> int:
    return _PARTS if medium.tables.lookup.ramp is None else _RAMP_PARTS


def _nodes(
    medium: Medium, ray: Ray, begin: Any, way: Way, count: int
) -> Iterator[tuple[Node, Node]]:
    """Both ends of each part of a step within one cell.

    HU within a cell are a cubic of the distance. Between nodes they are taken as linear, all nodes
    moved so that the mean is that of the parabola through both ends and the middle.
    """
    part = (way.end_mm - begin) * (1 / count)
    corner = corner_at(medium.size, _ahead(ray, begin))
    origin = ray.start - mi.Vector3f(corner.voxel)
    shares = [origin + (begin + k * part) * ray.step for k in range(count + 1)]
    values = eight_around(medium.voxels.pairs, medium.size, corner)
    hu = [between(values, share) for share in shares]
    bulge = (2 / 3 / count**2) * (hu[count // 2] - 0.5 * (hu[0] + hu[-1]))
    ramp = medium.tables.lookup.ramp
    left: list[Any] = [None] * len(hu)
    if ramp is not None:
        steep = steep_around(ramp, medium.size, corner)
        left = [left_of(ramp, steep, share) for share in shares]
    nodes = [node_at(medium, way.table, h + bulge, part) for h, part in zip(hu, left, strict=True)]
    return pairwise(nodes)


def _mean_left(more: Any, before: Any, after: Any) -> Any:
    """Mean of the light that is left over a step of constant extinction."""
    small = more < 1e-2
    series = before * (1 - more * (0.5 - more * (1 / 6)))
    return dr.select(small, series, (before - after) * dr.rcp(dr.select(small, 1, more)))


def _crossed(old: Crossing, m: March, way: Way, depth: Any, threshold: Any) -> Crossing:
    now = (old.before < 0) & (depth > threshold)
    return Crossing(
        dr.select(now, m.at_mm, old.begin_mm),
        dr.select(now, way.end_mm, old.end_mm),
        dr.select(now, m.depth, old.before),
    )


def _share_of(wanted: Any, more: Any, first: Any, last: Any) -> Any:
    """Share of a part after which a wanted optical depth has gathered, extinction being linear."""
    scale = more * dr.rcp(dr.maximum(0.5 * (first + last), 1e-20))
    linear, square = first * scale, 0.5 * (last - first) * scale
    root = dr.sqrt(dr.maximum(linear * linear + 4 * square * wanted, 0))
    return dr.clip(2 * wanted * dr.rcp(dr.maximum(linear + root, 1e-20)), 0, 1)

# SPDX-License-Identifier: Apache-2.0
"""The geometry of the kernel: what each ray meets first, and what blocks a ray.

Everything is in the world frame relative to the scene's centre, so that any ray can be asked for,
from the camera or from a wall. Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.render.buffers import MeshBuffers
from endoforge.render.materials import Materials
from endoforge.render.moments import Moment
from endoforge.render.numbers import mixed

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

_LEAST_AREA = 1e-12  # mm², squared length of a cross product


@dataclass(frozen=True, eq=False)
class World:
    """All that a kernel reads of a scene.

    Attributes:
        mesh: Records of faces and vertices.
        materials: Tissues and their patterns.
        now: The instant of the picture.
        normals: Vertex normals at that instant.
        later: The instant of the next frame.
        earlier: The instant of the previous frame; None when nothing asks for it.
        colours: Mean albedo of each face, four floats each; None when nothing asks for it.
    """

    mesh: MeshBuffers
    materials: Materials
    now: Moment
    normals: Any
    later: Moment
    earlier: Moment | None
    colours: Any = None


@dataclass(frozen=True, eq=False)
class Hit:
    """The closest surface of every ray, world frame.

    Attributes:
        found: True where a surface was met.
        face: Number of the face in the kernel's order.
        corners: Its three vertices.
        weights: Barycentric weights of the three.
        distance: Along the ray, mm; 1 where nothing was met.
        place: Relative to the scene's centre, mm.
        out: Unit, back along the ray.
        side: -1 where the face is seen from behind, else 1.
        facet: Geometric unit normal, on the viewer's side.
        normal: Interpolated unit normal, on the viewer's side.
        meaning: Label + instance * 256 + material * 2²⁴; 0 where nothing was met.
        tint: Factor of the albedo.
        blood: 0 to 1.
        bile: 0 to 1.
        rest: Place in the rest frame of the object, mm.
        rest_corners: The same for the three corners.
    """

    found: Any
    face: Any
    corners: Any
    weights: Any
    distance: Any
    place: Any
    out: Any
    side: Any
    facet: Any
    normal: Any
    meaning: Any
    tint: Any
    blood: Any
    bile: Any
    rest: Any
    rest_corners: Any


def closest(world: World, origin: Any, direction: Any, active: Any, coherent: bool = True) -> Hit:
    """Find what each ray meets first and read the surface there.

    Args:
        world: The scene at the instant of the picture.
        origin: Where the rays start, relative to the scene's centre, mm.
        direction: Unit vectors in the world frame.
        active: Rays that are asked for.
        coherent: Neighbouring lanes look almost the same way.
    """
    found, number, uv, distance = nearest(world, origin, direction, active, coherent)
    face = dr.gather(mi.Vector4u, world.mesh.faces, number, found)
    corners = (face.x, face.y, face.z)
    weights = (1 - uv.x - uv.y, uv.x, uv.y)
    across = facing_of(world.now, corners, found)
    side = dr.select(dr.dot(across, direction) > 0, mi.Float(-1), 1)
    normal = dr.normalize(mixed(weights, [_normal(world, k, found) for k in corners])) * side
    turned = dr.maximum(dr.dot(normal, direction), 0)  # interpolation past the horizon
    records = [_record(world, k, found) for k in corners]
    tint, stain, rest = (
        mixed(weights, [mi.Vector3f(*record[part]) for record in records])
        for part in (slice(0, 3), slice(3, 6), slice(5, 8))
    )
    distance = dr.select(found, distance, 1)
    return Hit(
        found=found,
        face=number,
        corners=corners,
        weights=weights,
        distance=distance,
        place=origin + distance * direction,
        out=-direction,
        side=side,
        facet=across * side,
        normal=dr.normalize(normal - turned * direction),
        meaning=dr.select(found, face.w, 0),
        tint=mi.Color3f(tint),
        blood=stain.x,
        bile=stain.y,
        rest=rest,
        rest_corners=[mi.Vector3f(*record[5:8]) for record in records],
    )


def nearest(
    world: World, origin: Any, direction: Any, active: Any, coherent: bool = True
) -> tuple[Any, Any, Any, Any]:
    """Which face each ray meets first: found, its number, place in the face, and distance."""
    ray = mi.Ray3f(origin, direction)
    now = world.now
    if now.fixed is None or now.moving is None:
        only = now.moving if now.fixed is None else now.fixed
        met = only.ray_intersect_preliminary(ray, coherent=coherent, active=active)
        return active & met.is_valid(), met.prim_index, met.prim_uv, met.t
    behind = now.fixed.ray_intersect_preliminary(ray, coherent=coherent, active=active)
    ray.maxt = dr.select(behind.is_valid(), behind.t, ray.maxt)
    before = now.moving.ray_intersect_preliminary(ray, coherent=coherent, active=active)
    moves = before.is_valid()
    shift = dr.gather(mi.UInt32, world.mesh.counts, 0)
    number = dr.select(moves, before.prim_index + shift, behind.prim_index)
    uv = dr.select(moves, before.prim_uv, behind.prim_uv)
    found = active & (moves | behind.is_valid())
    return found, number, uv, dr.select(moves, before.t, behind.t)


def facing_of(moment: Moment, corners: Any, active: Any) -> Any:
    """Geometric unit normal of a face at an instant, by the order of its corners."""
    base, first, second = (position(moment, corner, active) for corner in corners)
    across = dr.cross(first - base, second - base)
    return across * dr.rsqrt(dr.maximum(dr.squared_norm(across), _LEAST_AREA))


def position(moment: Moment, vertex: Any, active: Any) -> Any:
    """Where a vertex is at an instant, relative to the scene's centre."""
    return mi.Vector3f(dr.gather(mi.Vector4f, moment.positions, vertex, active).xyz)


def _normal(world: World, vertex: Any, active: Any) -> Any:
    return mi.Vector3f(dr.gather(mi.Vector4f, world.normals, vertex, active).xyz)


def _record(world: World, vertex: Any, active: Any) -> Any:
    width = dr.width(vertex)
    part = dr.gather(mi.ArrayXf, world.mesh.vertices, vertex, active, shape=(8, width))
    return [part[k] for k in range(8)]


def blocked(moment: Moment, start: Any, end: Any, active: Any, coherent: bool = True) -> Any:
    """True where something stands between two points at an instant."""
    away = end - start
    length = dr.norm(away)
    ray = mi.Ray3f(start, away * dr.rcp(length), length * (1 - 1e-4), 0.0, mi.Color0f())
    hidden = mi.Bool(False)
    for tracer in (moment.fixed, moment.moving):
        if tracer is not None:
            hidden |= tracer.ray_test(ray, coherent=coherent, active=active & ~hidden)
    return hidden

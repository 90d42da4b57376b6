# SPDX-License-Identifier: Apache-2.0
"""The geometry of the kernel: what each ray meets, what blocks a ray, where a point goes next.

Import this file after `render.engine.start`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.geometry.lens_equations import brown_conrady_project, kannala_brandt_project
from endoforge.render.buffers import MeshBuffers
from endoforge.render.parameters import SIGHT_START_MM, Layout

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba


class LensOps:
    """The functions that `geometry.lens_equations` needs, for Dr.Jit."""

    sqrt = staticmethod(dr.sqrt)
    atan2 = staticmethod(dr.atan2)
    where = staticmethod(dr.select)


class Numbers:
    """Reads the frame's parameters inside the kernel, by the names of the layout."""

    def __init__(self, values: Any, layout: Layout) -> None:
        self._values, self.layout = values, layout

    def __call__(self, name: str) -> list[Any]:
        """All numbers of one name."""
        start, count = self.layout.places[name]
        return [self._values[start + k] for k in range(count)]

    def one(self, name: str) -> Any:
        """The only number of one name."""
        return self(name)[0]

    def vector(self, name: str) -> Any:
        """Three numbers as a vector."""
        return mi.Vector3f(*self(name))


@dataclass(frozen=True, eq=False)
class Hit:
    """The closest surface of every ray, camera frame unless said otherwise."""

    found: Any
    place: Any  # world frame, relative to the scene's centre
    point: Any
    out: Any  # unit, towards the camera
    facing_world: Any  # the same in the world frame
    normal: Any  # interpolated, on the camera's side
    normal_world: Any
    facet_world: Any  # geometric, on the camera's side
    tint: Any
    meaning: Any
    distance: Any


def rotate(matrix: Sequence[Any], vector: Any) -> Any:
    """Multiply a 3x3 matrix, row by row, with a vector."""
    x, y, z = vector.x, vector.y, vector.z
    rows = [dr.fma(matrix[k], x, dr.fma(matrix[k + 1], y, matrix[k + 2] * z)) for k in (0, 3, 6)]
    return mi.Vector3f(*rows)


def rotate_back(matrix: Sequence[Any], vector: Any) -> Any:
    """Multiply the transpose of a 3x3 matrix with a vector."""
    return rotate([matrix[k] for k in (0, 3, 6, 1, 4, 7, 2, 5, 8)], vector)


def closest(mesh: MeshBuffers, rays: Any, field: Any, numbers: Numbers) -> Hit:
    """Find what each ray meets first and read the surface there."""
    turn = numbers("world_from_camera")
    origin = mi.Point3f(numbers.vector("origin"))
    direction = rotate(turn, rays)
    ray = mi.Ray3f(origin, direction)
    met = mesh.scene.ray_intersect_preliminary(ray, coherent=True, active=field)
    found = field & met.is_valid()
    face = dr.gather(mi.Vector4u, mesh.faces, met.prim_index, found)
    facet = mi.Vector3f(dr.gather(mi.Vector4f, mesh.face_normals, met.prim_index, found).xyz)
    mixed = interpolated(mesh, face, met.prim_uv, found)
    side = dr.select(dr.dot(facet, direction) > 0, mi.Float(-1), 1)
    normal_world = dr.normalize(mi.Vector3f(*mixed[:3])) * side
    turned = dr.maximum(dr.dot(normal_world, direction), 0)  # interpolation past the horizon
    normal_world = dr.normalize(normal_world - turned * direction)
    distance = dr.select(found, met.t, 1)
    return Hit(
        found=found,
        place=origin + distance * direction,
        point=distance * rays,
        out=-rays,
        facing_world=-direction,
        normal=rotate_back(turn, normal_world),
        normal_world=normal_world,
        facet_world=facet * side,
        tint=mi.Color3f(*mixed[4:7]),
        meaning=dr.select(found, face.w, dr.select(field, mi.UInt32(0), 255)),
        distance=distance,
    )


def interpolated(mesh: MeshBuffers, face: Any, place: Any, found: Any) -> list[Any]:
    """Mix the records of a face's three vertices by the barycentric place in it."""
    mixed = [mi.Float(0)] * 8
    weights = (1 - place.x - place.y, place.x, place.y)
    for weight, index in zip(weights, (face.x, face.y, face.z), strict=True):
        record = dr.gather(mi.ArrayXf, mesh.vertices, index, found, shape=(8, dr.width(index)))
        mixed = [dr.fma(weight, record[k], mixed[k]) for k in range(8)]
    return mixed


def blocked(mesh: MeshBuffers, start: Any, end: Any, active: Any) -> Any:
    """True where something stands between two points."""
    away = end - start
    length = dr.norm(away)
    ray = mi.Ray3f(start, away * dr.rcp(length), length * (1 - 1e-4), 0.0, mi.Color0f())
    return mesh.scene.ray_test(ray, coherent=True, active=active)


def follow(
    mesh: MeshBuffers, hit: Hit, centres: Any, numbers: Numbers
) -> tuple[tuple[Any, Any], Any]:
    """Where each visible point goes in the next frame, and whether it is seen there."""
    point = rotate(numbers("next_turn"), hit.point) + numbers.vector("next_shift")
    project = kannala_brandt_project if numbers.layout.fisheye else brown_conrady_project
    u, v = project(point.x, point.y, point.z, numbers("lens"), LensOps)
    width, height = numbers("image_size")
    in_field = hit.found & (point.z >= numbers.one("cos_field") * dr.norm(point))
    seen = in_field & (u >= 0) & (u <= width) & (v >= 0) & (v <= height)
    eye = mi.Point3f(numbers.vector("next_origin"))
    seen &= dr.dot(hit.facet_world, eye - hit.place) > 0
    seen &= ~blocked(mesh, hit.place + SIGHT_START_MM * hit.facet_world, eye, seen)
    shift = (dr.select(in_field, u - centres.x, dr.nan), dr.select(in_field, v - centres.y, dr.nan))
    return shift, seen

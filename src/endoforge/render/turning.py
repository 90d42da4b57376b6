# SPDX-License-Identifier: Apache-2.0
"""`normals.TurningNormals` on the device: vertex normals that turn with moving tissue.

Import this file after `render.engine.start`.
"""

from typing import Any

import drjit
import mitsuba
import numpy as np
from jaxtyping import Float32

from endoforge.render.arrays import aligned, padded
from endoforge.render.normals import TurningNormals, incidence
from endoforge.render.partition import Partition

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

_LEAST_SQUARE = 1e-30  # mm⁴ or mm²: below it a vector has no direction


class Turning:
    """Turns the normals of what moves; those of what stays are as given."""

    def __init__(
        self,
        parts: Partition,
        rest: Float32[np.ndarray, "vertices 3"],
        given: Float32[np.ndarray, "vertices 3"],
    ) -> None:
        """Remember where the given normals lie in their frames at rest."""
        first, corners = parts.fixed_vertices, parts.corners[parts.fixed_faces :]
        ring = incidence(corners - first, len(rest) - first)
        slow = TurningNormals(rest[first:], corners - first, given[first:])
        self._given = mi.Float(aligned(padded(given)))
        self._corners = mi.UInt32(aligned(padded(corners.astype(np.uint32))))
        self._faces_around = mi.UInt32(aligned(ring.indices.astype(np.uint32)))
        self._starts = mi.UInt32(aligned(ring.indptr[:-1].astype(np.uint32)))
        self._ends = mi.UInt32(aligned(ring.indptr[1:].astype(np.uint32)))
        own = np.arange(first, len(rest), dtype=np.uint32)
        self._own = mi.UInt32(aligned(own))
        self._neighbour = mi.UInt32(aligned((slow.neighbour + first).astype(np.uint32)))
        self._place = mi.Vector3f(*(mi.Float(aligned(part)) for part in slow.place))
        dr.eval(self._given, self._corners, self._faces_around, self._starts, self._ends)
        dr.eval(self._own, self._neighbour, self._place)

    def at(self, positions: Any) -> Any:
        """Normals of all vertices, four floats each, for other positions of the vertices."""
        areas = face_areas(positions, self._corners)
        total = sum_around(areas, self._faces_around, self._starts, self._ends)
        normal = _unit(total)
        edge = _read(positions, self._neighbour) - _read(positions, self._own)
        tangent = _unit(edge - dr.dot(edge, normal) * normal)
        turned = self._place.x * normal + self._place.y * tangent
        turned = _unit(turned + self._place.z * dr.cross(normal, tangent))
        normals = dr.copy(self._given)
        for k, component in enumerate(turned):
            dr.scatter(normals, component, self._own * 4 + k, mode=dr.ReduceMode.Permute)
        dr.eval(normals)
        return normals


def face_areas(positions: Any, corners: Any) -> Any:
    """Normal of each face as long as twice its area, four floats each."""
    number = dr.arange(mi.UInt32, dr.width(corners) // 4)
    face = dr.gather(mi.Vector4u, corners, number)
    base = _read(positions, face.x)
    across = dr.cross(_read(positions, face.y) - base, _read(positions, face.z) - base)
    areas = dr.empty(mi.Float, dr.width(corners))
    for k, component in enumerate(across):
        dr.scatter(areas, component, number * 4 + k, mode=dr.ReduceMode.Permute)
    dr.eval(areas)
    return areas


def sum_around(areas: Any, faces: Any, starts: Any, ends: Any) -> Any:
    """Add up the faces around each vertex, always in the same order."""

    def step(k: Any, total: Any) -> tuple[Any, Any]:
        return k + 1, total + _read(areas, dr.gather(mi.UInt32, faces, k))

    begin = (mi.UInt32(starts), mi.Vector3f(0))
    return dr.while_loop(begin, lambda k, _: k < ends, step)[1]


def _read(array: Any, index: Any) -> Any:
    return mi.Vector3f(dr.gather(mi.Vector4f, array, index).xyz)


def _unit(vector: Any) -> Any:
    return vector * dr.rsqrt(dr.maximum(dr.squared_norm(vector), _LEAST_SQUARE))

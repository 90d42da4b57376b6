# SPDX-License-Identifier: Apache-2.0
"""Reads Hounsfield units, their gradient and organs while light flies.

Places are in voxels, within the grid. Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.render.volume.medium import Voxels

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba


@dataclass(frozen=True, eq=False)
class Corner:
    """The first of the eight voxels around a place.

    Attributes:
        voxel: Its i, j, k.
        share: How far the place is towards the last one, along each axis.
        index: Its place in the volume.
    """

    voxel: Any
    share: Any
    index: Any


def corner_at(size: Any, place: Any) -> Corner:
    """The voxels that a place lies between."""
    voxel = dr.clip(mi.Vector3i(place), 0, mi.Vector3i(size) - 2)
    v = mi.Vector3u(voxel)
    index = (v.x * size.y + v.y) * size.z + v.z
    return Corner(voxel, dr.clip(place - mi.Vector3f(voxel), 0, 1), index)


def hu_between(voxels: Voxels, size: Any, corner: Corner, active: Any) -> Any:
    """Hounsfield units, linear between the eight voxels."""
    s = corner.share
    planes = []
    for i in (0, size.y * size.z):
        rows = []
        for j in (0, size.z):
            low, high = _pair(voxels, corner.index + (i + j), active)
            rows.append(dr.lerp(low, high, s.z))
        planes.append(dr.lerp(rows[0], rows[1], s.y))
    return dr.lerp(planes[0], planes[1], s.x)


def shape_between(voxels: Voxels, size: Any, corner: Corner, active: Any) -> tuple[Any, Any]:
    """Hounsfield units and their gradient, HU per voxel.

    The gradient is that of central differences over two voxels, themselves linear in between; a
    voxel beyond the grid's border counts as the one on it.
    """
    s, v = corner.share, corner.voxel
    last = mi.Vector3i(size) - 2
    strides = (size.y * size.z, size.z, mi.UInt32(1))
    back = [dr.select(v[a] > 0, strides[a], 0) for a in range(3)]
    on = [dr.select(v[a] < last[a], strides[a], 0) for a in range(3)]
    row = {}
    rising = {}
    for a in (1, 2):
        for b in (1, 2):
            base = corner.index + ((strides[0] if a == 2 else 0) + (strides[1] if b == 2 else 0))
            before, first = _pair(voxels, base - back[2], active)
            second, after = _pair(voxels, base + on[2], active)
            first = dr.select(back[2] > 0, first, before)
            second = dr.select(on[2] > 0, second, after)
            row[a, b] = dr.lerp(first, second, s.z)
            rising[a, b] = _slope((before, first, second, after), s.z)
    for a, b, step in (
        (0, 1, -back[0]),
        (0, 2, strides[1] - back[0]),
        (3, 1, strides[0] + on[0]),
        (3, 2, strides[0] + strides[1] + on[0]),
        (1, 0, -back[1]),
        (2, 0, strides[0] - back[1]),
        (1, 3, strides[1] + on[1]),
        (2, 3, strides[0] + strides[1] + on[1]),
    ):
        low, high = _pair(voxels, corner.index + step, active)
        row[a, b] = dr.lerp(low, high, s.z)
    along_x = [dr.lerp(row[a, 1], row[a, 2], s.y) for a in range(4)]
    along_y = [dr.lerp(row[1, b], row[2, b], s.x) for b in range(4)]
    up = [dr.lerp(rising[a, 1], rising[a, 2], s.y) for a in (1, 2)]
    hu = dr.lerp(along_x[1], along_x[2], s.x)
    gradient = mi.Vector3f(_slope(along_x, s.x), _slope(along_y, s.y), dr.lerp(up[0], up[1], s.x))
    return hu, gradient


def organ_near(voxels: Voxels, size: Any, corner: Corner, active: Any) -> Any:
    """The organ number of the nearest voxel."""
    near = dr.select(corner.share >= 0.5, mi.Vector3u(1), mi.Vector3u(0))
    index = corner.index + (near.x * size.y + near.y) * size.z + near.z
    word = dr.gather(mi.UInt32, voxels.organs, index >> 2, active)
    return (word >> ((index & 3) << 3)) & 255


def _pair(voxels: Voxels, index: Any, active: Any) -> tuple[Any, Any]:
    """A voxel and its neighbour along k."""
    word = dr.gather(mi.UInt32, voxels.pairs, index, active)
    both = dr.reinterpret_array(mi.Int32, word)
    return mi.Float((both << 16) >> 16), mi.Float(both >> 16)


def _slope(layers: Any, share: Any) -> Any:
    before, first, second, after = layers
    return 0.5 * dr.lerp(second - before, after - first, share)

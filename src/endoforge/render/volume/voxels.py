# SPDX-License-Identifier: Apache-2.0
"""A CT on the device, and how kernels read Hounsfield units, their gradient and organs from it.

Places are in voxels, within the grid. Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np
from jaxtyping import Int16, UInt8, UInt32

from endoforge.render.arrays import aligned
from endoforge.render.volume.blocks import (
    BLOCK,
    CELL,
    VolumeOnDevice,
    block_ranges,
    highest_of_blocks,
)
from endoforge.render.volume.steepness import Steepness, steepness
from endoforge.scene.volume.records import CtVolume

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba


@dataclass(eq=False)
class Voxels:
    """What stays on the device for a volume.

    Attributes:
        pairs: Each voxel's HU in the low half of a word, its neighbour's along k in the high half.
        organs: Organ numbers, four to a word; None where nothing was segmented.
        sizes: Voxels along i, j, k, then blocks along i, j, k.
        steepness: How steep HU are, from the first transfer function on that asks for it.
    """

    pairs: Any
    organs: Any
    sizes: Any
    steepness: Steepness | None = None


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


def upload_volume(volume: CtVolume) -> VolumeOnDevice:
    """Put a volume on the device and find the HU of its blocks."""
    return VolumeOnDevice(block_ranges(volume.hu), upload_voxels(volume))


def upload_voxels(volume: CtVolume) -> Voxels:
    """Put a volume on the device: four bytes per voxel, and one for its organ."""
    blocks = [max(-(-(n - 1) // BLOCK), 1) for n in volume.hu.shape]
    voxels = Voxels(
        pairs=mi.UInt32(paired(volume.hu)),
        organs=None if volume.organs is None else mi.UInt32(_fours(volume.organs)),
        sizes=mi.UInt32(aligned(np.array([*volume.hu.shape, *blocks], np.uint32))),
    )
    dr.eval(voxels.pairs, voxels.organs, voxels.sizes)
    return voxels


def steepness_of(volume: CtVolume, voxels: Voxels) -> Steepness:
    """How steep a volume's HU are; kept beside them."""
    if voxels.steepness is None:
        values = steepness(volume)
        highest = {block: highest_of_blocks(values, block) for block in (CELL, BLOCK)}
        voxels.steepness = Steepness(mi.UInt32(paired(values)), highest)
    return voxels.steepness


def paired(values: Int16[np.ndarray, "i j k"]) -> UInt32[np.ndarray, "voxels"]:
    """Each value in the low half of a word, its neighbour's along k in the high half."""
    words = _room(values.size)
    for target, plane in zip(words.reshape(values.shape), values, strict=True):
        target[:] = plane.astype(np.uint16)
        target[:, :-1] |= target[:, 1:] << np.uint32(16)
        target[:, -1] |= target[:, -1] << np.uint32(16)
    return words


def _fours(organs: UInt8[np.ndarray, "i j k"]) -> UInt32[np.ndarray, "words"]:
    words = _room(-(-organs.size // 4))
    words.view(np.uint8)[: organs.size] = organs.ravel()
    return words


def _room(count: int) -> UInt32[np.ndarray, "count"]:
    """Words that start on a 64-byte border (see `render.arrays.aligned`), not yet written."""
    room = np.empty(4 * count + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + 4 * count].view(np.uint32)


def eight_around(pairs: Any, size: Any, corner: Corner, active: Any = True) -> tuple[Any, ...]:
    """The values of the eight voxels, the last axis fastest."""
    values: list[Any] = []
    for i in (0, size.y * size.z):
        for j in (0, size.z):
            values += _pair(pairs, corner.index + (i + j), active)
    return tuple(values)


def between(values: tuple[Any, ...], share: Any) -> Any:
    """Interpolate linearly between the values of eight voxels."""
    row = [dr.lerp(a, b, share.z) for a, b in zip(values[::2], values[1::2], strict=True)]
    return dr.lerp(dr.lerp(row[0], row[1], share.y), dr.lerp(row[2], row[3], share.y), share.x)


def hu_between(voxels: Voxels, size: Any, corner: Corner, active: Any) -> Any:
    """Hounsfield units, linear between the eight voxels."""
    return between(eight_around(voxels.pairs, size, corner, active), corner.share)


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
            before, first = _pair(voxels.pairs, base - back[2], active)
            second, after = _pair(voxels.pairs, base + on[2], active)
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
        low, high = _pair(voxels.pairs, corner.index + step, active)
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


def _pair(pairs: Any, index: Any, active: Any) -> tuple[Any, Any]:
    """A voxel and its neighbour along k."""
    word = dr.gather(mi.UInt32, pairs, index, active)
    both = dr.reinterpret_array(mi.Int32, word)
    return mi.Float((both << 16) >> 16), mi.Float(both >> 16)


def _slope(layers: Any, share: Any) -> Any:
    before, first, second, after = layers
    return 0.5 * dr.lerp(second - before, after - first, share)

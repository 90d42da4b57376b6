# SPDX-License-Identifier: Apache-2.0
"""A CT in the patient's axes, in voxels of about 2 mm: enough to tell what belongs together."""

import numpy as np
from jaxtyping import Float, Float64, Int16
from scipy import ndimage

from endoforge.scene.volume.records import CtVolume

_COARSE_MM = 2.2


def in_patient_axes(volume: CtVolume) -> CtVolume:
    """The same voxels, their axes swapped and turned: first to the right, then front, then head.

    A grid that is tilted against the patient stays tilted; each axis goes to the one next to it.
    """
    direction = volume.world_from_voxel[:3, :3] / volume.spacing_mm
    order, flips = _nearest_axes(direction)
    hu = _turned(volume.hu, order, flips)
    organs = None if volume.organs is None else _turned(volume.organs, order, flips)
    world = volume.world_from_voxel.copy()
    world[:3, :3] = volume.world_from_voxel[:3, order] * np.where(flips, -1.0, 1.0)
    last = (np.array(volume.hu.shape) - 1)[order]
    first = volume.world_from_voxel[:3, order] @ np.where(flips, last, 0)
    world[:3, 3] = volume.world_from_voxel[:3, 3] + first
    return CtVolume(hu, world, organs, volume.organ_names, volume.provenance)


def coarsened(volume: CtVolume, largest_mm: float = _COARSE_MM) -> CtVolume:
    """Means of whole blocks of voxels, each block as large as fits into a given size.

    Means keep what share of a block is gas. Voxels at the far end that fill no block are left out;
    a block's organ is that of its middle voxel.

    Args:
        volume: Any CT.
        largest_mm: Largest edge of a block; voxels that are larger stay as they are.
    """
    wanted = np.floor(largest_mm / volume.spacing_mm + 1e-6).astype(int)
    factor = np.clip(wanted, 1, np.array(volume.hu.shape))
    if (factor == 1).all():
        return volume
    world = volume.world_from_voxel.copy()
    world[:3, :3] *= factor
    world[:3, 3] += volume.world_from_voxel[:3, :3] @ ((factor - 1) / 2)
    organs = None
    if volume.organs is not None:
        count = np.array(volume.hu.shape) // factor
        start = factor // 2
        steps = tuple(
            slice(int(s), int(s + n * f), int(f))
            for s, n, f in zip(start, count, factor, strict=True)
        )
        organs = np.ascontiguousarray(volume.organs[steps])
        organs = organs[: count[0], : count[1], : count[2]]
    return CtVolume(
        _block_means(volume.hu, factor), world, organs, volume.organ_names, volume.provenance
    )


def to_voxels(
    volume: CtVolume, points_mm: Float[np.ndarray, "points 3"]
) -> Float64[np.ndarray, "points 3"]:
    """Where world points lie in voxel indices; centres of voxels are at whole numbers."""
    inverse = np.linalg.inv(volume.world_from_voxel)
    return np.asarray(np.asarray(points_mm, float) @ inverse[:3, :3].T + inverse[:3, 3])


def to_world(
    volume: CtVolume, voxels: Float[np.ndarray, "points 3"]
) -> Float64[np.ndarray, "points 3"]:
    """World positions of voxel indices, mm."""
    world = volume.world_from_voxel
    return np.asarray(np.asarray(voxels, float) @ world[:3, :3].T + world[:3, 3])


def hu_at(
    volume: CtVolume, points_mm: Float[np.ndarray, "points 3"]
) -> Float64[np.ndarray, "points"]:
    """Hounsfield units at world points, linear between voxel centres, -1024 outside the grid."""
    at = to_voxels(volume, points_mm)
    found = ndimage.map_coordinates(
        volume.hu, at.T, output=np.float64, order=1, mode="constant", cval=-1024.0
    )
    return np.asarray(found, dtype=np.float64)


def _nearest_axes(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the grid's axes goes along each world axis, and whether it runs against it."""
    left = np.abs(direction).copy()
    order = np.zeros(3, dtype=int)
    for _ in range(3):  # the clearest match first
        world, grid = np.unravel_index(int(np.argmax(left)), (3, 3))
        order[world] = grid
        left[world], left[:, grid] = -1.0, -1.0
    return order, direction[np.arange(3), order] < 0


def _turned(values: np.ndarray, order: np.ndarray, flips: np.ndarray) -> np.ndarray:
    turned = values.transpose([int(axis) for axis in order])
    return turned[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]


def _block_means(hu: Int16[np.ndarray, "i j k"], factor: np.ndarray) -> Int16[np.ndarray, "a b c"]:
    count = np.array(hu.shape) // factor
    total = np.zeros(count, dtype=np.int32)
    for offset in np.ndindex(*(int(f) for f in factor)):
        steps = tuple(
            slice(o, o + int(n * f), int(f)) for o, n, f in zip(offset, count, factor, strict=True)
        )
        total += hu[steps]
    return np.rint(total / int(factor.prod())).astype(np.int16)

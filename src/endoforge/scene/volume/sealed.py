# SPDX-License-Identifier: Apache-2.0
"""The walls of a piece of gas at the CT's full resolution, with all other gas taken for tissue."""

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy import ndimage

from endoforge.scene.volume.coarse import in_patient_axes
from endoforge.scene.volume.gas import WALL_HU, GasMap
from endoforge.scene.volume.records import CtVolume
from endoforge.scene.volume.walls import VolumeTissue, tissue_of

_TISSUE_HU = 40.0
_MOST_VOXELS = 80_000_000
_MARGIN = 3  # coarse voxels


def tissue_around(
    volume: CtVolume,
    gas: GasMap,
    free: Bool[np.ndarray, "i j k"],
    wall_hu: float = WALL_HU,
) -> VolumeTissue:
    """The wall around some gas, where the linearly interpolated CT crosses a level.

    Args:
        volume: The CT.
        gas: Its labelled gas.
        free: Which of the coarse grid's voxels belong to that gas; the wall is sought up to one
            voxel further out, and everything beyond is tissue.
        wall_hu: The level, HU.

    Raises:
        SceneError: There is no wall.
    """
    box = _box(free)
    near = ndimage.binary_dilation(free[box], np.ones((3, 3, 3)))
    source, factor = _source(volume, gas, near.size)
    start = np.array([part.start for part in box]) * factor
    fine = tuple(
        slice(int(part.start * f), int(part.stop * f)) for part, f in zip(box, factor, strict=True)
    )
    excess = source.hu[fine].astype(np.float32)
    excess -= np.float32(wall_hu)
    for axis, times in enumerate(factor):
        near = np.repeat(near, int(times), axis=axis)
    excess[~near] = np.maximum(excess[~near], np.float32(_TISSUE_HU - wall_hu))
    return _padded(excess, source.world_from_voxel, start, _TISSUE_HU - wall_hu)


def tissue_of_body(gas: GasMap, wall_hu: float = WALL_HU) -> VolumeTissue:
    """The skin, for cameras outside: all that the body holds is tissue, all else is free.

    The table and blankets count as free: they are no part of the patient.
    """
    coarse = gas.found.coarse
    body = ndimage.binary_dilation(gas.found.inside)
    deep = ndimage.binary_erosion(gas.found.inside)
    excess = coarse.hu.astype(np.float32) - np.float32(wall_hu)
    low, high = -1000.0 - wall_hu, _TISSUE_HU - wall_hu
    excess = np.where(body, excess, np.minimum(excess, np.float32(low)))
    excess = np.where(deep, np.maximum(excess, np.float32(high)), excess)
    return _padded(excess, coarse.world_from_voxel, np.zeros(3), low, free_beyond=True)


def _padded(
    excess: np.ndarray,
    world_from_voxel: Float64[np.ndarray, "4 4"],
    start: np.ndarray,
    beyond: float,
    free_beyond: bool = False,
) -> VolumeTissue:
    world = world_from_voxel.copy()
    world[:3, 3] += world_from_voxel[:3, :3] @ (start - 1.0)
    padded: Float32[np.ndarray, "i j k"] = np.pad(excess, 1, constant_values=np.float32(beyond))
    return tissue_of(padded, world, free_beyond)


def _box(free: Bool[np.ndarray, "i j k"]) -> tuple[slice, ...]:
    """The part of the grid around some voxels."""
    parts = []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        filled = np.flatnonzero(free.any(axis=others))
        first = max(int(filled[0]) - _MARGIN, 0)
        parts.append(slice(first, min(int(filled[-1]) + 1 + _MARGIN, free.shape[axis])))
    return tuple(parts)


def _source(volume: CtVolume, gas: GasMap, coarse_voxels: int) -> tuple[CtVolume, np.ndarray]:
    """The CT to take walls from, and how many of its voxels make a coarse one along each axis."""
    fine = in_patient_axes(volume)
    factor = np.rint(gas.found.coarse.spacing_mm / fine.spacing_mm).astype(int)
    if coarse_voxels * int(factor.prod()) > _MOST_VOXELS:
        return gas.found.coarse, np.ones(3, dtype=int)
    return fine, factor

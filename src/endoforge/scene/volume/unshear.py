# SPDX-License-Identifier: Apache-2.0
"""Slices stacked askew, as a tilted gantry leaves them, are shifted until they stand squarely."""

import numpy as np
from jaxtyping import Float64, Int16

from endoforge.errors import DataError
from endoforge.scene.volume.gather import AIR_HU
from endoforge.scene.volume.grids import TILT_DEG, skew_deg

_LARGEST_TILT_DEG = 35.0


def unsheared(
    hu: Int16[np.ndarray, "i j k"], affine: Float64[np.ndarray, "4 4"], axis: int, name: str
) -> tuple[Int16[np.ndarray, "_i _j _k"], Float64[np.ndarray, "4 4"], str]:
    """Shift every slice within its plane so that the axes of the grid stand squarely.

    Slices keep their planes; within them values are interpolated linearly, and the grid grows so
    that nothing is lost.

    Args:
        hu: The volume.
        affine: Its world_from_voxel, mm.
        axis: Along which slices are stacked.
        name: For errors.

    Returns:
        The volume, its affine, and a note of what was done.

    Raises:
        DataError: Slices are askew within, or stacked so by more than a gantry can tilt.
    """
    tilt = skew_deg(affine)
    flat = [k for k in range(3) if k != axis]
    plane = affine[:3, flat]
    within = plane / np.linalg.norm(plane, axis=0)
    if abs(float(within[:, 0] @ within[:, 1])) > np.sin(np.radians(TILT_DEG)):
        raise DataError(f"{name} has pixels that are not square to one another; resample it first")
    if tilt > _LARGEST_TILT_DEG:
        raise DataError(
            f"{name} has slices stacked askew by {tilt:.1f} degrees; a gantry tilts by at most "
            f"{_LARGEST_TILT_DEG:g}: check its geometry"
        )
    drift = np.linalg.lstsq(plane, affine[:3, axis], rcond=None)[0]  # pixels per slice
    moved = np.moveaxis(hu, (flat[0], flat[1], axis), (0, 1, 2))
    result, first = _shifted(moved, drift)
    square = affine.copy()
    square[:3, axis] -= plane @ drift
    square[:3, 3] += plane @ first
    back = np.moveaxis(result, (0, 1, 2), (flat[0], flat[1], axis))
    note = f"slices were stacked askew by {tilt:.1f} degrees (tilted gantry) and shifted square"
    return np.ascontiguousarray(back), square, note


def _shifted(
    hu: Int16[np.ndarray, "i j slices"], drift: Float64[np.ndarray, "2"]
) -> tuple[Int16[np.ndarray, "_i _j slices"], Float64[np.ndarray, "2"]]:
    """Shift each slice by its drift; also where the first pixel of the result lies, in pixels."""
    count = hu.shape[2]
    total = drift * (count - 1)
    first = np.floor(np.minimum(total, 0.0))
    last = np.ceil(np.maximum(total, 0.0))
    i, j = (np.array(hu.shape[:2]) + last - first).astype(int)
    result = np.full((i, j, count), AIR_HU, np.int16)
    for k in range(count):
        at = drift * k - first
        whole = np.floor(at).astype(int)
        share = at - whole
        padded = np.pad(hu[:, :, k].astype(np.float32), 1, constant_values=AIR_HU)
        rows = padded[1:] * (1 - share[0]) + padded[:-1] * share[0]
        both = rows[:, 1:] * (1 - share[1]) + rows[:, :-1] * share[1]
        high = np.minimum(whole + both.shape, (i, j))
        part = both[: high[0] - whole[0], : high[1] - whole[1]]
        result[whole[0] : high[0], whole[1] : high[1], k] = np.rint(part)
    return result, first

# SPDX-License-Identifier: Apache-2.0
"""What reading a CT may cost: voxels held in memory, and the limits of the child that reads it."""

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from endoforge.errors import DataError
from endoforge.frames.foreign import Limits
from endoforge.scene.volume.grids import factors_for


def block_factors(
    path: Path,
    shape: tuple[int, int, int],
    sizes_mm: Float64[np.ndarray, "3"],
    most_voxels: int,
    when_too_large: str,
) -> tuple[int, int, int]:
    """Block sizes that bring a CT below a number of voxels; 1 where it is small enough.

    Raises:
        DataError: It is too large and is to be refused; says its size.
    """
    voxels = int(np.prod(shape, dtype=object))
    if voxels <= most_voxels:
        return 1, 1, 1
    if when_too_large == "refuse":
        raise DataError(
            f"{path} has {' x '.join(map(str, shape))} = {voxels} voxels, {voxels / 5e8:.1f} GB of "
            f"Hounsfield units, and at most {most_voxels} are held: raise most_voxels, or let it "
            "be read coarser"
        )
    return factors_for(shape, sizes_mm, most_voxels)


def limits_for(most_voxels: int, file_bytes: int) -> Limits:
    """Limits of the child by the size of what it reads and of what it may hand back.

    Args:
        most_voxels: Voxels that it may hand back.
        file_bytes: Of all files that it reads.
    """
    held = min(most_voxels, 1100 * file_bytes)  # what the files can hold at all
    return Limits(
        file_bytes=80_000_000_000,
        memory_bytes=2_500_000_000 + 8 * held,
        result_bytes=4 * held + 50_000_000,
        cpu_s=60 + (held + file_bytes) // 2_000_000,
        wall_s=120.0 + 2 * (held + file_bytes) / 2_000_000,
    )

# SPDX-License-Identifier: Apache-2.0
"""How steeply Hounsfield units change at each voxel, for transfer functions that ask for it.

Computed on the host, once for a volume.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int16

from endoforge.optics.transfer import GradientRamp
from endoforge.scene.volume.records import CtVolume

#: Whole numbers are kept: so many to 1 HU/mm.
PER_HU_PER_MM = 4

_MOST = 32767


@dataclass(eq=False)
class Steepness:
    """What stays on the device beside a volume's HU.

    Attributes:
        pairs: As `voxels.Voxels.pairs`.
        highest: Of each block of so many cells a side, on the host.
    """

    pairs: Any
    highest: dict[int, Int16[np.ndarray, "a b c"]]

    def most_left(self, ramp: GradientRamp, block: int) -> Float64[np.ndarray, "a b c"]:
        """The largest factor of extinction that a ramp leaves within each block."""
        highest = self.highest[block].astype(np.float64) + 1  # more than rounding ever adds
        highest = np.where(highest < _MOST, highest, np.inf)
        return ramp.factor(highest / PER_HU_PER_MM)


def steepness(volume: CtVolume) -> Int16[np.ndarray, "i j k"]:
    """Length of the gradient of HU at each voxel, in quarters of 1 HU/mm.

    Central differences over two voxels; a voxel beyond the grid's border counts as the one on it.
    """
    voxel_from_world = np.linalg.inv(volume.world_from_voxel)[:3, :3].astype(np.float32)
    found = np.empty(volume.hu.shape, np.int16)
    for i, plane in enumerate(volume.hu):
        ends = volume.hu[[max(i - 1, 0), min(i + 1, len(volume.hu) - 1)]].astype(np.float32)
        wide = np.pad(plane.astype(np.float32), 1, mode="edge")
        slopes = (
            ends[1] - ends[0],
            wide[2:, 1:-1] - wide[:-2, 1:-1],
            wide[1:-1, 2:] - wide[1:-1, :-2],
        )
        found[i] = np.minimum(np.rint(_length(slopes, voxel_from_world)), _MOST)
    return found


def _length(
    slopes: tuple[Float32[np.ndarray, "j k"], ...], voxel_from_world: Float32[np.ndarray, "3 3"]
) -> Float32[np.ndarray, "j k"]:
    """Of the gradient in the world, from HU over two voxels along each axis."""
    square = np.zeros_like(slopes[0])
    for axis in range(3):
        part = sum(voxel_from_world[k, axis] * slopes[k] for k in range(3))
        square += part * part
    return np.asarray(0.5 * PER_HU_PER_MM * np.sqrt(square), np.float32)

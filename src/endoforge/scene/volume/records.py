# SPDX-License-Identifier: Apache-2.0
"""A CT as data: Hounsfield units on a grid, and where the grid lies in the patient."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64, Int16, UInt8


@dataclass(frozen=True, eq=False)
class CtVolume:
    """Hounsfield units of one patient, or of a phantom.

    A value stands at the centre of its voxel; between centres values are interpolated linearly, and
    outside the outermost centres there is air.

    Attributes:
        hu: Hounsfield units, by the grid's three axes; -1024 to 32767.
        world_from_voxel: From voxel indices (centres at whole numbers) to the world, mm: +x to the
            patient's right, +y front, +z head. Axes are orthogonal; voxels need not be cubes.
        organs: Number of the organ of each voxel, 0 for none; None where nothing was segmented.
        organ_names: Names by number.
        provenance: Where the volume came from, under which licence, and what was done to it.
    """

    hu: Int16[np.ndarray, "i j k"]
    world_from_voxel: Float64[np.ndarray, "4 4"]
    organs: UInt8[np.ndarray, "i j k"] | None = None
    organ_names: Mapping[int, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def spacing_mm(self) -> Float64[np.ndarray, "3"]:
        """Distance between voxel centres along each axis of the grid, mm."""
        return np.asarray(np.linalg.norm(self.world_from_voxel[:3, :3], axis=0))

    @property
    def centre_mm(self) -> Float64[np.ndarray, "3"]:
        """Middle of the grid in the world, mm."""
        middle = (np.array(self.hu.shape) - 1) / 2
        return np.asarray(self.world_from_voxel[:3, :3] @ middle + self.world_from_voxel[:3, 3])

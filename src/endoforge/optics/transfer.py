# SPDX-License-Identifier: Apache-2.0
"""From Hounsfield units to optical properties: the transfer function of a cinematic picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, eq=False)
class OpticalCurve:
    """Optical properties over Hounsfield units, linear between stated points, constant beyond.

    Attributes:
        hu: Where they are stated, rising.
        extinction_per_mm: Extinction coefficient, 1/mm; absorption and scattering together.
        albedo: Share of the extinguished light that is scattered, linear RGB, 0 to 1.
        roughness: GGX roughness alpha of the surface where the gradient is strong, 0 to 1.
        f0: Reflectance of that surface when lit and seen squarely, 0 to 1.
    """

    hu: Float64[np.ndarray, "points"]
    extinction_per_mm: Float64[np.ndarray, "points"]
    albedo: Float64[np.ndarray, "points 3"]
    roughness: Float64[np.ndarray, "points"]
    f0: Float64[np.ndarray, "points"]


@dataclass(frozen=True, eq=False)
class TransferFunction:
    """How tissue of a CT scatters light.

    A scattering event is one at a surface with probability
    1 - exp(-|gradient of HU| / `surface_hu_per_mm`), else one of the phase function.

    Attributes:
        name: As in its file.
        curve: For tissue of no segmented organ.
        organs: For voxels of segmented organs, by the organ's name.
        anisotropy: Mean cosine g of the Henyey-Greenstein phase function, -0.95 to 0.95.
        surface_hu_per_mm: How steep the HU must be to act as a surface; large: never.
    """

    name: str
    curve: OpticalCurve
    organs: Mapping[str, OpticalCurve] = field(default_factory=dict)
    anisotropy: float = 0.2
    surface_hu_per_mm: float = 60.0

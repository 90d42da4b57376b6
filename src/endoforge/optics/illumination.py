# SPDX-License-Identifier: Apache-2.0
"""Light that stands in the world instead of riding with the lens: areas and surroundings."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from endoforge.optics.lamp import Triple


@dataclass(frozen=True)
class DiskLight:
    """A glowing disk that shines to one side.

    Attributes:
        centre_mm: In the world, mm.
        axis: Unit direction that it faces, in the world.
        radius_mm: Its radius, mm.
        radiance: Emitted, linear RGB, the same in all directions of that side.
    """

    centre_mm: Triple
    axis: Triple
    radius_mm: float
    radiance: Triple


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Light from infinitely far away.

    Attributes:
        radiance: Linear RGB over directions: rows from +z (top) to -z, columns turn
            from +x over +y. 1x1 for the same in all directions.
        seen: Rays that leave the volume show it; else they show black.
    """

    radiance: Float32[np.ndarray, "rows columns 3"]
    seen: bool = True


@dataclass(frozen=True, eq=False)
class WorldLight:
    """All light that stands in the world.

    Attributes:
        disks: Area lights; none for an endoscope alone.
        surroundings: None for darkness.
    """

    disks: tuple[DiskLight, ...] = ()
    surroundings: Surroundings | None = None

# SPDX-License-Identifier: Apache-2.0
"""Places of an anatomy that a camera looks at, a tool works on, or an instrument enters through."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.errors import SceneError


@dataclass(frozen=True, eq=False)
class Target:
    """A round place on a surface.

    Attributes:
        name: For example ``"liver"``, ``"polyp-3"`` or ``"port-camera"``.
        point_mm: Its middle in the world, on the surface, mm.
        radius_mm: How far it reaches from there, mm; 0 for a mere point.
        normal: Unit direction away from the tissue, towards where a camera may be.
    """

    name: str
    point_mm: Float64[np.ndarray, "3"]
    radius_mm: float
    normal: Float64[np.ndarray, "3"]

    def __post_init__(self) -> None:
        point, normal = np.asarray(self.point_mm, float), np.asarray(self.normal, float)
        length = float(np.linalg.norm(normal))
        if not (np.isfinite(point).all() and math.isfinite(length) and length > 1e-9):
            raise SceneError(
                f"target {self.name!r} needs a finite point and a direction, "
                f"got {point.tolist()} and {normal.tolist()}"
            )
        if not (math.isfinite(self.radius_mm) and self.radius_mm >= 0):
            raise SceneError(
                f"target {self.name!r} needs a radius of 0 mm or more, got {self.radius_mm}"
            )
        object.__setattr__(self, "point_mm", point)
        object.__setattr__(self, "normal", normal / length)

# SPDX-License-Identifier: Apache-2.0
"""Tissue that an instrument holds: which point is drawn where, frame by frame."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, eq=False)
class Pull:
    """One place of an organ that follows an instrument's jaws.

    Attributes:
        instance: Object that is held, as in `Surface.face_instance`.
        point_mm: Where the held tissue lies at rest, world, mm.
        displacement_mm: How far it is drawn from where it would be without the instrument, for
            frames -1 to one past the last; 0 while it is not held.
        reach_mm: Distance over which tissue around it follows, mm.
    """

    instance: int
    point_mm: Float64[np.ndarray, "3"]
    displacement_mm: Float64[np.ndarray, "frames 3"]
    reach_mm: float

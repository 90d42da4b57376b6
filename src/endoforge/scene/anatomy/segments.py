# SPDX-License-Identifier: Apache-2.0
"""The named parts of a colon: where each lies along the whole, and how its wall differs.

Places are shares of the whole colon's length, 0 the anus and 1 the pole of the caecum.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

#: First and last place of each named segment. The flexures lie where the course bends.
SEGMENTS: dict[str, tuple[float, float]] = {
    "rectum": (0.0, 0.10),
    "sigmoid": (0.10, 0.40),
    "descending": (0.40, 0.56),
    "transverse": (0.56, 0.82),
    "ascending": (0.82, 0.955),
    "caecum": (0.955, 1.0),
}

# Calibre: ascending 46 mm (26 to 63) and descending 29 mm (16 to 48) wide in unprepared adults on
# CT, caecum widest and below 90 mm, sigmoid about 30 mm; widened for a colon filled with gas.
# Lengths: rectum 12 to 15 cm, transverse the longest and the sigmoid second; caecum 6 cm.
# Fold heights, measured from the pouch's ground on CT colonography (Thompson et al., J Colon Rectal
# Cancer 2016): ascending 14.6 ± 5.5, transverse 9.5 ± 3.7, descending 6.5 ± 3.1 mm.
# Taeniae stand out most in the right and transverse colon and end in the lower sigmoid.
# Spacing, triangle and pouch: own choice, set against colonoscopy pictures.
_TABLE = np.array(
    [
        # place radius fold  spacing triangle taenia pouch
        (0.000, 14.0, 0.15, 2.2, 0.0, 0.0, 0.1),  # anal canal's end
        (0.020, 19.0, 0.15, 2.2, 0.0, 0.0, 0.2),
        (0.055, 21.5, 0.20, 2.0, 0.0, 0.0, 0.3),  # ampulla
        (0.100, 17.0, 0.50, 1.4, 0.1, 0.1, 0.5),  # rectosigmoid junction
        (0.160, 15.0, 0.85, 0.95, 0.15, 0.3, 0.8),
        (0.330, 14.5, 0.90, 0.85, 0.2, 0.4, 0.9),
        (0.420, 16.0, 0.85, 0.95, 0.35, 0.6, 0.9),
        (0.540, 17.5, 0.92, 0.9, 0.6, 0.7, 1.0),  # splenic flexure
        (0.600, 19.5, 1.15, 0.85, 1.0, 1.0, 1.0),
        (0.780, 20.5, 1.20, 0.85, 1.0, 1.0, 1.0),
        (0.830, 22.0, 1.30, 0.95, 0.8, 1.0, 1.05),  # hepatic flexure
        (0.930, 24.0, 1.40, 1.05, 0.6, 1.0, 1.1),
        (0.965, 26.5, 1.05, 1.1, 0.5, 1.0, 1.1),
        (1.000, 26.5, 0.55, 1.2, 0.4, 1.0, 1.0),
    ]
)


@dataclass(frozen=True, eq=False)
class Profile:
    """How the wall is at places along the colon.

    Attributes:
        radius_mm: Radius between the folds of a colon filled with gas.
        fold_height: Multiplies the settings' fold height.
        fold_spacing: Multiplies the settings' fold spacing.
        triangle: How far the three rows of folds keep in step, 0 to 1; 1 looks triangular.
        taenia: Multiplies the settings' relief of the taeniae.
        pouch: Multiplies the settings' bulge of the haustra.
    """

    radius_mm: Float64[np.ndarray, "points"]
    fold_height: Float64[np.ndarray, "points"]
    fold_spacing: Float64[np.ndarray, "points"]
    triangle: Float64[np.ndarray, "points"]
    taenia: Float64[np.ndarray, "points"]
    pouch: Float64[np.ndarray, "points"]


def profile_at(place: Float64[np.ndarray, "points"]) -> Profile:
    """Look up the wall at places of the whole colon, 0 the anus to 1 the caecum's pole."""
    return Profile(*(np.interp(place, _TABLE[:, 0], _TABLE[:, k]) for k in range(1, 7)))


def segment_at(place: float) -> str:
    """Name of the segment at a place.

    Example:
        >>> segment_at(0.3)
        'sigmoid'
    """
    return next((name for name, (_, last) in SEGMENTS.items() if place < last), "caecum")


def first_place(segment: str, start: float, share: float) -> float:
    """Where a piece begins that shows a segment.

    Args:
        segment: One of `SEGMENTS`, or ``"any"`` for the whole colon.
        start: 0 as near to the anus as possible, 1 as near to the caecum.
        share: Length of the piece as a share of the whole colon.

    Returns:
        A place; the piece holds the whole segment, or lies within it if it is shorter.
    """
    if segment == "any":
        return min(start, 1.0 - share)
    first, last = SEGMENTS[segment]
    return min(max(first + start * (last - first - share), 0.0), 1.0 - share)

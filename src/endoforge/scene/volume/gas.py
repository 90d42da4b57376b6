# SPDX-License-Identifier: Apache-2.0
"""Gas in a CT as data: connected pieces, their measures, and what they were found to be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt16

from endoforge.scene.volume.records import CtVolume

GasKind = Literal["lung", "airway", "colon", "stomach", "bowel", "other"]

#: Half-way between gas (-1000 HU) and tissue (about 0): where a wall stands within its voxel.
WALL_HU = -500


@dataclass(frozen=True, eq=False)
class GasPiece:
    """One connected piece of gas, before its kind is known.

    Attributes:
        number: Its number in `GasPieces.number`.
        volume_ml: Its volume.
        middle_mm: Its centre of mass in the world.
        low_mm: Least world coordinates of its box.
        high_mm: Largest world coordinates of its box.
        radius_mm: Distance to its wall where it is widest.
        lung: Its values are those of lung.
        beside_lung: Share of its surface that abuts on lung.
        at_end: It is cut by the first or the last slice, or by a side of the grid.
    """

    number: int
    volume_ml: float
    middle_mm: Float64[np.ndarray, "3"]
    low_mm: Float64[np.ndarray, "3"]
    high_mm: Float64[np.ndarray, "3"]
    radius_mm: float
    lung: bool
    beside_lung: float
    at_end: bool

    @property
    def slenderness(self) -> float:
        """How many times longer than wide a straight tube of its volume and radius would be."""
        area = np.pi * max(self.radius_mm, 0.5) ** 2
        return float(1000.0 * self.volume_ml / area / (2 * max(self.radius_mm, 0.5)))


@dataclass(frozen=True, eq=False)
class GasPieces:
    """All gas in a body.

    Attributes:
        coarse: The CT that it was found in: in the patient's axes, voxels of about 2 mm.
        inside: True in the body and in the gas within.
        number: Number of the piece of each voxel, 0 for none.
        mean_hu: Mean value of the air about each voxel; 0 where there is none.
        pieces: What each number stands for.
    """

    coarse: CtVolume
    inside: Bool[np.ndarray, "i j k"]
    number: UInt16[np.ndarray, "i j k"]
    mean_hu: Float32[np.ndarray, "i j k"]
    pieces: tuple[GasPiece, ...]


@dataclass(frozen=True, eq=False)
class GasRegion:
    """One connected piece of gas and what it is.

    Attributes:
        kind: Where it is.
        confidence: 0 to 1: 0.95 by an organ mask, less by the rules of `gas_rules`.
        reason: The rule that decided, for the record.
        piece: Its measures.
    """

    kind: GasKind
    confidence: float
    reason: str
    piece: GasPiece


@dataclass(frozen=True, eq=False)
class GasMap:
    """The labelled gas of one CT.

    Attributes:
        found: The pieces and the grid that they lie on.
        regions: Kind of each piece, the largest first.
        notes: What a reader of the record should know.
    """

    found: GasPieces
    regions: tuple[GasRegion, ...]
    notes: Mapping[str, str] = field(default_factory=dict)

    def of_kind(self, kind: GasKind, least: float = 0.0) -> tuple[GasRegion, ...]:
        """Regions of a kind that are at least that sure, the largest first."""
        return tuple(r for r in self.regions if r.kind == kind and r.confidence >= least)

    def mask(self, regions: tuple[GasRegion, ...]) -> Bool[np.ndarray, "i j k"]:
        """True in some regions, on the coarse grid."""
        wanted = np.zeros(int(self.found.number.max()) + 1, dtype=bool)
        wanted[[region.piece.number for region in regions]] = True
        return np.asarray(wanted[self.found.number])

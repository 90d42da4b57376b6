# SPDX-License-Identifier: Apache-2.0
"""Slices of a CT come in one after the other and become one volume of Hounsfield units.

The volume never stands in memory twice: slices are turned into the patient's order, and where the
CT is too large, averaged over blocks, as they come.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64, Int16, Num

from endoforge.errors import DataError
from endoforge.scene.volume.grids import (
    Order,
    coarser_affine,
    order_of,
    reordered_affine,
)

#: What counts as air, and where Hounsfield units end in 16 bits.
AIR_HU, MOST_HU = -1024, 32767

_METAL_HU = 4000.0
_SOFT_HU = (-200.0, 400.0)


@dataclass
class Tally:
    """What was seen of the values while they came in."""

    voxels: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    below_air: int = 0
    above_metal: int = 0
    soft: int = 0

    def add(self, hu: Num[np.ndarray, "slices rows columns"]) -> None:
        """Count one more chunk."""
        self.voxels += hu.size
        self.low, self.high = min(self.low, float(hu.min())), max(self.high, float(hu.max()))
        self.below_air += int(np.count_nonzero(hu < AIR_HU))
        if self.high > _METAL_HU:
            self.above_metal += int(np.count_nonzero(hu > _METAL_HU))
        soft = (hu >= _SOFT_HU[0]) & (hu <= _SOFT_HU[1])
        self.soft += int(np.count_nonzero(soft))

    def check(self, name: str) -> None:
        """Refuse values that cannot be Hounsfield units.

        Raises:
            DataError: Says what was found.
        """
        found = f"{name} holds values from {self.low:g} to {self.high:g}"
        if self.low >= 0:
            raise DataError(
                f"{found}, none below 0, which no scan of a body has: they are no Hounsfield "
                "units; store the scan with its rescale slope and intercept"
            )
        if self.high - self.low < 200:
            raise DataError(f"{found}; Hounsfield units span more: was the scan normalised?")
        if self.above_metal > 0.02 * self.voxels or self.soft < 0.002 * self.voxels:
            raise DataError(
                f"{found}, {self.soft / self.voxels:.1%} of them between -200 and 400 where soft "
                f"tissue lies and {self.above_metal / self.voxels:.1%} above 4000: they are no "
                "Hounsfield units; check the rescale slope and intercept"
            )

    def notes(self) -> list[str]:
        """What was done to values out of range."""
        found = []
        if self.below_air:
            found.append(f"{self.below_air} voxels below {AIR_HU} HU set to {AIR_HU}")
        if self.high > MOST_HU:
            found.append(f"voxels above {MOST_HU} HU set to it")
        return found


@dataclass(eq=False)
class Gatherer:
    """Takes slices in the file's order and holds the volume in the patient's.

    Attributes:
        shape: Slices, rows and columns of the file.
        affine: From (column, row, slice) to the patient, mm.
        factors: Voxels that are averaged, by column, row and slice.
        tally: What was seen.
        slice_axis: Axis of the volume along which slices are stacked.
    """

    shape: tuple[int, int, int]
    affine: Float64[np.ndarray, "4 4"]
    factors: tuple[int, int, int] = (1, 1, 1)
    tally: Tally = field(default_factory=Tally)
    slice_axis: int = field(init=False)

    def __post_init__(self) -> None:
        slices, rows, columns = self.shape
        small = [n // f for n, f in zip((columns, rows, slices), self.factors, strict=True)]
        self._small = (small[0], small[1], small[2])
        coarse = coarser_affine(self.affine, self.factors)
        order: Order = order_of(coarse)
        self.slice_axis = order.axis.index(2)
        self._hu = np.empty([small[axis] for axis in order.axis], np.int16)
        back = np.argsort(order.axis)
        flipped = self._hu[tuple(slice(None, None, -1 if f else 1) for f in order.flip)]
        self._view = flipped.transpose(back)  # by column, row and slice, into the volume
        self._coarse_affine = reordered_affine(coarse, self._small, order)
        self._block: Float32[np.ndarray, "columns rows"] | None = None
        self._next = 0

    def add(self, hu: Num[np.ndarray, "slices rows columns"]) -> None:
        """Take the next slices."""
        self.tally.add(hu)
        if self.factors == (1, 1, 1):
            whole = np.clip(hu, AIR_HU, MOST_HU)
            if whole.dtype.kind == "f":
                whole = np.rint(whole)
            last = self._next + len(hu)
            self._view[:, :, self._next : last] = whole.transpose(2, 1, 0)
            self._next = last
            return
        for one in hu:
            self._add_to_block(np.clip(one, AIR_HU, MOST_HU))

    def _add_to_block(self, one: Num[np.ndarray, "rows columns"]) -> None:
        across, down, deep = self.factors
        columns, rows, slices = self._small
        cut = one[: rows * down, : columns * across].astype(np.float32)
        mean = cut.reshape(rows, down, columns, across).mean(axis=(1, 3)).T
        self._block = mean if self._block is None else self._block + mean
        self._next += 1
        if self._next % deep == 0 and self._next // deep <= slices:
            self._view[:, :, self._next // deep - 1] = np.rint(self._block / deep)
            self._block = None

    def finished(
        self, name: str
    ) -> tuple[Int16[np.ndarray, "i j k"], Float64[np.ndarray, "4 4"], list[str]]:
        """The volume, its affine, and what was done to it.

        Raises:
            DataError: Slices are missing, or the values cannot be Hounsfield units.
        """
        if self._next != self.shape[0]:
            raise DataError(f"{name} ended after {self._next} of {self.shape[0]} slices")
        self.tally.check(name)
        notes = self.tally.notes()
        if self.factors != (1, 1, 1):
            blocks = "x".join(map(str, self.factors))
            notes.append(f"read coarser, the mean over blocks of {blocks} voxels")
        return self._hu, self._coarse_affine, notes

# SPDX-License-Identifier: Apache-2.0
"""Whether lines whose place is known have slipped from there, at one scale.

The lines are borders of labels. Only displacements up to a few steps are tried, all from the place
where the line must be, and long windows along the line are compared: a warp of 2 px shows where a
search that begins at a coarse picture would lose it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from endoforge.metrics.outlines import agreement, energy

Fields = Float32[np.ndarray, "height width 4"]

#: Displacements that are tried: all whole steps within this radius, steps.
_REACH = 3.2
_OFFSETS = tuple(
    (row, column)
    for row in range(-3, 4)
    for column in range(-3, 4)
    if np.hypot(row, column) <= _REACH
)
#: Fewer pixels of line than this say nothing.
_FEWEST = 20
#: Added to the energy of a window per pixel of line in it, so that nothing is made of noise.
_FLOOR = 0.02


@dataclass(frozen=True, eq=False)
class Slips:
    """How lines have slipped, at each cell of a grid that lines run through.

    Attributes:
        length_px: Of the best displacement, px.
        gain: How much better outlines agree there than in place, 0 to 2.
        confidence: How much better they agree there than at all displacements on average.
        evidence: The gain not relative to the edges' energy, so that faint lines say little.
    """

    length_px: Float32[np.ndarray, " cells"]
    gain: Float32[np.ndarray, " cells"]
    confidence: Float32[np.ndarray, " cells"]
    evidence: Float32[np.ndarray, " cells"]


class Lines:
    """The lines of one picture at one scale; compared to any number of others."""

    def __init__(
        self, fields: Fields, places: Bool[np.ndarray, "height width"], step_px: int
    ) -> None:
        """Take the outlines along the lines.

        Args:
            fields: Outlines of the picture, see `outlines`, with about `step_px` of blur.
            places: Pixels of the lines.
            step_px: Displacements are tried in such steps, px.
        """
        self._rows, self._columns = np.nonzero(places)
        self._step = step_px
        cell = 2 * step_px
        self._shape = (-(-places.shape[0] // cell), -(-places.shape[1] // cell))
        self._cells = (self._rows // cell) * self._shape[1] + self._columns // cell
        self._fields = fields[self._rows, self._columns]
        self._number = self._sums(np.ones(len(self._rows), np.float32))
        self._own = self._sums(energy(self._fields))

    def slips(self, other: Fields, windows_px: Sequence[float]) -> list[Slips]:
        """Find where the lines are in another picture; no cells where there are hardly any lines.

        Args:
            other: Outlines of the other picture, of the same size and blur.
            windows_px: Standard deviation of each window, px.
        """
        if len(self._rows) < _FEWEST:
            return [Slips(*(np.zeros(0, np.float32) for _ in range(4))) for _ in windows_px]
        step, reach = self._step, 3 * self._step
        wide = cv2.copyMakeBorder(other, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
        sums = []
        for row, column in _OFFSETS:
            found = wide[self._rows + reach + row * step, self._columns + reach + column * step]
            sums.append((self._sums(agreement(self._fields, found)), self._sums(energy(found))))
        return [self._compared(sums, window_px / (2 * step)) for window_px in windows_px]

    def _compared(self, sums: list[tuple[np.ndarray, np.ndarray]], sigma: float) -> Slips:
        """Look at all displacements in one window, cells."""
        at = self._number > 0
        number, own, *rest = (
            cv2.GaussianBlur(one, (0, 0), sigma)[at]
            for one in (self._number, self._own, *(one for pair in sums for one in pair))
        )
        shared, strong = np.stack(rest[::2]), np.stack(rest[1::2])
        floor = _FLOOR * number
        fits = shared / np.sqrt((own + floor) * (strong + floor))
        here, best, top = _OFFSETS.index((0, 0)), fits.argmax(axis=0), fits.max(axis=0)
        lengths = np.array([np.hypot(*offset) for offset in _OFFSETS], np.float32) * self._step
        return Slips(
            length_px=lengths[best],
            gain=top - fits[here],
            confidence=np.clip(top - fits.mean(axis=0), 0, 1),
            evidence=(shared.max(axis=0) - shared[here]) / number,
        )

    def _sums(self, values: np.ndarray) -> np.ndarray:
        size = self._shape[0] * self._shape[1]
        sums = np.bincount(self._cells, values, minlength=size)
        return sums.reshape(self._shape).astype(np.float32)

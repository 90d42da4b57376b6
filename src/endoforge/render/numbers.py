# SPDX-License-Identifier: Apache-2.0
"""The frame's parameters inside the kernel, and a few lines of vector algebra.

Import this file after `render.engine.start`.
"""

from collections.abc import Sequence
from typing import Any

import drjit
import mitsuba
import numpy as np

from endoforge.render.parameters import Layout

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba


class Numbers:
    """Reads the frame's parameters inside the kernel, by the names of the layout."""

    def __init__(self, values: np.ndarray, layout: Layout) -> None:
        """Put the packed row on the device."""
        row = mi.Float(values)
        self._values = [dr.gather(mi.Float, row, k) for k in range(len(values))]
        self.layout = layout

    def __call__(self, name: str) -> list[Any]:
        """All numbers of one name."""
        start, count = self.layout.places[name]
        return self._values[start : start + count]

    def one(self, name: str) -> Any:
        """The only number of one name."""
        return self(name)[0]

    def vector(self, name: str) -> Any:
        """Three numbers as a vector."""
        return mi.Vector3f(*self(name))


def rotate(matrix: Sequence[Any], vector: Any) -> Any:
    """Multiply a 3x3 matrix, row by row, with a vector."""
    x, y, z = vector.x, vector.y, vector.z
    rows = [dr.fma(matrix[k], x, dr.fma(matrix[k + 1], y, matrix[k + 2] * z)) for k in (0, 3, 6)]
    return mi.Vector3f(*rows)


def rotate_back(matrix: Sequence[Any], vector: Any) -> Any:
    """Multiply the transpose of a 3x3 matrix with a vector."""
    return rotate([matrix[k] for k in (0, 3, 6, 1, 4, 7, 2, 5, 8)], vector)


def mixed(weights: Sequence[Any], vectors: Sequence[Any]) -> Any:
    """Weighted sum of three vectors."""
    total = weights[0] * vectors[0]
    for weight, vector in zip(weights[1:], vectors[1:], strict=True):
        total = dr.fma(weight, vector, total)
    return total

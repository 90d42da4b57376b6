# SPDX-License-Identifier: Apache-2.0
"""Light from infinitely far away as tables: radiance, and how to draw its bright parts.

Each cell of the map is one even patch of the sphere of directions. Runs on the host.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from endoforge.errors import ShapeError
from endoforge.optics.illumination import Surroundings
from endoforge.render.constants import BRIGHTNESS


@dataclass(frozen=True, eq=False)
class SkyTables:
    """A map of radiance and its alias table.

    Attributes:
        radiance: RGB and how densely light is drawn from there, 1/sr; by cell, row by row.
        alias: For each cell the share of draws that it keeps, and which cell gets the others.
        rows: Of the map.
        columns: Of the map.
        mean: Mean brightness over all directions.
    """

    radiance: Float32[np.ndarray, "cells 4"]
    alias: Float32[np.ndarray, "cells 2"]
    rows: int
    columns: int
    mean: float


def sky_tables(surroundings: Surroundings) -> SkyTables:
    """Prepare a map of surroundings for the kernel.

    Raises:
        ShapeError: The map has no cells, or radiance that is negative or no number.
    """
    radiance = np.asarray(surroundings.radiance, np.float64)
    if radiance.size == 0 or not np.isfinite(radiance).all() or (radiance < 0).any():
        raise ShapeError(
            f"surroundings need radiance of 0 or more in one cell at least, got a map of shape "
            f"{radiance.shape} from {radiance.min(initial=0):g}; clean the map"
        )
    rows, columns, _ = radiance.shape
    edges = np.cos(np.pi * np.arange(rows + 1) / rows)
    solid = np.repeat((edges[:-1] - edges[1:]) * 2 * np.pi / columns, columns)
    bright = radiance.reshape(-1, 3) @ np.asarray(BRIGHTNESS)
    power = bright * solid
    total = power.sum()
    share = power / total if total > 0 else solid / (4 * np.pi)
    table = np.column_stack([radiance.reshape(-1, 3), share / solid])
    return SkyTables(
        radiance=table.astype(np.float32),
        alias=alias_table(share),
        rows=rows,
        columns=columns,
        mean=float(total / (4 * np.pi)),
    )


def alias_table(share: Float64[np.ndarray, "cells"]) -> Float32[np.ndarray, "cells 2"]:
    """Draw cells in proportion to their shares with one look-up each.

    Source:
        Vose, *A linear algorithm for generating random numbers with a given distribution*, 1991.
    """
    count = len(share)
    left = share * count
    table = np.column_stack([np.ones(count), np.arange(count)])
    small = [k for k in range(count) if left[k] < 1]
    large = [k for k in range(count) if left[k] >= 1]
    while small and large:
        poor, rich = small.pop(), large[-1]
        table[poor] = left[poor], rich
        left[rich] -= 1 - left[poor]
        if left[rich] < 1:
            small.append(large.pop())
    return table.astype(np.float32)

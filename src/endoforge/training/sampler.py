# SPDX-License-Identifier: Apache-2.0
"""The order in which items are seen: a pure function of the seed and the position.

There is no state to save; a training that goes on at step 812 asks for the batch of step 812.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int64

from endoforge.errors import DataError
from endoforge.streams import stream


@dataclass(frozen=True)
class BatchOrder:
    """Every item once per epoch, in an order that differs from epoch to epoch.

    A batch may straddle two epochs, so all batches have the same size.

    Attributes:
        items: Number of items.
        batch: Items per batch.
        seed: Same seed, same order.
    """

    items: int
    batch: int
    seed: int

    def __post_init__(self) -> None:
        if self.items < 1:
            raise DataError(f"expected one item or more to train on, got {self.items}")

    def indices(self, step: int) -> Int64[np.ndarray, " batch"]:
        """Return which items make up the batch of one step, counted from 0."""
        places = np.arange(step * self.batch, (step + 1) * self.batch)
        epochs = places // self.items
        found = np.empty(self.batch, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            found[here] = _permutation(self.items, self.seed, int(epoch))[places[here] % self.items]
        return found


@lru_cache(maxsize=4)
def _permutation(items: int, seed: int, epoch: int) -> Int64[np.ndarray, " items"]:
    return stream(seed, "order", epoch).permutation(items)

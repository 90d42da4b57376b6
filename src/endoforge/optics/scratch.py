# SPDX-License-Identifier: Apache-2.0
"""Working memory that each thread keeps, for stages that run once per frame.

An array of a megabyte is new memory to the system each time it is made, and touching new memory
takes several times longer than the arithmetic of a stage.
"""

import threading
from typing import Any

import numpy as np


class _Kept(threading.local):
    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}


_kept = _Kept()


def scratch(name: str, shape: tuple[int, ...], kind: Any = np.float32) -> np.ndarray:
    """Return this thread's array of a name, with whatever was left in it.

    Args:
        name: One purpose each; a name must not be asked for again while its array is in use.
        shape: As for `numpy.empty`; another shape than last time makes a new array.
        kind: The array's type.
    """
    array = _kept.arrays.get(name)
    if array is None or array.shape != shape or array.dtype != kind:
        array = _kept.arrays[name] = np.empty(shape, kind)
    return array

# SPDX-License-Identifier: Apache-2.0
"""Numbers as the device wants them."""

import numpy as np

_ALIGNMENT = 64  # bytes


def aligned(array: np.ndarray) -> np.ndarray:
    """Copy numbers to one row that starts on a 64-byte border.

    Dr.Jit uses NumPy's memory as it lies, and how it lies becomes part of the kernel: unaligned
    arrays would mean another compilation for every scene.
    """
    room = np.empty(array.nbytes + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    row = room[start : start + array.nbytes].view(array.dtype)
    row[:] = array.ravel()
    return row


def padded(vectors: np.ndarray) -> np.ndarray:
    """Rows of three numbers and a 0: four are read at once."""
    rows = np.zeros((len(vectors), 4), vectors.dtype)
    rows[:, :3] = vectors
    return rows

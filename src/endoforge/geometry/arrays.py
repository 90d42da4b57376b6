# SPDX-License-Identifier: Apache-2.0
"""One source for NumPy and torch: which library an array belongs to, and how to match it.

Nothing here imports torch; whoever hands over a tensor has imported it already.
"""

import sys
from typing import Any

import numpy as np

from endoforge.errors import ShapeError


def namespace(array: Any) -> Any:
    """The module whose functions take this array: `torch` for a tensor, else `numpy`."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(array, torch.Tensor) else np


def floating(array: Any) -> Any:
    """The array itself when it holds floats, else a float64 copy (lists and integers too)."""
    if namespace(array) is not np:
        return array if array.is_floating_point() else array.double()
    array = np.asarray(array)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def like(values: Any, reference: Any) -> Any:
    """An array as one of the reference's library, type and device."""
    ops = namespace(reference)
    if ops is np:
        return np.asarray(values, dtype=reference.dtype)
    if namespace(values) is ops:
        return values.to(reference)
    return ops.tensor(values, dtype=reference.dtype, device=reference.device)


def points_of(array: Any, components: int, name: str) -> Any:
    """The array as floats, once its last axis is known to hold the stated components.

    Raises:
        ShapeError: The last axis has another length.
    """
    array = floating(array)
    if array.ndim == 0 or array.shape[-1] != components:
        raise ShapeError(
            f"{name} must end in an axis of {components}, got shape {tuple(array.shape)}; "
            "put the coordinates last"
        )
    return array

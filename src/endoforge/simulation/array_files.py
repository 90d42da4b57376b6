# SPDX-License-Identifier: Apache-2.0
"""A patient's arrays in one file: written whole or not at all, and read without trust."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from endoforge.errors import DataError
from endoforge.frames.storage import read_bytes, write_atomically

_LARGEST_BYTES = 2_000_000_000


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays under their names.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


@contextmanager
def opened_arrays(path: Path) -> Iterator[Any]:
    """The arrays of a file by their names; what is made of them inside is guarded too.

    Raises:
        DataError: The file is damaged or lacks something; removing it makes the next run read the
            patient again.
    """
    content = read_bytes(path, _LARGEST_BYTES)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            yield file
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is damaged ({error}); remove it and run again, it will be made anew"
        ) from None

# SPDX-License-Identifier: Apache-2.0
"""All frames in one HDF5 file: a group per sequence, an array per label over its frames."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from endoforge.errors import MissingDependency
from endoforge.frames.dataset import Dataset
from endoforge.frames.encoding import key_of
from endoforge.frames.exports.folder import sequences
from endoforge.frames.members import ALL_FIELDS
from endoforge.frames.shards import ShardReader
from endoforge.frames.storage import to_json

Tick = Callable[[], None]

#: Name of the file within the folder.
FILE = "dataset.h5"

_POSES = ("camera_from_world", "next_camera_from_world", "right_camera_from_world")


def write_hdf5(dataset: Dataset, folder: Path, tick: Tick) -> None:
    """Write ``dataset.h5`` with ``/000003/depth_mm`` (frames × height × width) and so on.

    Floats are NaN where invalid, flags are bool, poses are mm. ``camera``, ``facts`` and the
    attribute ``manifest`` are JSON text. ``frame`` is each row's number within its sequence.

    Raises:
        MissingDependency: H5py is not installed.
        DataError: A shard is missing, cut or changed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingDependency(
            f"HDF5 files need the package h5py ({error}); run: pip install 'endoforge[export]'"
        ) from error
    with h5py.File(folder / FILE, "w") as file:
        file.attrs["manifest"] = to_json(dataset.manifest.model_dump(mode="json"))
        text = h5py.string_dtype()
        for sequence, shard, kept in sequences(dataset):
            group = file.create_group(key_of(sequence))
            for name in ("camera", "facts"):
                group.create_dataset(name, (len(kept),), text)
            group["frame"] = np.array(kept, np.int64)
            for row, position in enumerate(kept):
                _write_frame(group, shard, (row, len(kept)), position)
                tick()


def _write_frame(group: Any, shard: ShardReader, place: tuple[int, int], position: int) -> None:
    row, rows = place
    fields = [name for name, file in ALL_FIELDS.items() if file in shard.files]
    for name, array in shard.fields(position, fields).items():
        _table(group, name, rows, array)[row] = array
    facts = shard.facts(position)
    for name in _POSES:
        if name in facts:
            _table(group, name, rows, facts[name])[row] = facts[name]
    group["camera"][row] = to_json(facts["camera"].to_dict())
    group["facts"][row] = to_json(dict(facts["facts"]))


def _table(group: Any, name: str, frames: int, array: np.ndarray) -> Any:
    """The array of a label over all frames; made with its first frame, one chunk per frame."""
    if name not in group:
        group.create_dataset(
            name,
            (frames, *array.shape),
            array.dtype,
            chunks=(1, *array.shape),
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )
    return group[name]

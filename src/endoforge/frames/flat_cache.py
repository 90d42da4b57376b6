# SPDX-License-Identifier: Apache-2.0
"""Frames at one size, decoded once into flat files and then mapped into memory.

A data set of 10,000 frames at 160 x 128 with depth takes 1 GB, so training never waits for a
decoder.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from endoforge.errors import DataError, StorageError
from endoforge.frames.dataset import Dataset
from endoforge.frames.storage import make_folder, to_json, write_json
from endoforge.streams import stream

log = logging.getLogger(__name__)

Size = tuple[int, int]


@dataclass(frozen=True)
class FlatPlane:
    """One flat file of a cache, and how a frame becomes an entry of it.

    Attributes:
        name: Of the file.
        kind: numpy's name of its numbers.
        channels: Of each entry.
        fields: What to decode of a frame, see `members.ALL_FIELDS`.
        read: Turns the number of the data set, the decoded fields and the size (width, height)
            into one entry, channels first.
    """

    name: str
    kind: str
    channels: int
    fields: tuple[str, ...]
    read: Callable[[int, Mapping[str, Any], Size], np.ndarray]

    def bytes_of(self, size: Size) -> int:
        """Size of one entry."""
        return np.dtype(self.kind).itemsize * self.channels * size[0] * size[1]


@dataclass(frozen=True)
class FlatRequest:
    """What a cache shall hold.

    Attributes:
        data: Data set folders.
        size: Width and height, px.
        planes: Its files.
        key: What beside data and size decides the content; a version at least.
        with_rejected: Hold frames too that an audit rejected.
    """

    data: Sequence[Path]
    size: Size
    planes: Sequence[FlatPlane]
    key: Mapping[str, Any]
    with_rejected: bool = False


@dataclass(frozen=True)
class Split:
    """Which frames to train on and which to hold out; whole sequences, so nothing leaks."""

    training: Int64[np.ndarray, " training"]
    validation: Int64[np.ndarray, " validation"]


def split_frames(sequence: Int64[np.ndarray, " frames"], share: float, seed: int) -> Split:
    """Hold out a share of the sequences, at least one if there are two or more and share > 0.

    Raises:
        DataError: There are no frames.
    """
    numbers = np.unique(sequence)
    if not len(numbers):
        raise DataError("expected one frame or more to train on, got none; simulate some first")
    count = round(share * len(numbers))
    count = min(len(numbers) - 1, max(count, 1 if share > 0 else 0))
    held = stream(seed, "validation").permutation(numbers)[:count]
    inside = np.isin(sequence, held)
    return Split(np.flatnonzero(~inside), np.flatnonzero(inside))


def load_flat(
    request: FlatRequest, cache: Path, progress: Callable[[int, int], None]
) -> dict[str, np.ndarray]:
    """Return the frames of some data sets at one size, decoding them only if the cache lacks them.

    Frames that an audit rejected are left out unless the request says otherwise.

    Args:
        request: What to return.
        cache: Folder for the flat files; whole or not there at all.
        progress: Called with frames done and frames in all while decoding.

    Returns:
        Each plane by name, mapped into memory, first axis the frames; and ``sequence``, int64:
        which sequence each frame is from, counted over all data sets.

    Raises:
        DataError: A data set is damaged; names the shard.
        StorageError: The disk is full.
    """
    key = {
        **request.key,
        "size": list(request.size),
        "data": data_fingerprint(request.data, request.with_rejected),
    }
    folder = cache / hashlib.sha256(to_json(key).encode()).hexdigest()[:16]
    if not (folder / "cache.json").exists():
        _fill(request, folder, progress)
        write_json(folder / "cache.json", key)  # last: a folder with it is whole
    found = {
        plane.name: np.load(folder / f"{plane.name}.npy", mmap_mode="r") for plane in request.planes
    }
    return found | {"sequence": np.load(folder / "sequence.npy")}


def data_fingerprint(data: Sequence[Path], with_rejected: bool = False) -> str:
    """Return a hash over the hashes of all shards of some data sets, in the order given.

    Args:
        data: Data set folders.
        with_rejected: Whether frames that an audit rejected count; else their numbers are hashed.

    Raises:
        DataError: One of them is not a data set.
    """
    sets = [Dataset.open(path, with_rejected=with_rejected) for path in data]
    content: list[Any] = [[record.sha256 for record in one.sequences] for one in sets]
    if any(one.left_out for one in sets):
        content.append([sorted(one.left_out) for one in sets])
    return hashlib.sha256(to_json(content).encode()).hexdigest()


# ---- inside -------------------------------------------------------------------------------------


def _fill(request: FlatRequest, folder: Path, progress: Callable[[int, int], None]) -> None:
    """Decode all frames into flat files; a killed attempt is simply begun again."""
    with ExitStack() as stack:
        sources = [
            stack.enter_context(closing(Dataset.open(path, with_rejected=request.with_rejected)))
            for path in request.data
        ]
        _fill_from(sources, request, folder, progress)


def _fill_from(
    sources: Sequence[Dataset],
    request: FlatRequest,
    folder: Path,
    progress: Callable[[int, int], None],
) -> None:
    size, planes = request.size, request.planes
    total = sum(len(source) - len(source.left_out) for source in sources)
    if total == 0:
        raise DataError(
            f"audits rejected every frame of {', '.join(str(s.path) for s in sources)}; translate "
            "anew, or train with rejected frames"
        )
    for source in sources:
        if source.left_out:
            log.warning(
                "%s: %d of %d frames are left out, an audit rejected them",
                source.path, len(source.left_out), len(source),
            )  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    _refuse_full_disk(folder, total * sum(plane.bytes_of(size) for plane in planes))
    files = [
        _flat_file(folder / f"{p.name}.npy", p.kind, (total, p.channels, size[1], size[0]))
        for p in planes
    ]
    names = list(dict.fromkeys(name for plane in planes for name in plane.fields))
    sequence = np.empty(total, np.int64)
    for place, (number, source, index) in enumerate(_all_frames(sources)):
        fields = source.fields(index, names)
        for plane, file in zip(planes, files, strict=True):
            file[place] = plane.read(number, fields, size)
        sequence[place] = number * 10_000_000 + source.sequences[source.place(index).shard].sequence
        progress(place + 1, total)
    for file in files:
        file.flush()
    np.save(folder / "sequence.npy", sequence)


def _all_frames(sources: Sequence[Dataset]) -> Iterator[tuple[int, Dataset, int]]:
    """Yield each kept frame as number of the data set, data set, number of the frame within it."""
    for number, source in enumerate(sources):
        for index in range(len(source)):
            if index not in source.left_out:
                yield number, source, index


def _flat_file(path: Path, kind: str, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    return np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)


def _refuse_full_disk(folder: Path, needed_bytes: int) -> None:
    """Writing beyond a full disk through a memory map would kill the process, so look before."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + 2**26:
        raise StorageError(
            f"the training cache needs {needed_bytes / 1e6:.0f} MB in {folder} but "
            f"{free / 1e6:.0f} MB are free; free some space and run the same command again"
        )

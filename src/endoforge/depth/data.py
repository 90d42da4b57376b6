# SPDX-License-Identifier: Apache-2.0
"""Training pictures at the training size: decoded once into flat files, then mapped into memory.

A data set of 10,000 frames at 160 x 128 takes 1 GB, so training never waits for a decoder.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float16, Float32, Int64, UInt8

from endoforge.errors import DataError, StorageError
from endoforge.frames.dataset import Dataset
from endoforge.frames.storage import make_folder, to_json, write_json
from endoforge.streams import stream

_CACHE_VERSION = 1


@dataclass(frozen=True, eq=False)
class TrainingFrames:
    """Pictures and depth at the training size, channels first.

    Attributes:
        image: Display values, 0 to 255.
        depth_mm: 0 where invalid; half precision is within 0.05 % of the depth.
        sequence: Which sequence each frame is from, counted over all data sets.
    """

    image: UInt8[np.ndarray, "frames 3 height width"]
    depth_mm: Float16[np.ndarray, "frames 1 height width"]
    sequence: Int64[np.ndarray, " frames"]

    def __len__(self) -> int:
        return len(self.sequence)

    def chosen(self, indices: Int64[np.ndarray, " chosen"]) -> "TrainingFrames":
        """Return some of the frames, copied into memory."""
        return TrainingFrames(self.image[indices], self.depth_mm[indices], self.sequence[indices])


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


def load_frames(
    data: Sequence[Path], size: tuple[int, int], cache: Path, progress: Callable[[int, int], None]
) -> TrainingFrames:
    """Return all frames of some data sets at one size, decoding them only if the cache lacks them.

    Args:
        data: Data set folders.
        size: Width and height, px.
        cache: Folder for the flat files; whole or not there at all.
        progress: Called with frames done and frames in all while decoding.

    Raises:
        DataError: A data set is damaged; names the shard.
        StorageError: The disk is full.
    """
    key = {"version": _CACHE_VERSION, "size": list(size), "data": data_fingerprint(data)}
    folder = cache / hashlib.sha256(to_json(key).encode()).hexdigest()[:16]
    if not (folder / "cache.json").exists():
        _fill(data, size, folder, progress)
        write_json(folder / "cache.json", key)  # last: a folder with it is whole
    arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("image", "depth_mm")]
    return TrainingFrames(arrays[0], arrays[1], np.load(folder / "sequence.npy"))


def data_fingerprint(data: Sequence[Path]) -> str:
    """Return a hash over the hashes of all shards of some data sets, in the order given.

    Raises:
        DataError: One of them is not a data set.
    """
    shards = [[record.sha256 for record in Dataset.open(path).sequences] for path in data]
    return hashlib.sha256(to_json(shards).encode()).hexdigest()


def reduced_image(
    image: UInt8[np.ndarray, "tall wide 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "height width 3"]:
    """Return a picture at another size (width, height), each pixel the mean of what it covers."""
    if image.shape[1::-1] == size:
        return image
    area = image.shape[0] >= size[1] and image.shape[1] >= size[0]
    how = cv2.INTER_AREA if area else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how))


def reduced_depth(
    depth_mm: Float32[np.ndarray, "tall wide"],
    valid: Bool[np.ndarray, "tall wide"],
    size: tuple[int, int],
) -> Float32[np.ndarray, "height width"]:
    """Return depth at another size (width, height), mm; 0 where over half of a pixel is invalid.

    A pixel becomes the geometric mean of the valid depth that it covers, which is the prediction
    with the least squared log error there.
    """
    weight = valid.astype(np.float32)
    log_depth = np.where(valid, np.log(np.where(valid, depth_mm, 1.0)), 0.0).astype(np.float32)
    if depth_mm.shape[::-1] != size:
        weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
        log_depth = cv2.resize(log_depth, size, interpolation=cv2.INTER_AREA)
    kept = weight >= 0.5
    mean = np.exp(log_depth / np.where(kept, weight, 1.0))
    return np.where(kept, mean, 0.0).astype(np.float32)


# ---- inside -------------------------------------------------------------------------------------


def _fill(
    data: Sequence[Path], size: tuple[int, int], folder: Path, progress: Callable[[int, int], None]
) -> None:
    """Decode all frames into flat files; a killed attempt is simply begun again."""
    with ExitStack() as stack:
        sources = [stack.enter_context(closing(Dataset.open(path))) for path in data]
        _fill_from(sources, size, folder, progress)


def _fill_from(
    sources: Sequence[Dataset],
    size: tuple[int, int],
    folder: Path,
    progress: Callable[[int, int], None],
) -> None:
    total = sum(len(source) for source in sources)
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    _refuse_full_disk(folder, total * size[0] * size[1] * 5)
    image = _flat_file(folder / "image.npy", np.uint8, (total, 3, size[1], size[0]))
    depth = _flat_file(folder / "depth_mm.npy", np.float16, (total, 1, size[1], size[0]))
    sequence = np.empty(total, np.int64)
    for place, (number, source, index) in enumerate(_all_frames(sources)):
        fields = source.fields(index, ("image", "depth_mm", "valid"))
        image[place] = reduced_image(fields["image"], size).transpose(2, 0, 1)
        depth[place, 0] = reduced_depth(fields["depth_mm"], fields["valid"], size)
        sequence[place] = number * 10_000_000 + source.sequences[source.place(index).shard].sequence
        progress(place + 1, total)
    image.flush()
    depth.flush()
    np.save(folder / "sequence.npy", sequence)


def _all_frames(sources: Sequence[Dataset]) -> Iterator[tuple[int, Dataset, int]]:
    """Yield each frame as number of the data set, data set, number of the frame within it."""
    for number, source in enumerate(sources):
        for index in range(len(source)):
            yield number, source, index


def _flat_file(path: Path, kind: Any, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    return np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)


def _refuse_full_disk(folder: Path, needed_bytes: int) -> None:
    """Writing beyond a full disk through a memory map would kill the process, so look before."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + 2**26:
        raise StorageError(
            f"the training cache needs {needed_bytes / 1e6:.0f} MB in {folder} but "
            f"{free / 1e6:.0f} MB are free; free some space and run the same command again"
        )

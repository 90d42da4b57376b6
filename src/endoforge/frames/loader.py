# SPDX-License-Identifier: Apache-2.0
"""Frames for torch: random access and streaming. The one place where layout changes.

On disk and in `Frame` arrays are channels last with NaN where invalid; from here on they are
channels first with 0 where invalid, and `valid` says where.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset, get_worker_info

from endoforge.errors import DataError
from endoforge.frames.dataset import Dataset
from endoforge.frames.members import ALL_FIELDS, FIELDS, members_of

#: What a depth network learns from; decoding less is faster.
DEPTH_FIELDS = ("image", "depth_mm", "valid")

#: Pictures to look at, and displacements with the name of the mask that comes with each.
_PICTURES = ("image", "clean", "right_image")
_FLOWS: Mapping[str, str] = {
    "flow_px": "flow_valid",
    "back_flow_px": "back_flow_valid",
    "right_from_left_px": "right_from_left_valid",
}

Item: TypeAlias = dict[str, Tensor]


class FrameDataset(TorchDataset[Item]):
    """Random access to the frames of one or more data sets, for `torch.utils.data.DataLoader`.

    An item has the fields asked for:

    * ``image`` float32, 3 × height × width, 0 to 1;
    * ``depth_mm`` float32, 1 × height × width, z in mm, 0 where invalid; ``valid`` bool, the same
      size;
    * ``normal_camera`` float32, 3 × height × width, 0 where invalid;
    * ``label`` uint8 and ``instance`` int32, height × width;
    * ``flow_px`` float32, 2 × height × width, px, 0 where unknown; with it comes ``flow_valid``
      bool, 1 × height × width; ``occluded`` bool, the same size;
    * optional labels, where the data sets have them, in the same way: ``clean`` and
      ``right_image`` as the image, ``albedo``, ``shading`` and ``texture_mm`` as the normals,
      ``specular`` and ``moving`` as ``valid``, ``material`` as the label, ``back_flow_px`` and
      ``right_from_left_px`` as the flow, ``right_depth_mm`` and ``right_valid`` as the depth,
      ``opacity``, ``expected_depth_mm`` and ``first_depth_mm`` as the depth without a mask of their
      own (0 where there is none), ``hu`` int16, height × width.
    """

    def __init__(
        self,
        paths: Path | Sequence[Path],
        fields: Sequence[str] = tuple(FIELDS),
        verify: bool = True,
    ) -> None:
        """Open the data sets.

        Args:
            paths: One folder or several.
            fields: What to decode, among `members.ALL_FIELDS`.
            verify: Compare each shard's hash with the journal once per process.

        Raises:
            DataError: A folder holds no data set, or a field is unknown or of a label that a
                data set lacks.
        """
        self.datasets = _open(paths, verify)
        self.fields = _known(fields, self.datasets)

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)

    def __getitem__(self, index: int) -> Item:
        """Return one item.

        Raises:
            IndexError: There is no such frame.
            DataError: Its shard is missing, cut or changed; names the shard.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there are frames 0 to {len(self) - 1}, got {index}")
        left = index
        for dataset in self.datasets:
            if left < len(dataset):
                return item_from_fields(dataset.fields(left, self.fields))
            left -= len(dataset)
        raise AssertionError("the lengths of the data sets changed")

    def sequence(self, index: int) -> tuple[int, int]:
        """Return which data set and which of its sequences a frame belongs to."""
        left = index
        for number, dataset in enumerate(self.datasets):
            if left < len(dataset):
                return number, dataset.sequences[dataset.place(left).shard].sequence
            left -= len(dataset)
        raise IndexError(f"there are frames 0 to {len(self) - 1}, got {index}")


class FrameStream(IterableDataset[Item]):
    """All frames in order, each shard read from front to back by one worker.

    With several workers, and with several processes of a distributed run, each shard goes to
    exactly one of them.
    """

    def __init__(
        self,
        paths: Path | Sequence[Path],
        fields: Sequence[str] = tuple(FIELDS),
        verify: bool = True,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """Open the data sets.

        Args:
            paths: One folder or several.
            fields: What to decode, among `members.ALL_FIELDS`.
            verify: Compare each shard's hash with the journal once per process.
            share: Number of this process and number of processes in a distributed run.

        Raises:
            DataError: A folder holds no data set, a field is unknown or of a label that a data
                set lacks, or the share is impossible.
        """
        rank, processes = share
        if not 0 <= rank < processes:
            raise DataError(f"share must be (number, of how many) with 0 <= number, got {share}")
        self.datasets = _open(paths, verify)
        self.fields = _known(fields, self.datasets)
        self.share = share

    def __iter__(self) -> Iterator[Item]:
        rank, processes = self.share
        worker = get_worker_info()
        if worker is not None:
            rank, processes = rank * worker.num_workers + worker.id, processes * worker.num_workers
        shards = [(d, number) for d in self.datasets for number in range(len(d.sequences))]
        for dataset, number in shards[rank::processes]:
            for position in range(dataset.sequences[number].frames):
                yield item_from_fields(dataset.shard(number).fields(position, self.fields))


def item_from_fields(arrays: Mapping[str, Any]) -> Item:
    """Turn a frame's arrays (channels last, NaN) into tensors (channels first, 0).

    Args:
        arrays: Fields by name, as `Dataset.fields` returns them.
    """
    item: Item = {}
    for name, array in arrays.items():
        if name in _PICTURES:
            item[name] = torch.from_numpy(_channels_first(array)).float().div_(255)
        elif name in _FLOWS:
            item[_FLOWS[name]] = torch.from_numpy(np.isfinite(array[..., 0]))[None]
            item[name] = torch.from_numpy(np.nan_to_num(_channels_first(array), copy=False))
        elif array.dtype == np.bool_:
            item[name] = torch.from_numpy(array)[None]
        elif array.dtype == np.float32:
            numbers = array[None] if array.ndim == 2 else _channels_first(array)
            item[name] = torch.from_numpy(np.nan_to_num(numbers, copy=False))
        else:
            item[name] = torch.from_numpy(array.astype(np.int32) if name == "instance" else array)
    return item


def _channels_first(array: Any) -> Any:
    return np.ascontiguousarray(np.moveaxis(array, -1, 0))


def _open(paths: Path | Sequence[Path], verify: bool) -> list[Dataset]:
    folders = [paths] if isinstance(paths, Path | str) else list(paths)
    if not folders:
        raise DataError(f"expected at least one data set, got {folders}")
    return [Dataset.open(folder, verify) for folder in folders]


def _known(fields: Sequence[str], datasets: Sequence[Dataset]) -> tuple[str, ...]:
    unknown = [name for name in fields if name not in ALL_FIELDS]
    if unknown or not fields:
        raise DataError(f"fields must be among {', '.join(ALL_FIELDS)}; got {', '.join(fields)!r}")
    for dataset in datasets:
        there = members_of(dataset.labels)
        if missing := [name for name in fields if ALL_FIELDS[name] not in there]:
            raise DataError(
                f"{dataset.path} has no {missing[0]}, only the optional labels "
                f"{', '.join(dataset.labels) or 'none'}; ask for less or simulate with that label"
            )
    return tuple(fields)

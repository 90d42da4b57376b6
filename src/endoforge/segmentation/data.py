# SPDX-License-Identifier: Apache-2.0
"""Training pictures and their masks at the training size; decoding: frames.flat_cache."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from endoforge.frames.dataset import Dataset
from endoforge.frames.flat_cache import FlatPlane, FlatRequest, Size, load_flat
from endoforge.frames.sizes import reduced_image, reduced_label
from endoforge.segmentation.classes import ClassScheme, choose_classes
from endoforge.segmentation.settings import SegmentationSettings

_CACHE_VERSION = 1


@dataclass(frozen=True, eq=False)
class MaskedFrames:
    """Pictures and masks at the training size, channels first.

    Attributes:
        image: Display values, 0 to 255.
        label: Class indices of a `ClassScheme`; 255 does not count.
        sequence: Which sequence each frame is from, counted over all data sets.
    """

    image: UInt8[np.ndarray, "frames 3 height width"]
    label: UInt8[np.ndarray, "frames 1 height width"]
    sequence: Int64[np.ndarray, " frames"]

    def __len__(self) -> int:
        return len(self.sequence)

    def shares(self, frames: Int64[np.ndarray, " chosen"], classes: int) -> dict[int, float]:
        """Return the share of each class among the pixels that count in some frames."""
        counts = np.zeros(256, np.int64)
        for frame in frames:
            counts += np.bincount(self.label[frame].ravel(), minlength=256)
        total = max(1, int(counts[:classes].sum()))
        return {index: int(counts[index]) / total for index in range(classes)}


def scheme_of(data: Sequence[Path], settings: SegmentationSettings) -> ClassScheme:
    """Return the classes that a training on some data sets tells apart.

    Raises:
        DataError: A data set or a wanted class is missing, or fewer than two classes are left.
    """
    labels = [Dataset.open(path).manifest.labels for path in data]
    return choose_classes(labels, settings.merge, settings.classes)


def load_masked_frames(
    data: Sequence[Path],
    scheme: ClassScheme,
    size: tuple[int, int],
    cache: Path,
    progress: Callable[[int, int], None],
    with_rejected: bool = False,
) -> MaskedFrames:
    """Return the frames of some data sets at one size, decoding them only if the cache lacks them.

    Args:
        data: Data set folders.
        scheme: What their classes count as; merging comes before the change of size.
        size: Width and height, px.
        cache: Folder for the flat files; whole or not there at all.
        progress: Called with frames done and frames in all while decoding.
        with_rejected: Use frames too that an audit of a translation rejected.

    Raises:
        DataError: A data set is damaged, naming the shard, or all frames are rejected.
        StorageError: The disk is full.
    """
    tables = [scheme.table(Dataset.open(path).manifest.labels) for path in data]

    def label(number: int, fields: Mapping[str, Any], size: Size) -> np.ndarray:
        return reduced_label(tables[number][fields["label"]], size)[None]

    planes = (
        FlatPlane("image", "uint8", 3, ("image",), _image),
        FlatPlane("label", "uint8", 1, ("label",), label),
    )
    key = {
        "version": _CACHE_VERSION,
        "labels": [table.tolist() for table in tables],
    }
    found = load_flat(FlatRequest(data, size, planes, key, with_rejected), cache, progress)
    return MaskedFrames(found["image"], found["label"], found["sequence"])


# ---- inside -------------------------------------------------------------------------------------


def _image(number: int, fields: Mapping[str, Any], size: Size) -> np.ndarray:
    return reduced_image(fields["image"], size).transpose(2, 0, 1)

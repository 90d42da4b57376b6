# SPDX-License-Identifier: Apache-2.0
"""Training pictures and their depth at the training size; decoding is done in frames.flat_cache."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float32, Int64, UInt8

from endoforge.frames.flat_cache import FlatPlane, FlatRequest, Size, load_flat
from endoforge.frames.sizes import reduced_depth, reduced_image

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


def load_frames(
    data: Sequence[Path],
    size: tuple[int, int],
    cache: Path,
    progress: Callable[[int, int], None],
    with_rejected: bool = False,
) -> TrainingFrames:
    """Return the frames of some data sets at one size, decoding them only if the cache lacks them.

    Args:
        data: Data set folders.
        size: Width and height, px.
        cache: Folder for the flat files; whole or not there at all.
        progress: Called with frames done and frames in all while decoding.
        with_rejected: Use frames too that an audit of a translation rejected.

    Raises:
        DataError: A data set is damaged, naming the shard, or all frames are rejected.
        StorageError: The disk is full.
    """
    request = FlatRequest(data, size, _PLANES, {"version": _CACHE_VERSION}, with_rejected)
    found = load_flat(request, cache, progress)
    return TrainingFrames(found["image"], found["depth_mm"], found["sequence"])


# ---- inside -------------------------------------------------------------------------------------


def _image(
    number: int, fields: Mapping[str, Any], size: Size
) -> UInt8[np.ndarray, "3 height width"]:
    return reduced_image(fields["image"], size).transpose(2, 0, 1)


def _depth(
    number: int, fields: Mapping[str, Any], size: Size
) -> Float32[np.ndarray, "1 height width"]:
    return reduced_depth(fields["depth_mm"], fields["valid"], size)[None]


_PLANES = (
    FlatPlane("image", "uint8", 3, ("image",), _image),
    FlatPlane("depth_mm", "float16", 1, ("depth_mm", "valid"), _depth),
)

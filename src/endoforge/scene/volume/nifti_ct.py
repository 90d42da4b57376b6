# SPDX-License-Identifier: Apache-2.0
"""Reading a CT from a NIfTI file, slab by slab. `parse_nifti_ct` runs in the limited child."""

from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from isal import igzip
from isal.igzip_lib import IsalError
from jaxtyping import Num

from endoforge.errors import DataError
from endoforge.scene.volume.gather import Gatherer
from endoforge.scene.volume.grids import TILT_DEG, skew_deg
from endoforge.scene.volume.limits import block_factors
from endoforge.scene.volume.nifti_header import affine_of, open_nifti
from endoforge.scene.volume.unshear import unsheared

_DAMAGED: tuple[Any, ...] = (OSError, EOFError, IsalError)
_SLAB_VOXELS = 8_000_000
_LARGEST_VOXELS = 40_000_000_000


def parse_nifti_ct(path: Path, most_voxels: int, when_too_large: str) -> dict[str, Any]:
    """Read Hounsfield units and where their voxels lie.

    Args:
        path: A .nii or .nii.gz file.
        most_voxels: Above this the mean over blocks is taken while reading, or it is refused.
        when_too_large: ``"coarser"`` or ``"refuse"``.

    Returns:
        ``hu``: int16, axes to the right, the front and the head; ``affine``: world_from_voxel, mm;
        ``notes``: what was done to it; ``facts``: what the file says about the scan; ``sha256``.

    Raises:
        DataError: The file is cut, lies about its size, has no usable geometry, more than three
            axes, or values that cannot be Hounsfield units.
    """
    image, shape = open_nifti(path, _LARGEST_VOXELS)
    affine = affine_of(path, image)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    factors = block_factors(path, shape, sizes, most_voxels, when_too_large)
    volume = Gatherer((shape[2], shape[1], shape[0]), affine, factors)
    for slab in _slabs(path, image, shape):
        volume.add(_scaled(path, image, slab))
    hu, affine, notes = volume.finished(str(path))
    if skew_deg(affine) > TILT_DEG:
        hu, affine, note = unsheared(hu, affine, volume.slice_axis, str(path))
        notes.append(note)
    with open(path, "rb") as file:
        digest = _sha256(file)
    return {"hu": hu, "affine": affine, "notes": notes, "facts": {}, "sha256": digest}


def _slabs(
    path: Path, image: Any, shape: tuple[int, int, int]
) -> Iterator[Num[np.ndarray, "slices rows columns"]]:
    """The file's numbers as they are stored, a few slices at a time."""
    columns, rows, slices = shape
    dtype = np.dtype(image.get_data_dtype())
    if dtype.kind not in "iuf":
        raise DataError(f"{path} holds values of type {dtype}; expected whole numbers or floats")
    step = max(_SLAB_VOXELS // (columns * rows), 1)
    unpack = igzip.open if path.name.lower().endswith(".gz") else open
    with closing(unpack(path, "rb")) as file:
        try:
            file.seek(int(image.dataobj.offset))
            for first in range(0, slices, step):
                count = min(step, slices - first)
                content = file.read(count * rows * columns * dtype.itemsize)
                if len(content) < count * rows * columns * dtype.itemsize:
                    raise EOFError(f"in slice {first + 1}")
                yield np.frombuffer(content, dtype).reshape(count, rows, columns)
        except _DAMAGED as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{path} ends before its {shape} voxels do ({reason})") from None


def _scaled(
    path: Path, image: Any, slab: Num[np.ndarray, "slices rows columns"]
) -> Num[np.ndarray, "slices rows columns"]:
    """Hounsfield units of stored numbers."""
    slope, shift = float(image.dataobj.slope), float(image.dataobj.inter)
    if not (np.isfinite(slope) and np.isfinite(shift) and slope != 0):
        raise DataError(f"{path} has a scale of {slope:g} and {shift:g}; save it again")
    if (slope, shift) != (1.0, 0.0):
        return np.asarray(slab * np.float32(slope) + np.float32(shift))
    if slab.dtype.kind == "f" and not np.isfinite(slab).all():
        raise DataError(
            f"{path} holds values that are no numbers; set what lies outside the scan to -1024"
        )
    return slab


def _sha256(file: BinaryIO) -> str:
    digest = sha256()
    while block := file.read(1 << 22):
        digest.update(block)
    return digest.hexdigest()

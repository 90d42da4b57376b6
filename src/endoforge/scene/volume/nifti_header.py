# SPDX-License-Identifier: Apache-2.0
"""Reading a NIfTI header strictly: size, axes, unit and place, for masks and for CT alike.

Everything here runs in the limited child of `frames.foreign`.
"""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Float64

from endoforge.errors import DataError
from endoforge.frames.foreign import check_declared_size

_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # unknown, metre, millimetre, micrometre
_SMALLEST_MM, _LARGEST_MM = 0.05, 10.0
_LARGEST_VOXELS = 1_500_000_000


def open_nifti(
    path: Path, largest_voxels: int = _LARGEST_VOXELS
) -> tuple[Any, tuple[int, int, int]]:
    """Read the header, and hold what it claims against the file.

    Returns:
        nibabel's image, nothing of its data read, and the three axes' voxels.

    Raises:
        DataError: The header is damaged, promises more than the file holds, or has more axes.
    """
    try:
        image: Any = nib.load(path)
    except Exception as error:  # nibabel raises many kinds for a damaged header
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path} has no readable NIfTI header ({reason}); get it again") from None
    shape = _shape(path, image, largest_voxels)
    declared = int(np.prod(shape, dtype=object)) * int(image.get_data_dtype().itemsize)
    check_declared_size(path, declared, path.name.lower().endswith(".gz"))
    return image, shape


def _shape(path: Path, image: Any, largest_voxels: int) -> tuple[int, int, int]:
    shape = tuple(int(n) for n in image.shape)
    if len(shape) < 3 or any(n != 1 for n in shape[3:]):
        raise DataError(
            f"{path} has {len(shape)} axes of {shape} voxels; expected one volume with 3 axes: "
            "save one time point or channel"
        )
    if min(shape[:3]) < 2 or int(np.prod(shape[:3], dtype=object)) > largest_voxels:
        raise DataError(
            f"{path} claims {shape[:3]} voxels; expected at least 2 along each axis and at most "
            f"{largest_voxels} in all"
        )
    return shape[0], shape[1], shape[2]


def affine_of(path: Path, image: Any) -> Float64[np.ndarray, "4 4"]:
    """Find where voxels lie, mm, and refuse what cannot be a scan.

    Returns:
        world_from_voxel, mm: +x right, +y front, +z head; a file that states no unit is in mm.

    Raises:
        DataError: Sizes of 0, no numbers, impossible sizes, or two places that disagree.
    """
    header = image.header
    spacing = _written_spacing(path)
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise DataError(f"{path} has voxels of {spacing.tolist()}; expected sizes above 0")
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all():
        raise DataError(f"{path} has an affine with values that are no numbers; get it again")
    _check_forms_agree(path, header)
    affine[:3] *= _unit_mm(path, header)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    volume = abs(float(np.linalg.det(affine[:3, :3])))
    if not (_SMALLEST_MM <= sizes.min() <= sizes.max() <= _LARGEST_MM):
        raise DataError(
            f"{path} has voxels of {np.round(sizes, 6).tolist()} mm; expected "
            f"{_SMALLEST_MM} to {_LARGEST_MM}: is the unit right?"
        )
    if volume < 0.5 * float(np.prod(sizes)):
        raise DataError(f"{path} has an affine whose axes nearly coincide: {affine[:3, :3]}")
    return affine


def _written_spacing(path: Path) -> Float64[np.ndarray, "3"]:
    """Voxel sizes as they stand in the file; nibabel quietly turns a 0 into a 1."""
    unpack = gzip.open if path.name.lower().endswith(".gz") else open
    with unpack(path, "rb") as file:
        start = file.read(168)
    length = start[:4]
    order = "<" if length in (b"\x5c\x01\0\0", b"\x1c\x02\0\0") else ">"
    first = np.frombuffer(length, order + "i4")[0] == 540
    kind, at = ("f8", 104) if first else ("f4", 76)
    values = np.frombuffer(start, order + kind, 4, at)[1:]
    return np.asarray(values, dtype=np.float64)


def _unit_mm(path: Path, header: Any) -> float:
    code = int(header["xyzt_units"]) & 7
    if code not in _MM_PER_UNIT:
        raise DataError(
            f"{path} states the unit of length {code}; expected 1 (m), 2 (mm) or 3 (µm)"
        )
    return _MM_PER_UNIT[code]


def _check_forms_agree(path: Path, header: Any) -> None:
    """Refuse a file whose two statements about its place differ by more than a millimetre."""
    if int(header["sform_code"]) <= 0 or int(header["qform_code"]) <= 0:
        return
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners[:, :3] *= np.asarray(header["dim"][1:4], dtype=np.float64)
    try:
        gap = float(np.abs(corners @ (header.get_sform() - header.get_qform()).T).max())
    except (ValueError, np.linalg.LinAlgError) as error:
        raise DataError(f"{path} has an unusable qform ({error}); save it again") from None
    if not gap <= 1.0:
        raise DataError(
            f"{path} says two different things about where it lies: sform and qform differ by "
            f"{gap:.1f} units at a corner; save it with one of them"
        )

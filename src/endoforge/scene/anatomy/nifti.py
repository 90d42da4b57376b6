# SPDX-License-Identifier: Apache-2.0
"""Reading a NIfTI mask strictly. `parse_nifti` runs in the limited child of `frames.foreign`."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num, UInt8

from endoforge.errors import DataError
from endoforge.scene.volume.nifti_header import affine_of, open_nifti


def parse_nifti(path: Path) -> dict[str, Any]:
    """Read a mask and where its voxels lie.

    Returns:
        ``mask``: uint8, 1 where the file's value is above 0, the file's three axes;
        ``affine``: world_from_voxel, 4×4, world mm in the file's frame (+x right, +y front, +z
        head); a file that states no unit is taken to be in mm.

    Raises:
        DataError: The file is cut, lies about its size, has no usable geometry, has more than
            three axes, or holds fractions instead of labels.
    """
    image, shape = open_nifti(path)
    affine = affine_of(path, image)
    return {"mask": _mask(path, image, shape), "affine": affine}


def parse_labels(path: Path) -> dict[str, Any]:
    """Read a volume of organ numbers, or one organ's mask, and where its voxels lie.

    Returns:
        ``labels``: uint16, the file's whole numbers; ``affine`` as in `parse_nifti`; ``names``:
        organ names by number as text, from the file's own label table, empty if it has none.

    Raises:
        DataError: As `parse_nifti`, or a number is below 0 or above 65535.
    """
    image, shape = open_nifti(path)
    affine = affine_of(path, image)
    values = _whole_numbers(path, image, shape)
    if values.size and not 0 <= values.min() <= values.max() <= 65535:
        raise DataError(
            f"{path} holds numbers from {values.min()} to {values.max()}; organ numbers lie "
            "between 0 and 65535: this looks like a CT, give its segmentation"
        )
    return {"labels": values.astype(np.uint16), "affine": affine, "names": _label_table(image)}


def _label_table(image: Any) -> dict[str, str]:
    """Organ names by number, where a tool such as TotalSegmentator left them in the header."""
    for extension in image.header.extensions:
        content = extension.get_content()
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
        found = re.findall(r'<Label\s+Key="(\d+)"[^>]*>\s*<!\[CDATA\[([^\]]{1,80})\]\]>', text)
        if found:
            return {number: name for number, name in found[:5000] if number != "0"}
    return {}


def _mask(path: Path, image: Any, shape: tuple[int, int, int]) -> UInt8[np.ndarray, "i j k"]:
    return np.asarray(_whole_numbers(path, image, shape) > 0, dtype=np.uint8)


def _whole_numbers(path: Path, image: Any, shape: tuple[int, int, int]) -> Num[np.ndarray, "i j k"]:
    try:
        values = np.asanyarray(image.dataobj).reshape(shape)
    except MemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path} ends before its {shape} voxels do ({reason})") from None
    if values.dtype.kind not in "biuf":
        raise DataError(f"{path} holds values of type {values.dtype}; expected whole numbers")
    if values.dtype.kind == "f":
        odd = values[~(values == np.rint(values))]
        if odd.size:
            raise DataError(
                f"{path} holds {odd.size} values that are no labels, such as {odd[0]:g}; a mask "
                "holds whole numbers: threshold it first"
            )
    return np.asarray(values)

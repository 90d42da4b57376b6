# SPDX-License-Identifier: Apache-2.0
"""Reading a mask from DICOM slices strictly. `parse_slices` runs in the limited child."""

from pathlib import Path
from typing import Any

import numpy as np

from endoforge.errors import DataError
from endoforge.scene.volume.dicom_pixels import stored_values
from endoforge.scene.volume.dicom_slices import axes_of, read_dicom, slice_of, stack_of, tilt_deg
from endoforge.scene.volume.grids import TILT_DEG

_MOST_SLICES = 3000
_MOST_BYTES = 64_000_000


def parse_slices(path: Path) -> dict[str, Any]:
    """Read one mask from the DICOM slices in a folder.

    Returns:
        ``labels``: uint16, 1 where the slices' value is above 0; ``affine``: world_from_voxel, mm
        (+x right, +y front, +z head); ``names``: empty.

    Raises:
        DataError: The gantry was tilted, slices are missing, or a file is no DICOM slice.
    """
    contents = {file: read_dicom(file) for file in _files(path)}
    slices = [slice_of(file, content) for file, content in contents.items()]
    tilt = tilt_deg(slices, axes_of(path, slices[0])[2])
    if tilt > TILT_DEG:
        raise DataError(
            f"{path} was scanned with the gantry tilted by {tilt:.1f} degrees; its slices are not "
            "stacked squarely: resample it to a square grid first"
        )
    stack = stack_of(path, slices)
    pixels = [stored_values(one.file, contents[one.file]).T > 0 for one in stack.slices]
    labels = np.stack(pixels, axis=-1).astype(np.uint16)
    return {"labels": np.ascontiguousarray(labels), "affine": stack.affine, "names": {}}


def _files(path: Path) -> list[Path]:
    files = sorted(f for f in path.iterdir() if f.is_file() and not f.name.startswith("."))
    if not 2 <= len(files) <= _MOST_SLICES:
        raise DataError(
            f"{path} has {len(files)} files; expected the 2 to {_MOST_SLICES} slices of a volume"
        )
    for file in files:
        if file.stat().st_size > _MOST_BYTES:
            raise DataError(f"{file} has {file.stat().st_size} bytes; a slice has fewer")
    return files

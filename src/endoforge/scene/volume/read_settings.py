# SPDX-License-Identifier: Apache-2.0
"""What can be told about reading a CT: which series, which masks, how large it may get."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from endoforge.settings import Settings


class ReadSettings(Settings):
    """How a CT is read."""

    series: int | None = Field(
        None, ge=0, description="number of the DICOM series, where a folder holds several"
    )
    masks: Path | None = Field(
        None,
        description="segmentation: a NIfTI volume of organ numbers, or a folder with one NIfTI "
        "mask or one folder of DICOM masks per organ",
    )
    names: Mapping[int, str] | None = Field(
        None,
        description="organ names by number; those in the file, else TotalSegmentator's, if null",
    )
    fill_gaps: int = Field(
        0, ge=0, le=2, description="most missing slices in a row that are filled in between others"
    )
    most_voxels: int = Field(
        256_000_000,
        ge=1_000,
        le=4_000_000_000,
        description="voxels that memory is spent on, 2 bytes each; a larger CT is read coarser",
    )
    when_too_large: Literal["coarser", "refuse"] = Field(
        "coarser",
        description="what is done with a CT above most_voxels: take the mean over blocks of whole "
        "voxels while it is read, or refuse it",
    )

# SPDX-License-Identifier: Apache-2.0
"""Files of a segmentation: label volumes, folders of masks, and what their organs are called."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from endoforge.errors import DataError, SceneError
from endoforge.frames.foreign import NIFTI, NIFTI_GZ, kind_of_file, parse_in_child
from endoforge.scene.anatomy.abdomen.dicom import parse_slices
from endoforge.scene.anatomy.abdomen.labels import TOTAL_SEGMENTATOR
from endoforge.scene.anatomy.nifti import parse_labels


def mask_files(path: Path) -> dict[str, Path]:
    """Files or folders with one mask each, by the organ's name.

    Raises:
        DataError: There are none.
    """
    entries = sorted(e for e in path.iterdir() if not e.name.startswith("."))
    volumes = {_stem(e): e for e in entries if e.name.lower().endswith((".nii", ".nii.gz"))}
    folders = {e.name: e for e in entries if e.is_dir()} if not volumes else {}
    if not volumes and not folders:
        raise DataError(
            f"{path} has no .nii or .nii.gz files and no folders of DICOM masks; expected one per "
            "organ"
        )
    return {**volumes, **folders}


def labels_in(file: Path) -> Mapping[str, Any]:
    """Numbers of a label volume or of a mask, see `nifti.parse_labels`.

    Raises:
        DataError: The file is damaged or no segmentation.
    """
    if file.is_dir():
        return parse_in_child(parse_slices, file)
    kind_of_file(file, (NIFTI_GZ, NIFTI))
    return parse_in_child(parse_labels, file)


def names_of(
    path: Path, present: Sequence[int], told: Mapping[int, str] | None, own: Mapping[str, str]
) -> dict[int, str]:
    """Name of each number in a label volume.

    Args:
        path: Of the volume, for the error.
        present: Numbers that occur.
        told: What the user says; the file's own table, else TotalSegmentator's, if None.
        own: The file's own table.

    Raises:
        SceneError: A number has no name.
    """
    if told is None:
        told = {int(k): v for k, v in own.items()}
    if not told:
        told = dict(enumerate(TOTAL_SEGMENTATOR, start=1))
    nameless = [n for n in present if n not in told]
    if nameless:
        raise SceneError(
            f"{path} has organ numbers without a name: {nameless[:8]}; name them in anatomy.names"
        )
    return {n: told[n] for n in present}


def _stem(path: Path) -> str:
    return path.name[: path.name.lower().index(".nii")]

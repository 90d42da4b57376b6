# SPDX-License-Identifier: Apache-2.0
"""Reading a patient's CT: a DICOM series or a NIfTI file, with its segmentation if there is one.

Files are parsed in a limited child process. Names of patients and everything else that identifies
them stay there: what comes out is geometry, Hounsfield units, the scan's technique and a SHA-256.
"""

from pathlib import Path
from typing import Any

from endoforge.errors import DataError
from endoforge.frames.foreign import NIFTI, NIFTI_GZ, kind_of_file, parse_in_child
from endoforge.scene.volume.dicom_series import parse_dicom_ct
from endoforge.scene.volume.limits import limits_for
from endoforge.scene.volume.nifti_ct import parse_nifti_ct
from endoforge.scene.volume.read_settings import ReadSettings
from endoforge.scene.volume.records import CtVolume
from endoforge.scene.volume.segmentation import organs_on

_IRCAD_SCAN, _IRCAD_MASKS = "PATIENT_DICOM", "MASKS_DICOM"


def read_ct(path: Path, settings: ReadSettings | None = None) -> CtVolume:
    """Read a CT.

    Args:
        path: A .nii or .nii.gz file, or a folder with one DICOM series, its files at any depth and
            of any name. In an unpacked case of 3D-IRCADb the scan is PATIENT_DICOM, and the masks
            are MASKS_DICOM unless the settings name others.
        settings: Which series, which masks, how large it may get.

    Returns:
        The CT with its axes in the patient's order: right, front, head.

    Raises:
        DataError: Says in one sentence what is wrong with the file.
        SceneError: The segmentation has organs without a known name.
    """
    settings = settings or ReadSettings()
    content = _content(path, settings)
    hu, affine = content["hu"], content["affine"]
    masks = settings.masks
    if masks is None and (path / _IRCAD_SCAN).is_dir() and (path / _IRCAD_MASKS).is_dir():
        masks = path / _IRCAD_MASKS
    organs, names = None, dict[int, str]()
    if masks is not None:
        organs, names = organs_on(hu.shape, affine, masks, settings.names)
    return CtVolume(hu, affine, organs, names, _provenance(content, tuple(names.values())))


def _content(path: Path, settings: ReadSettings) -> dict[str, Any]:
    if not path.exists():
        raise DataError(f"cannot read {path}: there is no such file or folder; check the path")
    size = settings.most_voxels, settings.when_too_large
    if path.is_dir():
        inner = path / _IRCAD_SCAN
        path = inner if inner.is_dir() else path
        limits = limits_for(settings.most_voxels, _bytes_in(path))
        arguments = (settings.series, settings.fill_gaps, *size)
        return parse_in_child(parse_dicom_ct, path, limits, arguments)
    limits = limits_for(settings.most_voxels, path.stat().st_size)
    kind_of_file(path, (NIFTI_GZ, NIFTI), limits)
    return parse_in_child(parse_nifti_ct, path, limits, size)


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _provenance(content: dict[str, Any], organs: tuple[str, ...]) -> dict[str, str]:
    facts: dict[str, str] = content["facts"]
    return {
        "source": "DICOM series" if "series" in facts else "NIfTI volume",
        "licence": "that of the scan; not stated in it",
        **facts,
        "sha256": content["sha256"],
        "organs": ", ".join(organs) or "none",
        "changes": "; ".join(content["notes"]) or "none",
    }

# SPDX-License-Identifier: Apache-2.0
"""Reading a patient's CT: a DICOM series or a NIfTI file, with its segmentation if there is one.

Files are parsed in a limited child process. Names of patients and everything else that identifies
them stay there: what comes out is geometry, Hounsfield units, the scan's technique and a SHA-256.
"""

from pathlib import Path
from typing import Any

from endoforge.errors import DataError
from endoforge.frames.foreign import NIFTI, NIFTI_GZ, kind_of_file, parse_in_child
from endoforge.scene.volume.limits import limits_for
from endoforge.scene.volume.nifti_ct import parse_nifti_ct
from endoforge.scene.volume.read_settings import ReadSettings
from endoforge.scene.volume.records import CtVolume


def read_ct(path: Path, settings: ReadSettings | None = None) -> CtVolume:
    """Read a CT.

    Args:
        path: A .nii or .nii.gz file.
        settings: Which series, which masks, how large it may get.

    Returns:
        The CT with its axes in the patient's order: right, front, head.

    Raises:
        DataError: Says in one sentence what is wrong with the file.
    """
    settings = settings or ReadSettings()
    content = _content(path, settings)
    return CtVolume(
        hu=content["hu"],
        world_from_voxel=content["affine"],
        provenance=_provenance(content),
    )


def _content(path: Path, settings: ReadSettings) -> dict[str, Any]:
    if not path.exists():
        raise DataError(f"cannot read {path}: there is no such file or folder; check the path")
    limits = limits_for(settings.most_voxels, path.stat().st_size)
    kind_of_file(path, (NIFTI_GZ, NIFTI), limits)
    arguments = (settings.most_voxels, settings.when_too_large)
    return parse_in_child(parse_nifti_ct, path, limits, arguments)


def _provenance(content: dict[str, Any]) -> dict[str, str]:
    facts: dict[str, str] = content["facts"]
    return {
        "source": "NIfTI volume",
        "licence": "that of the scan; not stated in it",
        **facts,
        "sha256": content["sha256"],
        "changes": "; ".join(content["notes"]) or "none",
    }

# SPDX-License-Identifier: Apache-2.0
"""Reading a folder of DICOM slices strictly. `parse_slices` runs in the limited child."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from endoforge.errors import DataError, MissingDependency

_MOST_SLICES = 3000
_MOST_BYTES = 64_000_000
_TILT_DEG = 0.5
_UNEVEN = 0.1  # of the usual distance between slices


def parse_slices(path: Path) -> dict[str, Any]:
    """Read one mask from the DICOM slices in a folder.

    Returns:
        ``labels``: uint16, 1 where the slices' value is above 0; ``affine``: world_from_voxel, mm
        (+x right, +y front, +z head); ``names``: empty.

    Raises:
        DataError: The gantry was tilted, slices are missing, or a file is no DICOM slice.
        MissingDependency: pydicom is not installed.
    """
    slices = [_read(file) for file in _files(path)]
    _check_alike(path, slices)
    row, column, normal = _axes(path, slices[0])
    _check_tilt(path, slices, normal)
    slices.sort(key=lambda s: float(np.array(s.ImagePositionPatient, float) @ normal))
    places = np.array([s.ImagePositionPatient for s in slices], dtype=np.float64)
    step = _step_mm(path, places, normal)
    down_mm, right_mm = (float(v) for v in slices[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = right_mm * row, down_mm * column, step * normal
    affine[:3, 3] = places[0]
    affine[:2] *= -1.0  # DICOM counts to the patient's left and back
    stack = np.stack([_pixels(path, s) for s in slices], axis=-1)
    return {"labels": np.ascontiguousarray(stack), "affine": affine, "names": {}}


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


def _read(file: Path) -> Any:
    try:
        import pydicom
    except ImportError:
        raise MissingDependency(
            "reading DICOM needs pydicom; install it with: pip install 'endoforge[dicom]'"
        ) from None
    try:
        content = pydicom.dcmread(file, force=True)
        wanted = ("Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "PixelData")
        missing = [name for name in wanted if name not in content]
    except Exception as error:  # pydicom raises many kinds for a damaged file
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{file} is no readable DICOM slice ({reason}); get it again") from None
    if missing:
        raise DataError(f"{file} is no DICOM slice: it has no {', '.join(missing)}; get it again")
    return content


def _check_alike(path: Path, slices: list[Any]) -> None:
    kinds = {(int(s.Rows), int(s.Columns), tuple(map(float, s.PixelSpacing))) for s in slices}
    if len(kinds) > 1:
        raise DataError(
            f"{path} mixes slices of {len(kinds)} sizes, {sorted(kinds)[:2]}; sort them"
        )


def _axes(path: Path, one: Any) -> tuple[Float64[np.ndarray, "3"], ...]:
    cosines = np.array(one.get("ImageOrientationPatient", (1, 0, 0, 0, 1, 0)), dtype=np.float64)
    row, column = cosines[:3], cosines[3:]
    lengths = np.linalg.norm([row, column], axis=1)
    if abs(lengths - 1).max() > 1e-3 or abs(row @ column) > 1e-3:
        raise DataError(f"{path} states axes {cosines.tolist()} that are not square; get it again")
    return row, column, np.cross(row, column)


def _check_tilt(path: Path, slices: list[Any], normal: Float64[np.ndarray, "3"]) -> None:
    """Refuse a tilted gantry, whether it is stated or shows in how the slices are stacked."""
    stated = max(abs(float(s.get("GantryDetectorTilt", 0) or 0)) for s in slices)
    places = np.array([s.ImagePositionPatient for s in slices], dtype=np.float64)
    way = places[np.argmax(places @ normal)] - places[np.argmin(places @ normal)]
    along = float(way @ normal)
    aside = float(np.linalg.norm(way - along * normal))
    tilt = max(stated, float(np.degrees(np.arctan2(aside, max(along, 1e-9)))))
    if tilt > _TILT_DEG:
        raise DataError(
            f"{path} was scanned with the gantry tilted by {tilt:.1f} degrees; its slices are not "
            "stacked squarely: resample it to a square grid first"
        )


def _step_mm(
    path: Path, places: Float64[np.ndarray, "slices 3"], normal: Float64[np.ndarray, "3"]
) -> float:
    steps = np.diff(places @ normal)
    usual = float(np.median(steps))
    if usual <= 0:
        raise DataError(f"{path} has slices at the same place; each must come once")
    wrong = np.flatnonzero(np.abs(steps - usual) > _UNEVEN * usual)
    if wrong.size:
        at = int(wrong[0])
        raise DataError(
            f"{path} lacks slices: they lie {usual:.2f} mm apart, but slices {at + 1} and {at + 2} "
            f"{steps[at]:.2f} mm; get the whole series"
        )
    return usual


def _pixels(path: Path, one: Any) -> np.ndarray:
    try:
        values = one.pixel_array
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path} has a slice whose pixels cannot be read ({reason})") from None
    if values.ndim != 2:
        raise DataError(f"{path} has a slice of {values.shape}; expected one grey picture")
    return np.asarray(values.T > 0, dtype=np.uint16)

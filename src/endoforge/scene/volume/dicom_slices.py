# SPDX-License-Identifier: Apache-2.0
"""DICOM slices: what a file says of its place, and how slices stack up to a volume.

Everything here runs in the limited child of `frames.foreign`. No error repeats what a DICOM
library says, because that may quote any part of the file, the patient's name included.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from jaxtyping import Float64

from endoforge.errors import DataError

_UNEVEN = 0.1  # of the usual distance between slices
_SAME_MM = 1e-3
_MOST_MM = 10.0
_DEFLATED, _META_BYTES = b"1.2.840.10008.1.2.1.99", 4096
_MOST_UNPACKED = 64_000_000


@dataclass(frozen=True)
class Slice:
    """Size and place of one slice.

    Attributes:
        file: Where it is stored.
        rows: Rows of pixels.
        columns: Columns of pixels.
        spacing_mm: Between rows, and between columns.
        position_mm: Centre of the first pixel: to the patient's left, back and head.
        cosines: Directions of a row and of a column.
        tilt_deg: Tilt of the gantry that the file states.
        frame: Its number in a file that holds several, from 0.
    """

    file: Path
    rows: int
    columns: int
    spacing_mm: tuple[float, float]
    position_mm: tuple[float, ...]
    cosines: tuple[float, ...]
    tilt_deg: float
    frame: int = 0


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in order, evenly spaced.

    Attributes:
        slices: From one end to the other.
        missing: How many slices are missing after each one but the last.
        affine: From (column, row, slice) to the patient, mm (+x right, +y front, +z head), missing
            slices counted; its third axis is askew if the gantry was tilted.
        uneven_mm: Largest departure from even spacing.
    """

    slices: tuple[Slice, ...]
    missing: tuple[int, ...]
    affine: Float64[np.ndarray, "4 4"]
    uneven_mm: float


def read_dicom(file: Path, content: bytes | None = None, pixels: bool = True) -> Any:
    """Read a DICOM file, with or without a preamble.

    Args:
        file: Its path, for the error.
        content: Its bytes, if they were read already.
        pixels: Whether to read the pixels too.

    Raises:
        DataError: It cannot be parsed; names the file.
    """
    try:
        source = file if content is None else BytesIO(content)
        _check_unpacked_size(file)
        return pydicom.dcmread(source, force=True, stop_before_pixels=not pixels)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # pydicom raises many kinds for a damaged file
        raise DataError(
            f"{file} is no readable DICOM slice ({type(error).__name__}); get it again"
        ) from None


def _check_unpacked_size(file: Path) -> None:
    """Refuse a deflated file that unpacks to more than a slice; pydicom unpacks it whole."""
    with open(file, "rb") as opened:
        start = opened.read(_META_BYTES)
        if start[128:132] != b"DICM" or _DEFLATED not in start:
            return
        opened.seek(144 + int.from_bytes(start[140:144], "little"))
        unpacker, left = zlib.decompressobj(-zlib.MAX_WBITS), _MOST_UNPACKED
        while left > 0 and (block := unpacker.unconsumed_tail or opened.read(1 << 16)):
            left -= len(unpacker.decompress(block, 1 << 20))
    if left <= 0:
        raise DataError(
            f"{file} unpacks to more than {_MOST_UNPACKED} bytes, which no slice has; get it again"
        )


def slice_of(file: Path, content: Any, frame: int = 0) -> Slice:
    """Size and place of a slice, which may be one frame of several in its file.

    Raises:
        DataError: Something is missing, is no number, or a size is 0.
    """
    wanted = ("Rows", "Columns", "PixelSpacing", "ImagePositionPatient")
    try:
        missing = [name for name in wanted if content.get(name) is None]
        if missing:
            raise DataError(
                f"{file} is no DICOM slice: it has no {', '.join(missing)}; it may be cut, get it "
                "again"
            )
        down, right = (float(v) for v in content.PixelSpacing)
        found = Slice(
            file=file,
            rows=int(content.Rows),
            columns=int(content.Columns),
            spacing_mm=(down, right),
            position_mm=tuple(float(v) for v in content.ImagePositionPatient),
            cosines=tuple(
                float(v) for v in content.get("ImageOrientationPatient") or (1, 0, 0, 0, 1, 0)
            ),
            tilt_deg=float(content.get("GantryDetectorTilt") or 0.0),
            frame=frame,
        )
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{file} states its place in a way that cannot be read ({type(error).__name__}); get "
            "it again"
        ) from None
    _check_slice(found)
    return found


def _check_slice(one: Slice) -> None:
    if min(one.rows, one.columns) < 2:
        raise DataError(f"{one.file} has {one.rows} rows and {one.columns} columns; get it again")
    if not all(0 < size <= _MOST_MM for size in one.spacing_mm):
        raise DataError(
            f"{one.file} has pixels of {list(one.spacing_mm)} mm; expected sizes above 0 and up to "
            f"{_MOST_MM:g}"
        )
    places = (*one.position_mm, *one.cosines)
    if len(one.position_mm) != 3 or len(one.cosines) != 6 or not np.isfinite(places).all():
        raise DataError(f"{one.file} states no place that numbers can give; get it again")


def stack_of(path: Path, slices: Sequence[Slice], fill_gaps: int = 0) -> Stack:
    """Put slices in order and find where they lie.

    Args:
        path: Of the folder, for errors.
        slices: In any order.
        fill_gaps: Most missing slices in a row that are let pass.

    Raises:
        DataError: They are of several sizes or directions, lie at the same place, or some are
            missing.
    """
    _check_alike(path, slices)
    row, column, normal = axes_of(path, slices[0])
    ordered = sorted(slices, key=lambda one: float(np.array(one.position_mm) @ normal))
    places = np.array([one.position_mm for one in ordered])
    steps = np.diff(places @ normal)
    usual = _usual_step(path, steps)
    missing = _missing(path, steps, usual, fill_gaps)
    down, right = ordered[0].spacing_mm
    count = len(ordered) + sum(missing) - 1
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = right * row, down * column
    affine[:3, 2] = (places[-1] - places[0]) / count
    affine[:3, 3] = places[0]
    affine[:2] *= -1.0  # DICOM counts to the patient's left and back
    at = np.cumsum([0, *(1 + gap for gap in missing)])
    even = places[0] + at[:, None] * ((places[-1] - places[0]) / count)
    uneven = float(np.abs((places - even) @ normal).max())
    return Stack(tuple(ordered), missing, affine, uneven)


def tilt_deg(slices: Sequence[Slice], normal: Float64[np.ndarray, "3"]) -> float:
    """Tilt of the gantry, degrees: as it is stated, or as it shows in how slices are stacked."""
    stated = max(abs(one.tilt_deg) for one in slices)
    places = np.array([one.position_mm for one in slices])
    way = places[np.argmax(places @ normal)] - places[np.argmin(places @ normal)]
    along = float(way @ normal)
    aside = float(np.linalg.norm(way - along * normal))
    return max(stated, float(np.degrees(np.arctan2(aside, max(along, 1e-9)))))


def axes_of(
    path: Path, one: Slice
) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3"], Float64[np.ndarray, "3"]]:
    """Unit directions of a row, of a column and across the slice; left, back, head.

    Raises:
        DataError: They are not square.
    """
    cosines = np.array(one.cosines, dtype=np.float64)
    row, column = cosines[:3], cosines[3:]
    lengths = np.linalg.norm([row, column], axis=1)
    if abs(lengths - 1).max() > 1e-3 or abs(row @ column) > 1e-3:
        raise DataError(f"{path} states axes {cosines.tolist()} that are not square; get it again")
    return row, column, np.cross(row, column)


def _check_alike(path: Path, slices: Sequence[Slice]) -> None:
    if len(slices) < 2:
        raise DataError(
            f"{path} has {len(slices)} slice; expected the slices of a volume: give the folder of "
            "the whole series"
        )
    kinds = {(one.rows, one.columns, *np.round(one.spacing_mm, 4)) for one in slices}
    spread = np.ptp([one.spacing_mm for one in slices], axis=0).max()
    if len({kind[:2] for kind in kinds}) > 1 or spread > _SAME_MM:
        raise DataError(
            f"{path} mixes slices of {len(kinds)} sizes, such as {_sizes(kinds)}; sort them"
        )
    cosines = np.array([one.cosines for one in slices])
    if np.abs(cosines - cosines[0]).max() > 1e-3:
        raise DataError(f"{path} mixes slices that face different ways; sort them")


def _sizes(kinds: set[tuple[float, ...]]) -> str:
    words = [f"{w:.0f} x {h:.0f} of {x:g} x {y:g} mm" for h, w, y, x in sorted(kinds)[:2]]
    return " and ".join(words)


def _usual_step(path: Path, steps: Float64[np.ndarray, "gaps"]) -> float:
    if steps.min() < _SAME_MM:
        raise DataError(
            f"{path} has slices at the same place ({np.count_nonzero(steps < _SAME_MM)} pairs), "
            "as a scan in several phases has; keep one phase, each slice once"
        )
    return float(np.median(steps))


def _missing(
    path: Path, steps: Float64[np.ndarray, "gaps"], usual: float, fill_gaps: int
) -> tuple[int, ...]:
    """How many slices are missing after each one; refuses what may not be filled."""
    places = np.rint(steps / usual)
    odd = np.abs(steps / usual - places) > _UNEVEN
    wrong = np.flatnonzero(odd | (places - 1 > fill_gaps) | (places < 1))
    if wrong.size:
        at = int(wrong[0])
        lack = int(places[at]) - 1
        some = ""
        if lack in (1, 2) and not odd[at]:
            some = f", or let {lack} in a row be filled in with the setting fill_gaps={lack}"
        raise DataError(
            f"{path} lacks slices: they lie {usual:.2f} mm apart, but slices {at + 1} and {at + 2} "
            f"{steps[at]:.2f} mm; get the whole series{some}"
        )
    return tuple(int(n) - 1 for n in places)

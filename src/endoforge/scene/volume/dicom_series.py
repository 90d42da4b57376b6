# SPDX-License-Identifier: Apache-2.0
"""Reading a CT from a folder of DICOM files. `parse_dicom_ct` runs in the limited child.

Of all that a DICOM file says, only geometry, Hounsfield units, the modality, the kernel's name and
the slice thickness leave this file.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num
from pydicom.dataset import Dataset

from endoforge.errors import DataError, EndoforgeError
from endoforge.scene.volume.dicom_frames import headers_of_frames, hounsfield_of_frames
from endoforge.scene.volume.dicom_pixels import hounsfield
from endoforge.scene.volume.dicom_slices import Slice, Stack, read_dicom, slice_of, stack_of
from endoforge.scene.volume.gather import Gatherer
from endoforge.scene.volume.grids import TILT_DEG, skew_deg
from endoforge.scene.volume.limits import block_factors
from endoforge.scene.volume.unshear import unsheared

_MOST_FILES = 30_000
_MOST_BYTES, _MOST_BYTES_OF_ALL = 64_000_000, 16_000_000_000  # of one slice, of all in one file
_AT_ONCE = 16
_CT = "1.2.840.10008.5.1.4.1.1.2"
_ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"


@dataclass
class Series:
    """Slices of one series.

    Attributes:
        number: As the files state it, or the next free one.
        slices: In the order of their files.
        headers: What is said of each frame, for files that hold several slices.
        kernel: Name of the reconstruction kernel.
        thickness_mm: Of a slice; 0 if it is not stated.
    """

    number: int
    kernel: str
    thickness_mm: float
    slices: list[Slice] = field(default_factory=list)
    headers: dict[Path, list[Dataset]] = field(default_factory=dict)

    def __str__(self) -> str:
        one = self.slices[0]
        return (
            f"series {self.number} with {len(self.slices)} slices of {one.columns} x {one.rows}, "
            f"{self.thickness_mm:g} mm, kernel {self.kernel}"
        )


def parse_dicom_ct(
    path: Path, series: int | None, fill_gaps: int, most_voxels: int, when_too_large: str
) -> dict[str, Any]:
    """Read Hounsfield units and where their voxels lie; see `nifti_ct.parse_nifti_ct`.

    Args:
        path: A folder; slices may lie in folders within it, under any name.
        series: Number of the series, where there are several.
        fill_gaps: Most missing slices in a row that are filled in.
        most_voxels: Above this the mean over blocks is taken while reading, or it is refused.
        when_too_large: ``"coarser"`` or ``"refuse"``.

    Raises:
        DataError: Files are cut, of several series, or no CT; slices are missing; values cannot be
            Hounsfield units.
    """
    try:
        return _parsed(path, series, fill_gaps, (most_voxels, when_too_large))
    except (EndoforgeError, MemoryError):
        raise
    except Exception as error:  # its text may quote the file
        raise DataError(
            f"{path} cannot be read as DICOM ({type(error).__name__}); get it again"
        ) from None


def _parsed(
    path: Path, number: int | None, fill_gaps: int, size: tuple[int, str]
) -> dict[str, Any]:
    found, notes = _sorted_files(path)
    series = _chosen(path, found, number)
    stack = stack_of(path, series.slices, fill_gaps)
    one = stack.slices[0]
    slices = len(stack.slices) + sum(stack.missing)
    shape = (one.columns, one.rows, slices)
    sizes = np.linalg.norm(stack.affine[:3, :3], axis=0)
    volume = Gatherer(
        (slices, one.rows, one.columns), stack.affine, block_factors(path, shape, sizes, *size)
    )
    digest = sha256()
    for chunk in _chunks(_filled(stack, series.headers, digest)):
        volume.add(chunk)
    hu, affine, done = volume.finished(str(path))
    if skew_deg(affine) > TILT_DEG:
        hu, affine, note = unsheared(hu, affine, volume.slice_axis, str(path))
        done.append(note)
    notes += done + _stack_notes(stack)
    facts = {"modality": "CT", "series": str(series.number), "kernel": series.kernel}
    if series.thickness_mm:
        facts["slice_thickness_mm"] = f"{series.thickness_mm:g}"
    return {
        "hu": hu,
        "affine": affine,
        "notes": notes,
        "facts": facts,
        "sha256": digest.hexdigest(),
    }


# ---- sorting files ------------------------------------------------------------------------------


def _sorted_files(path: Path) -> tuple[list[Series], list[str]]:
    """All CT series below a folder, and what else lies there."""
    groups: dict[str, Series] = {}
    numbers: dict[str, int | None] = {}
    others: dict[str, int] = {}
    for file in _files(path):
        content = read_dicom(file, pixels=False)
        reason = _not_a_slice(file, content)
        if reason:
            others[reason] = others.get(reason, 0) + 1
            continue
        key = str(content.get("SeriesInstanceUID") or "")
        headers = headers_of_frames(file, content) if _is_enhanced(content) else [content]
        if key not in groups:
            groups[key] = Series(0, _kernel(headers[0]), _thickness(headers[0]))
            numbers[key] = _whole(content.get("SeriesNumber"))
        if _is_enhanced(content):
            groups[key].headers[file] = headers
        groups[key].slices += [slice_of(file, one, nth) for nth, one in enumerate(headers)]
    if not groups:
        what = ", ".join(f"{n} files: {reason}" for reason, n in others.items()) or "no files"
        raise DataError(f"{path} holds no slices of a CT ({what}); give the folder of one series")
    _number(groups, numbers)
    return list(groups.values()), [f"{n} files left out: {why}" for why, n in others.items()]


def _files(path: Path) -> list[Path]:
    files = [f for f in path.rglob("*") if f.is_file() and not f.name.startswith(".")]
    if len(files) > _MOST_FILES:
        raise DataError(f"{path} has {len(files)} files; at most {_MOST_FILES} are looked through")
    for file in files:
        size = file.stat().st_size
        if size > (_MOST_BYTES_OF_ALL if _starts_as_dicom(file) else _MOST_BYTES):
            raise DataError(f"{file} has {size} bytes; a slice has fewer: convert it")
    return sorted(files)


def _starts_as_dicom(file: Path) -> bool:
    with open(file, "rb") as opened:
        return opened.read(132)[128:] == b"DICM"


def _kind(content: Any) -> str:
    meta = getattr(content, "file_meta", None) or {}
    return str(meta.get("MediaStorageSOPClassUID") or content.get("SOPClassUID") or "")


def _is_enhanced(content: Any) -> bool:
    return _kind(content) == _ENHANCED


def _not_a_slice(file: Path, content: Any) -> str | None:
    """Why a file is no slice of a CT, though it is not damaged; None if it is one."""
    kind, modality = _kind(content), _word(content.get("Modality"))
    if kind and kind not in (_CT, _ENHANCED):
        return f"no CT picture (modality {modality})"
    if not kind and not content.get("Rows") and not content.get("Modality"):
        _check_foreign(file)
        return "not DICOM"
    if modality not in ("CT", "unknown"):
        return f"no CT picture (modality {modality})"
    if "LOCALIZER" in [str(word).upper() for word in content.get("ImageType") or ()]:
        return "localizer"
    return None


def _check_foreign(file: Path) -> None:
    """Refuse what looks like a damaged slice; text and files with an ending of their own pass."""
    with open(file, "rb") as opened:
        start = opened.read(512)
    plain = re.fullmatch(r"(\.dcm|\.dicom|\.ima|\.img|\.\d+)?", file.suffix.lower())
    if start[128:132] == b"DICM" or (plain and (b"\0" in start or not start)):
        raise DataError(f"{file} is a DICOM file that ends within its header; get it again")


def _number(groups: Mapping[str, Series], stated: Mapping[str, int | None]) -> None:
    """Give every series a number of its own: the stated one if it is, else a free one."""
    given = list(stated.values())
    free = iter(n for n in range(1, 2 * len(given) + 1) if n not in given)
    for key, series in groups.items():
        own = stated[key]
        series.number = own if own is not None and given.count(own) == 1 else next(free)


def _chosen(path: Path, found: Sequence[Series], number: int | None) -> Series:
    listed = "; ".join(str(one) for one in sorted(found, key=lambda one: one.number)[:12])
    if number is not None:
        for one in found:
            if one.number == number:
                return one
        raise DataError(f"{path} has no series {number}; it holds {listed}")
    if len(found) > 1:
        raise DataError(
            f"{path} mixes {len(found)} series: {listed}; choose one by its number with the "
            f"setting anatomy.series, for example anatomy.series={found[0].number}"
        )
    return found[0]


# ---- what the files say -------------------------------------------------------------------------


def _word(value: Any) -> str:
    text = str(value or "")
    return text if re.fullmatch(r"[A-Z]{2,16}", text) else "unknown"


def _kernel(content: Any) -> str:
    """Name of the kernel, if it looks like one."""
    value = content.get("ConvolutionKernel") or ()
    words = [value] if isinstance(value, str) else [str(v) for v in value]
    plain = [w for w in words if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 +._-]{0,15}", w)]
    return "/".join(plain[:3]) or "unknown"


def _thickness(content: Any) -> float:
    try:
        value = float(content.get("SliceThickness") or 0.0)
    except (TypeError, ValueError):
        return 0.0
    return value if 0 < value <= 100 else 0.0


def _whole(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


# ---- pixels -------------------------------------------------------------------------------------


def _filled(
    stack: Stack, headers: Mapping[Path, Sequence[Dataset]], digest: Any
) -> Iterator[Num[np.ndarray, "rows columns"]]:
    """Hounsfield units of every slice in order, missing ones in between their neighbours."""
    before: Num[np.ndarray, "rows columns"] | None = None
    values = _in_order(stack.slices, headers, digest)
    for hu, gap in zip(values, (0, *stack.missing), strict=True):
        for nth in range(gap):
            assert before is not None
            share = (nth + 1) / (gap + 1)
            yield before * (1.0 - share) + hu * share
        yield hu
        before = hu


def _in_order(
    slices: Sequence[Slice], headers: Mapping[Path, Sequence[Dataset]], digest: Any
) -> Iterator[Num[np.ndarray, "rows columns"]]:
    """Hounsfield units of every slice in order; neighbours in one file are read in one go."""
    for file, group in groupby(slices, key=lambda one: one.file):
        if file in headers:
            with open(file, "rb") as opened:
                while block := opened.read(1 << 22):
                    digest.update(block)
            yield from hounsfield_of_frames(file, headers[file], [one.frame for one in group])
            continue
        for one in group:
            content = one.file.read_bytes()
            digest.update(content)
            yield hounsfield(one.file, read_dicom(one.file, content))


def _chunks(
    slices: Iterator[Num[np.ndarray, "rows columns"]],
) -> Iterator[Num[np.ndarray, "slices rows columns"]]:
    """A few slices at a time, which are put into the volume faster than one."""
    waiting: list[np.ndarray] = []
    for one in slices:
        waiting.append(one)
        if len(waiting) == _AT_ONCE:
            yield np.stack(waiting)
            waiting = []
    if waiting:
        yield np.stack(waiting)


def _stack_notes(stack: Stack) -> list[str]:
    notes = []
    if sum(stack.missing):
        notes.append(f"{sum(stack.missing)} missing slices filled in between their neighbours")
    if stack.uneven_mm > 0.05:
        notes.append(f"slices lie up to {stack.uneven_mm:.2f} mm off even spacing, taken as even")
    stated = max(abs(one.tilt_deg) for one in stack.slices)
    if stated > TILT_DEG and skew_deg(stack.affine) <= TILT_DEG:
        notes.append(f"files state a gantry tilt of {stated:g} degrees that slices do not show")
    return notes

# SPDX-License-Identifier: Apache-2.0
"""Hounsfield units of one DICOM slice: stored bits, padding, rescale. Runs in the limited child."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, Num
from pydicom._uid_dict import UID_dictionary

from endoforge.errors import DataError
from endoforge.scene.volume.gather import AIR_HU

_PIXELS, _UNDEFINED = 0x7FE00010, 0xFFFFFFFF


def hounsfield(file: Path, content: Any) -> Num[np.ndarray, "rows columns"]:
    """Hounsfield units of a slice; padding becomes air.

    MONOCHROME1 only says that low values are to be shown bright; it does not change them
    (PS3.3 C.7.6.3.1.2).

    Raises:
        DataError: Pixels are cut, packed in a way that cannot be read, or have no usable rescale.
    """
    return hounsfield_of(file, content, stored_values(file, content))


def hounsfield_of(
    file: Path, content: Any, stored: Integer[np.ndarray, "rows columns"]
) -> Num[np.ndarray, "rows columns"]:
    """Hounsfield units of stored numbers; padding becomes air.

    Raises:
        DataError: There is no usable rescale.
    """
    slope, shift = _rescale(file, content)
    padding = _padding(content, stored)
    if slope == 1.0 and shift == round(shift) and stored.dtype.itemsize <= 2:
        hu: Num[np.ndarray, "rows columns"] = stored.astype(np.int32) + int(shift)
    else:
        hu = (stored * slope + shift).astype(np.float32)
    if padding is not None:
        hu[(stored >= padding[0]) & (stored <= padding[1])] = AIR_HU
    return hu


def stored_values(file: Path, content: Any) -> Integer[np.ndarray, "rows columns"]:
    """The numbers that are stored for the pixels of a slice.

    Raises:
        DataError: There are too few or too many bytes, several samples or frames, or they are
            packed in a way that cannot be read.
    """
    if int(content.get("SamplesPerPixel") or 1) != 1 or int(content.get("NumberOfFrames") or 1) > 1:
        raise DataError(
            f"{file} is no single grey slice ({content.get('SamplesPerPixel')} samples, "
            f"{content.get('NumberOfFrames') or 1} frames); convert it to one file per slice"
        )
    raw = content.get_item(_PIXELS) if _PIXELS in content else None
    if raw is None or raw.value is None:
        raise DataError(f"{file} has no pixels: it is cut, or no picture; get it again")
    _check_length(file, raw)
    meta = getattr(content, "file_meta", None)
    syntax = None if meta is None else meta.get("TransferSyntaxUID")
    values = _unpacked(file, content, syntax) if _is_packed(syntax) else _plain(file, content)
    return sign_extended(values, content)


def _check_length(file: Path, raw: Any) -> None:
    """Refuse pixels that state another length than the file has left for them."""
    length = getattr(raw, "length", _UNDEFINED)
    if length != _UNDEFINED and length != len(raw.value):
        raise DataError(
            f"{file} claims {length} bytes of pixels, but holds {len(raw.value)}; it is cut or "
            "damaged, get it again"
        )


def _is_packed(syntax: Any) -> bool:
    try:
        return syntax is not None and bool(syntax.is_encapsulated)
    except ValueError:  # a private syntax
        return True


def _plain(file: Path, content: Any) -> Integer[np.ndarray, "rows columns"]:
    rows, columns, bits = int(content.Rows), int(content.Columns), int(content.BitsAllocated)
    if bits not in (8, 16, 32):
        raise DataError(f"{file} has {bits} bits per pixel; expected 8, 16 or 32")
    wanted, length = rows * columns * bits // 8, len(content.PixelData)
    if not wanted <= length <= wanted + 1:
        raise DataError(
            f"{file} claims {columns} x {rows} pixels, which take {wanted} bytes, but holds "
            f"{length}; it is cut or damaged, get it again"
        )
    order = "<" if content.original_encoding[1] is not False else ">"
    kind = "i" if int(content.get("PixelRepresentation") or 0) else "u"
    dtype = np.dtype(f"{order}{kind}{bits // 8}")
    return np.frombuffer(content.PixelData, dtype, rows * columns).reshape(rows, columns)


def _unpacked(file: Path, content: Any, syntax: Any) -> Integer[np.ndarray, "rows columns"]:
    try:
        values = content.pixel_array
    except MemoryError:
        raise
    except Exception as error:
        raise DataError(
            f"{file} has pixels packed as {packing_of(syntax)} that cannot be read here "
            f"({type(error).__name__}); unpack the series first, for example with: gdcmconv --raw "
            "IN OUT"
        ) from None
    if values.shape != (int(content.Rows), int(content.Columns)):
        raise DataError(f"{file} has pixels of {values.shape}; expected one grey picture")
    return np.asarray(values)


def packing_of(syntax: Any) -> str:
    """What a way of packing is called; nothing that the file could have made up."""
    name = str(getattr(syntax, "name", ""))
    return name if str(syntax) in UID_dictionary else "something of its maker's own"


def sign_extended(
    values: Integer[np.ndarray, "rows columns"], content: Any
) -> Integer[np.ndarray, "rows columns"]:
    """Keep only the bits that are in use, the highest of them the sign if there is one."""
    allocated = values.dtype.itemsize * 8
    stored = int(content.get("BitsStored") or allocated)
    spare = allocated - stored
    if not 0 < spare < allocated:
        return values
    kind = np.dtype(f"{values.dtype.kind}{values.dtype.itemsize}")
    moved = np.left_shift(values.astype(kind), kind.type(spare))
    return np.asarray(np.right_shift(moved, kind.type(spare)))


def _rescale(file: Path, content: Any) -> tuple[float, float]:
    try:
        slope, shift = content.get("RescaleSlope"), content.get("RescaleIntercept")
        found = float(1.0 if slope is None else slope), float(0.0 if shift is None else shift)
    except (TypeError, ValueError):
        found = (np.nan, np.nan)
    if not np.isfinite(found).all() or found[0] == 0:
        raise DataError(
            f"{file} has a rescale slope of {found[0]:g} and an intercept of {found[1]:g}; "
            "expected numbers that give Hounsfield units"
        )
    return found


def _padding(content: Any, stored: Integer[np.ndarray, "rows columns"]) -> tuple[int, int] | None:
    """Lowest and highest stored value that marks pixels outside the scan."""
    value = content.get("PixelPaddingValue")
    if value is None:
        return None
    other = content.get("PixelPaddingRangeLimit")
    ends = [_as_stored(v, stored.dtype) for v in (value, value if other is None else other)]
    return min(ends), max(ends)


def _as_stored(value: Any, dtype: "np.dtype[Any]") -> int:
    """A padding value in the pixels' own sign; writers mix up the two."""
    number, half = int(value), 1 << (8 * dtype.itemsize - 1)
    if dtype.kind == "i" and number >= half:
        return number - 2 * half
    return number + 2 * half if dtype.kind == "u" and number < 0 else number

# SPDX-License-Identifier: Apache-2.0
"""Labels of a volume as PNG files, and back: opacity, further depths, Hounsfield units."""

import numpy as np
from jaxtyping import Bool, Float32, Int16

from endoforge.errors import DataError
from endoforge.frames.planes import encode_depth, expect
from endoforge.frames.png import Png, encode_png

#: Steps of a stored opacity from 0 to 1; at most 0.002 off.
OPACITY_STEPS = 255

#: Stored value of 0 HU: air's -1024 becomes 0.
_ZERO_HU = 1024

_HU_CODING = f"v-{_ZERO_HU}"
_OPACITY_CODING = f"v/{OPACITY_STEPS}"


def encode_opacity(opacity: Float32[np.ndarray, "height width"], source: str) -> bytes:
    """Pack opacity.

    Raises:
        DataError: A pixel has none from 0 to 1.
    """
    if not bool(np.all((opacity >= 0) & (opacity <= 1))):
        wrong = opacity[~((opacity >= 0) & (opacity <= 1))][0]
        raise DataError(f"{source}: opacity must be 0 to 1 in every pixel, got {wrong}")
    stored = np.rint(opacity * np.float32(OPACITY_STEPS)).astype(np.uint8)
    return encode_png(stored, {"meaning": "opacity", "value": _OPACITY_CODING})


def opacity_of(png: Png, source: str) -> Float32[np.ndarray, "height width"]:
    """Opacity, 0 to 1.

    Raises:
        DataError: The file is of another kind, or does not say how it is coded.
    """
    stored = expect(png.pixels, np.uint8, 2, source)
    _check_coding(png, _OPACITY_CODING, source)
    return np.asarray(stored * np.float32(1 / OPACITY_STEPS))


def encode_hu(hu: Int16[np.ndarray, "height width"], source: str) -> bytes:
    """Pack Hounsfield units.

    Raises:
        DataError: A pixel has less than -1024 HU.
    """
    if int(hu.min()) < -_ZERO_HU:
        raise DataError(f"{source}: HU must be {-_ZERO_HU} or more, got {int(hu.min())}")
    stored = (hu.astype(np.int32) + _ZERO_HU).astype(np.uint16)
    notes = {"meaning": "Hounsfield units", "value": _HU_CODING, "none": "0"}
    return encode_png(stored, notes)


def hu_of(png: Png, source: str) -> Int16[np.ndarray, "height width"]:
    """Hounsfield units; -1024 where there is no depth.

    Raises:
        DataError: The file is of another kind, or does not say how it is coded.
    """
    stored = expect(png.pixels, np.uint16, 2, source)
    _check_coding(png, _HU_CODING, source)
    hu = stored.astype(np.int32) - _ZERO_HU
    if hu.max() > np.iinfo(np.int16).max:
        raise DataError(f"{source} holds {hu.max()} HU; expected at most 32767: restore it")
    return np.asarray(hu.astype(np.int16))


def encode_further_depth(
    depth_mm: Float32[np.ndarray, "height width"],
    valid: Bool[np.ndarray, "height width"],
    scale_mm: float,
    source: str,
) -> bytes:
    """Pack a depth beside the labelled one, as `planes.encode_depth` does.

    What lies too far for the file is dropped where the pixel is not valid anyway: behind thin
    tissue the mean depth may be anywhere.

    Raises:
        DataError: A valid pixel's depth does not fit.
    """
    with np.errstate(invalid="ignore"):
        lost = ~valid & ~((depth_mm > 0) & (depth_mm <= 65535 * scale_mm))
    return encode_depth(np.where(lost, np.float32(np.nan), depth_mm), scale_mm, source)


def _check_coding(png: Png, coding: str, source: str) -> None:
    if png.notes.get("value") != coding:
        raise DataError(
            f"{source} must say that a value means {coding}, got {png.notes.get('value')!r}; "
            "make it anew"
        )

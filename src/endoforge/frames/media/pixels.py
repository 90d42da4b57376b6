# SPDX-License-Identifier: Apache-2.0
"""Decoding one foreign picture with all its channels and its whole range of values.

`pictures.read_picture` makes 8-bit RGB of anything; here 16-bit and floating-point files keep what
they have. How stored numbers become values says `unit_values`.
"""

from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Float32, UInt8, UInt16
from PIL import Image

from endoforge.errors import DataError, MissingDependency, ShapeError
from endoforge.frames.media.pictures import (
    LARGEST_FILE_BYTES,
    LARGEST_PIXELS,
    PICTURE_SUFFIXES,
    read_picture,
)

#: What counts as a picture for learning, by the end of its name.
PIXEL_SUFFIXES = PICTURE_SUFFIXES | {".npy", ".exr"}

#: More channels than this are no picture.
MOST_CHANNELS = 64

Pixels: TypeAlias = (
    UInt8[np.ndarray, "height width channels"]
    | UInt16[np.ndarray, "height width channels"]
    | Float32[np.ndarray, "height width channels"]
)

_DEEP_SUFFIXES = {".png", ".tif", ".tiff"}


def read_pixels(path: Path) -> Pixels:
    """Read a picture as it is stored, channels last.

    * 8-bit pictures of all usual kinds come as `read_picture` reads them: RGB, upright.
    * PNG and TIFF of 16 bits: uint16, TIFF of floating-point numbers: float32, with 1, 3 or 4
      channels in the order red, green, blue, alpha.
    * OpenEXR: float32, scene-linear as stored; red, green, blue, alpha, then others by name.
    * ``.npy``: height × width or height × width × channels of uint8, uint16, float16, float32 or
      float64.

    Raises:
        DataError: The file is missing, cut, of another kind, too large, or holds NaN or infinity.
        MissingDependency: OpenEXR files need the library of that name.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _checked(_read_npy(path), path)
    if suffix == ".exr":
        return _checked(_read_exr(path), path)
    if suffix in _DEEP_SUFFIXES and _is_deep(path):
        return _checked(_read_with_opencv(path), path)
    return read_picture(path)


def unit_values(
    pixels: Pixels, value_range: tuple[float, float] = (0.0, 1.0)
) -> Float32[np.ndarray, "height width channels"]:
    """Turn stored numbers into values from -1 to 1.

    Whole numbers of 8 bits go from 0 to 255, those of 16 bits from 0 to 65535, whatever part of
    that they use; floating-point numbers from the ends of `value_range`, and what lies beyond them
    stays at the ends.

    Example:
        >>> unit_values(np.array([[[0], [255]]], np.uint8)).ravel().tolist()
        [-1.0, 1.0]
    """
    if pixels.dtype == np.float32:
        low, high = value_range
        scaled = (pixels - np.float32(low)) * np.float32(2 / (high - low)) - np.float32(1)
        return np.asarray(np.clip(scaled, -1, 1), np.float32)
    top = np.float32(np.iinfo(pixels.dtype).max / 2)
    return np.asarray(pixels / top - np.float32(1), np.float32)


def display_values(
    pixels: Pixels, value_range: tuple[float, float] = (0.0, 1.0)
) -> UInt8[np.ndarray, "height width 3"]:
    """A picture to look at: 8 bits of the first three channels, or of the first one as grey.

    Raises:
        ShapeError: There is no channel.
    """
    if pixels.ndim != 3 or pixels.shape[-1] < 1:
        raise ShapeError(f"expected height, width and channels, got shape {pixels.shape}")
    if pixels.dtype == np.uint8 and pixels.shape[-1] == 3:
        return pixels
    three = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., :1].repeat(3, axis=-1)
    values = (unit_values(three, value_range) + 1) * 127.5
    return np.asarray(np.round(values), np.uint8)


# ---- inside -------------------------------------------------------------------------------------


def _is_deep(path: Path) -> bool:
    """Whether a PNG or TIFF has more than 8 bits per channel; broken headers are left to Pillow."""
    try:
        with Image.open(path, formats=("PNG", "TIFF")) as picture:
            if picture.format == "TIFF":
                bits = picture.tag_v2.get(258, 8)  # type: ignore[attr-defined]  # TIFF's own
                return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    except Exception:
        pass  # a TIFF of many floating-point channels: Pillow does not know it
    try:
        with open(path, "rb") as file:
            start = file.read(32)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; check the path") from None
    if start[:4] in (b"II*\0", b"MM\0*"):
        return True
    return start[:8] == b"\x89PNG\r\n\x1a\n" and start[12:16] == b"IHDR" and start[24:25] == b"\x10"


def _read_with_opencv(path: Path) -> np.ndarray:
    content = _bytes_of(path)
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        read_picture(path)  # checks every chunk and refuses a cut file, which OpenCV does not
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(f"{path} cannot be decoded ({error.err}); convert it") from None
    if pixels is None:
        raise DataError(
            f"{path} is damaged, or of a kind that this OpenCV cannot read; restore it or convert "
            "it to .npy"
        )
    if pixels.ndim == 3 and pixels.shape[-1] in (3, 4):
        code = cv2.COLOR_BGR2RGB if pixels.shape[-1] == 3 else cv2.COLOR_BGRA2RGBA
        pixels = cv2.cvtColor(pixels, code)
    return np.asarray(pixels)


def _read_exr(path: Path) -> np.ndarray:
    """Red, green, blue and alpha first, further channels by name."""
    _bytes_of(path, 4)
    try:
        import OpenEXR
    except ImportError:
        raise MissingDependency(
            f"{path} needs the library OpenEXR; pip install 'endoforge[export]', or convert it to "
            ".npy"
        ) from None
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            found = {name: np.array(part.pixels) for name, part in file.channels().items()}
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path} is damaged or no OpenEXR file ({reason}); restore it") from None
    order = sorted(found, key=lambda name: ("RGBA".find(name) % 5, name))
    if len({found[name].shape for name in order}) != 1:
        raise DataError(f"{path} has channels of several sizes or none; write it anew")
    return np.stack([found[name] for name in order], axis=-1)


def _read_npy(path: Path) -> np.ndarray:
    _bytes_of(path, 6)
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")  # refuses a file that is too short
    except Exception as error:
        raise DataError(f"{path} is not a sound .npy file ({error}); write it anew") from None
    if mapped.ndim not in (2, 3) or mapped.dtype.kind not in "uf":
        raise DataError(
            f"{path} must hold height × width × channels of uint8, uint16 or floating-point "
            f"numbers, got {mapped.dtype} of shape {mapped.shape}; write it anew"
        )
    if mapped.nbytes > LARGEST_FILE_BYTES:
        raise DataError(
            f"{path} holds {mapped.nbytes} bytes; at most {LARGEST_FILE_BYTES} are read"
        )
    return np.array(mapped)


def _bytes_of(path: Path, limit: int | None = None) -> bytes:
    try:
        size = path.stat().st_size
        if not 0 < size <= LARGEST_FILE_BYTES:
            raise DataError(
                f"{path} has {size} bytes; a picture has 1 to {LARGEST_FILE_BYTES}; restore it"
            )
        with open(path, "rb") as file:
            return file.read(-1 if limit is None else limit)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; check the path") from None


def _checked(pixels: np.ndarray, path: Path) -> Pixels:
    """Channels last, one of the three kinds of numbers, all finite."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, channels = pixels.shape
    if not (1 <= height * width <= LARGEST_PIXELS and 1 <= channels <= MOST_CHANNELS):
        raise DataError(
            f"{path} has {width} × {height} pixels of {channels} channels; expected 1 to "
            f"{LARGEST_PIXELS} pixels of 1 to {MOST_CHANNELS} channels; write it anew"
        )
    if pixels.dtype in (np.uint8, np.uint16):
        return np.ascontiguousarray(pixels)
    if pixels.dtype.kind != "f":
        raise DataError(f"{path} holds {pixels.dtype}; expected uint8, uint16 or float; convert it")
    values = np.ascontiguousarray(pixels, np.float32)
    if broken := int((~np.isfinite(values)).sum()):
        raise DataError(f"{path} holds {broken} values that are not finite; mend or remove it")
    return values

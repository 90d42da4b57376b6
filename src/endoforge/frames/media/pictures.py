# SPDX-License-Identifier: Apache-2.0
"""Decoding one foreign picture strictly: cut, giant and mislabelled files are refused by name.

OpenCV hands back half a JPEG without a word; Pillow says that it is cut, so Pillow reads here.
"""

import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from endoforge.errors import DataError

#: What counts as a picture in a folder, by the end of its name.
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})

#: Largest picture, pixels (8192 × 8192), and largest file, bytes.
LARGEST_PIXELS = 67_108_864
LARGEST_FILE_BYTES = 400_000_000

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
_SIXTEEN_BIT_MODES = {"I;16", "I;16B", "I;16L", "I"}


def read_picture(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """Read a picture of any usual kind as 8-bit RGB, turned the way its EXIF note says.

    Palette, grey, CMYK and 16-bit pictures are converted; transparency is dropped.

    Raises:
        DataError: The file is missing, cut, not a picture, or larger than any endoscope's.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; check the path") from None
    if not 0 < size <= LARGEST_FILE_BYTES:
        raise DataError(
            f"{path} has {size} bytes; a picture has 1 to {LARGEST_FILE_BYTES}; restore the file"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about odd notes that we do not use
            with Image.open(path, formats=_FORMATS) as picture:
                _check_size(path, picture)
                picture.load()
                return _as_rgb(ImageOps.exif_transpose(picture))
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(
            f"{path} is not a picture that can be read; expected one of {', '.join(_FORMATS)}"
        ) from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} claims too many pixels ({error}); restore the file") from None
    except MemoryError:
        raise DataError(f"{path} needs more memory than there is; make it smaller") from None
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error …
        raise DataError(f"{path} is damaged ({error}); restore the file") from None


def _check_size(path: Path, picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > LARGEST_PIXELS:
        raise DataError(
            f"{path} claims {width} × {height} pixels; at most {LARGEST_PIXELS} are read"
        )


def _as_rgb(picture: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    if picture.mode in _SIXTEEN_BIT_MODES:
        values = np.asarray(picture).astype(np.float64)
        top = 255.0 if values.max(initial=0) <= 255 else 65535.0
        grey = np.round(values / top * 255).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    return np.array(picture.convert("RGB"), dtype=np.uint8)

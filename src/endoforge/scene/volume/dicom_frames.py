# SPDX-License-Identifier: Apache-2.0
"""Enhanced CT: one DICOM file that holds all slices, as frames. Runs in the limited child."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num
from pydicom.dataset import Dataset
from pydicom.pixels import iter_pixels

from endoforge.errors import DataError
from endoforge.scene.volume.dicom_pixels import hounsfield_of, sign_extended

#: Where a frame's facts are: in which group, under which names.
_GROUPS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "CTReconstructionSequence": ("ConvolutionKernel",),
    "CTAcquisitionDetailsSequence": ("GantryDetectorTilt",),
}
_OF_ALL = (
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "SamplesPerPixel",
)


def headers_of_frames(file: Path, content: Any) -> list[Dataset]:
    """What a file of its own would say of each frame.

    Args:
        file: Its path, for the error.
        content: What the file says, without its pixels.

    Raises:
        DataError: It does not say it of as many frames as it claims to hold.
    """
    try:
        claimed = int(content.get("NumberOfFrames") or 0)
        own = list(content.get("PerFrameFunctionalGroupsSequence") or ())
        shared = next(iter(content.get("SharedFunctionalGroupsSequence") or ()), Dataset())
        if claimed == len(own) > 0:
            return [_header(content, shared, one) for one in own]
    except Exception as error:  # pydicom raises many kinds for a damaged file
        raise DataError(
            f"{file} states its frames in a way that cannot be read ({type(error).__name__}); get "
            "it again"
        ) from None
    raise DataError(
        f"{file} claims {claimed} frames but says of {len(own)} where they lie; get it again"
    )


def hounsfield_of_frames(
    file: Path, headers: Sequence[Dataset], wanted: Sequence[int]
) -> Iterator[Num[np.ndarray, "rows columns"]]:
    """Hounsfield units of some frames, one at a time, in the order asked for.

    Args:
        file: An enhanced CT.
        headers: Of all its frames.
        wanted: Numbers of frames, from 0.

    Raises:
        DataError: Pixels are cut, packed in a way that cannot be read, or have no usable rescale.
    """
    try:
        for number, values in zip(
            wanted, iter_pixels(file, indices=list(wanted), raw=True), strict=True
        ):
            header = headers[number]
            yield hounsfield_of(file, header, sign_extended(np.asarray(values), header))
    except (DataError, MemoryError):
        raise
    except Exception as error:
        raise DataError(
            f"{file} has frames that cannot be read here ({type(error).__name__}); it is cut, or "
            "packed unusually: unpack it first, for example with: gdcmconv --raw IN OUT"
        ) from None


def _header(content: Any, shared: Dataset, own: Dataset) -> Dataset:
    header = Dataset()
    for name in _OF_ALL:
        if name in content:
            setattr(header, name, content[name].value)
    for group, names in _GROUPS.items():
        found = own.get(group) or shared.get(group) or ()
        for one in list(found)[:1]:
            for name in names:
                if name in one:
                    setattr(header, name, one[name].value)
    return header

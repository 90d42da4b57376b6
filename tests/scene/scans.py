# SPDX-License-Identifier: Apache-2.0
"""Small CTs with known contents, and writers of DICOM series as scanners lay them out."""

from dataclasses import dataclass, field
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
NAME = "Mustermann^Erika"
#: What identifies a person in the files that `write_series` makes.
SECRETS = (NAME, "Mustermann", "Erika", "PID-4711", "19641231", "St. Elsewhere", "Dr^House")
AFFINE = np.array([[0.8, 0, 0, -31.0], [0, 1.1, 0, 12.5], [0, 0, 2.5, -140.0], [0, 0, 0, 1.0]])
ORDERS = [(p, f) for p in permutations(range(3)) for f in product((False, True), repeat=3)]


def patient(shape=(14, 12, 10)):
    """Hounsfield units by right, front, head: a body with a bone to the right, front and head."""
    hu = np.full(shape, -1000, np.int16)
    hu[2:-2, 2:-2, 1:-1] = 40
    hu[3:-3, 3:-3, 2:-2] += np.arange(shape[2] - 4, dtype=np.int16) * 3
    hu[-4, -5, -3] = 900
    hu[3, 4, 2] = -90
    return hu


def stored(hu, affine, order):
    """The same voxels along axes in another order: array and its affine."""
    axes, flips = order
    array = hu.transpose(axes)
    result = np.eye(4)
    result[:3, 3] = affine[:3, 3]
    for k, (axis, flip) in enumerate(zip(axes, flips, strict=True)):
        result[:3, k] = affine[:3, axis] * (-1 if flip else 1)
        if flip:
            result[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
    return array[tuple(slice(None, None, -1 if f else 1) for f in flips)], result


def write_nifti(path, array, affine=AFFINE, slope=None, inter=0.0):
    image = nib.Nifti1Image(array, affine, dtype=array.dtype)
    if slope is not None:
        image.header.set_slope_inter(slope, inter)
    image.header["descrip"] = NAME.encode()
    image.header["db_name"] = b"PID-4711"
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


@dataclass
class Series:
    """How a series is written."""

    kind: str = "<i2"
    slope: float = 1.0
    intercept: float = 0.0
    number: int | None = 3
    uid: str = field(default_factory=generate_uid)
    kernel: object = "B30f"
    bits_stored: int = 16
    leave_out: tuple = ()
    tags: dict = field(default_factory=dict)
    prefix: str = "IM"


def write_series(folder: Path, values, affine=AFFINE, how=None):
    """Write values (columns, rows, slices; as stored) as one DICOM file per slice."""
    how = how or Series()
    folder.mkdir(parents=True, exist_ok=True)
    left_back = affine.copy()
    left_back[:2] *= -1.0
    sizes = np.linalg.norm(left_back[:3, :3], axis=0)
    for k in range(values.shape[2]):
        if k in how.leave_out:
            continue
        data = _header(how, left_back, sizes)
        data.ImagePositionPatient = [round(v, 6) for v in left_back[:3, 3] + k * left_back[:3, 2]]
        data.InstanceNumber = k + 1
        data.Rows, data.Columns = values.shape[1], values.shape[0]
        kind = np.dtype(how.kind)
        data.BitsAllocated, data.BitsStored = 8 * kind.itemsize, how.bits_stored
        data.HighBit = how.bits_stored - 1
        data.PixelRepresentation = int(kind.kind == "i")
        data.PixelData = values[:, :, k].T.astype(kind).tobytes()
        for name, value in how.tags.items():
            if isinstance(name, int):
                data.add_new(name, *value)
            else:
                setattr(data, name, value)
        _save(data, folder / f"{how.prefix}{(37 * k) % 1009:04d}", kind.byteorder == ">")
    return folder


def _header(how, left_back, sizes):
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = CT_STORAGE, generate_uid()
    data.PatientName, data.PatientID, data.PatientBirthDate = NAME, "PID-4711", "19641231"
    data.InstitutionName, data.ReferringPhysicianName = "St. Elsewhere", "Dr^House"
    data.add_new(0x00091001, "LO", NAME)
    data.Modality, data.SeriesInstanceUID = "CT", how.uid
    data.SeriesDescription = NAME
    if how.number is not None:
        data.SeriesNumber = how.number
    data.ConvolutionKernel, data.SliceThickness = how.kernel, 2.5
    cosines = left_back[:3, :2] / sizes[:2]
    data.ImageOrientationPatient = [round(v, 8) for v in cosines.T.ravel()]
    data.PixelSpacing = [float(sizes[1]), float(sizes[0])]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.RescaleSlope, data.RescaleIntercept = how.slope, how.intercept
    return data


def _save(data, path, big):
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian if big else ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    pydicom.dcmwrite(path, data, enforce_file_format=True)


def write_enhanced(
    path: Path,
    values,
    affine=AFFINE,
    order=None,
    intercepts=None,
    claimed=None,
    packed=False,
    uid=None,
):
    """Write Hounsfield units (columns, rows, slices) as the frames of one enhanced CT."""
    order = list(range(values.shape[2])) if order is None else order
    left_back = affine.copy()
    left_back[:2] *= -1.0
    sizes = np.linalg.norm(left_back[:3, :3], axis=0)
    data = _header(Series(uid=uid or generate_uid()), left_back, sizes)
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    shared = _enhanced_groups(data)
    for name in ("ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"):
        delattr(data, name)
    del data.ConvolutionKernel, data.SliceThickness
    data.SharedFunctionalGroupsSequence = [shared]
    frames, pixels = [], []
    for k in order:
        place, scale, frame = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [round(v, 6) for v in left_back[:3, 3] + k * left_back[:3, 2]]
        scale.RescaleSlope, scale.RescaleIntercept = 1.0, intercepts[k] if intercepts else 0.0
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [place], [scale]
        frames.append(frame)
        pixels.append(values[:, :, k].T.astype("<i2") - np.int16(scale.RescaleIntercept))
    data.PerFrameFunctionalGroupsSequence = frames
    data.NumberOfFrames = len(order)
    data.Rows, data.Columns = values.shape[1], values.shape[0]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.PixelData = np.stack(pixels).astype("<i2").tobytes()
    data["PixelData"].VR = "OW"
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(data, path, False)
    if packed or claimed is not None:
        data = pydicom.dcmread(path)
        if packed:
            data.compress(RLELossless, generate_instance_uid=False)
        if claimed is not None:
            data.NumberOfFrames = claimed
        data.save_as(path)
    return path


def _enhanced_groups(data):
    """The facts that all frames share, taken from a classic header."""
    groups, turn, sizes, scan = Dataset(), Dataset(), Dataset(), Dataset()
    turn.ImageOrientationPatient = data.ImageOrientationPatient
    sizes.PixelSpacing, sizes.SliceThickness = data.PixelSpacing, data.SliceThickness
    scan.ConvolutionKernel = data.ConvolutionKernel
    groups.PlaneOrientationSequence, groups.PixelMeasuresSequence = [turn], [sizes]
    groups.CTReconstructionSequence = [scan]
    return groups

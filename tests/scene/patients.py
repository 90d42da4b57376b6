# SPDX-License-Identifier: Apache-2.0
"""Simple organs as voxels, DICOM slices and meshes, for tests of what users bring."""

import json
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
from skimage.measure import marching_cubes

from endoforge.scene.anatomy.lumen import signed_volume

#: A coarse patient: 4 mm voxels, +x right, +y front, +z head.
STEP = 4.0
SHAPE = (80, 60, 60)


def ellipsoid_mask(middle, radii):
    x, y, z = np.meshgrid(*(np.arange(n) * STEP for n in SHAPE), indexing="ij")
    return sum(((a - m) / r) ** 2 for a, m, r in zip((x, y, z), middle, radii, strict=True)) < 1


def organs():
    """A liver with a gallbladder under it, and a spleen, not touching."""
    return {
        "liver": ellipsoid_mask((190, 130, 150), (105, 70, 70)),
        "gallbladder": ellipsoid_mask((205, 170, 62), (14, 26, 14)),
        "spleen": ellipsoid_mask((45, 70, 150), (24, 32, 40)),
    }


def write_labels(path: Path, numbers, affine=None, masks=None):
    """A label volume; `numbers` says each organ's."""
    volume = np.zeros(SHAPE, np.uint8)
    for name, mask in (masks or organs()).items():
        volume[mask] = numbers[name]
    nib.save(
        nib.Nifti1Image(volume, np.diag([STEP] * 3 + [1.0]) if affine is None else affine), path
    )
    return path


def write_dicom(folder: Path, mask, tilt=None, leave_out=(), shear_mm=0.0):
    """A folder of slices as in 3D-IRCADb: counted to the patient's left and back."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    folder.mkdir(parents=True)
    for k in range(mask.shape[2]):
        if k in leave_out:
            continue
        data = Dataset()
        data.Rows, data.Columns = mask.shape[1], mask.shape[0]
        data.PixelSpacing = [STEP, STEP]
        data.ImagePositionPatient = [
            -STEP * (mask.shape[0] - 1),
            -STEP * (mask.shape[1] - 1) + k * shear_mm,
            STEP * k,
        ]
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        if tilt is not None:
            data.GantryDetectorTilt = tilt
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 8
        data.HighBit, data.PixelRepresentation = 7, 0
        data.PixelData = (255 * mask[::-1, ::-1, k].T.astype(np.uint8)).tobytes()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        data.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        pydicom.dcmwrite(folder / f"image_{k}", data, enforce_file_format=True)
    return folder


def mesh_of(mask):
    """Vertices (mm, patient's axes) and outward triangles around a mask."""
    soft = np.pad(mask, 1).astype(float)
    vertices, faces, _, _ = marching_cubes(soft, 0.5)
    if signed_volume(vertices, faces) < 0:
        faces = np.ascontiguousarray(faces[:, ::-1])
    return (vertices.astype(np.float64) - 1) * STEP, faces.astype(np.int64)


def glb_bytes(vertices, faces, node=None):
    """A GLB with one mesh under one node."""
    index = np.asarray(faces, "<u4").tobytes()
    points = np.asarray(vertices, "<f4").tobytes()
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, **(node or {})}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 1}, "indices": 0}]}],
        "buffers": [{"byteLength": len(index) + len(points)}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(index)},
            {"buffer": 0, "byteOffset": len(index), "byteLength": len(points)},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5125, "count": 3 * len(faces), "type": "SCALAR"},
            {"bufferView": 1, "componentType": 5126, "count": len(vertices), "type": "VEC3"},
        ],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary = index + points
    body = struct.pack("<I4s", len(text), b"JSON") + text
    body += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body

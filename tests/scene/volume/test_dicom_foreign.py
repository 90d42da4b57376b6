# SPDX-License-Identifier: Apache-2.0
"""DICOM that is unusual or hostile: packings, enhanced CT, bombs, preambles, what lies beside."""

import time
import tracemalloc
import zlib
from io import BytesIO

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from endoforge.errors import DataError
from endoforge.scene.volume.dicom_series import parse_dicom_ct
from endoforge.scene.volume.read import read_ct
from scene.scans import AFFINE, SECRETS, Series, patient, write_enhanced, write_series

MANY = 10**9
UNSIGNED = Series(kind="<u2", intercept=-1024.0)


def parsed(folder, series=None, fill_gaps=0, most=MANY, large="coarser"):
    return parse_dicom_ct(folder, series, fill_gaps, most, large)


def tried(folder):
    """Hounsfield units, or what is said instead."""
    try:
        return parsed(folder)["hu"], ""
    except DataError as error:
        return None, str(error)


def raw():
    return patient().astype(np.int32) + 1024


def changed(folder, change):
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        change(data)
        data.save_as(file)
    return folder


# ---- ways of packing ----------------------------------------------------------------------------


def pack_jpeg2000(data):
    picture = Image.fromarray(data.pixel_array.astype(np.uint16))
    content = BytesIO()
    picture.save(content, "JPEG2000", irreversible=False, no_jp2=True)
    data.PixelData = encapsulate([content.getvalue()])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless


def test_jpeg_2000_without_loss_is_unpacked(tmp_path):
    changed(write_series(tmp_path, raw(), how=UNSIGNED), pack_jpeg2000)
    np.testing.assert_array_equal(parsed(tmp_path)["hu"], patient())


def test_a_deflated_series_is_unpacked(tmp_path):
    def deflate(data):
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    changed(write_series(tmp_path, patient()), deflate)
    np.testing.assert_array_equal(parsed(tmp_path)["hu"], patient())


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless], ids=lambda s: s.name[:8])
def test_a_packing_that_needs_another_decoder_is_named_with_a_way_out(tmp_path, syntax):
    def claim(data):
        data.PixelData = encapsulate([b"\xff\xd8" + bytes(90)])
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
        data.file_meta.TransferSyntaxUID = syntax

    changed(write_series(tmp_path, patient()), claim)
    with pytest.raises(DataError, match=r"packed as JPEG.*unpack the series first.*gdcmconv"):
        parsed(tmp_path)


@pytest.mark.parametrize("packing", [RLELossless, JPEG2000Lossless], ids=["rle", "jpeg2000"])
def test_packed_pixels_that_are_cut_are_refused(tmp_path, packing):
    def cut(data):
        if packing == RLELossless:
            data.compress(RLELossless)
        else:
            pack_jpeg2000(data)
        data.PixelData = data.PixelData[: len(data.PixelData) // 2]

    changed(write_series(tmp_path, raw(), how=UNSIGNED), cut)
    with pytest.raises(DataError, match="IM0000"):
        parsed(tmp_path)


# ---- enhanced CT --------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "rle"])
@pytest.mark.parametrize("order", [list(range(10)), [3, 9, 0, 1, 8, 2, 7, 6, 5, 4]], ids=str)
def test_frames_of_an_enhanced_ct_are_slices(tmp_path, order, packed):
    write_enhanced(tmp_path / "all.dcm", patient(), order=order, packed=packed)
    content = parsed(tmp_path)
    np.testing.assert_array_equal(content["hu"], patient())
    np.testing.assert_allclose(content["affine"], AFFINE, atol=1e-4)
    assert content["facts"]["kernel"] == "B30f"
    assert content["facts"]["slice_thickness_mm"] == "2.5"


def test_an_enhanced_ct_may_lie_in_several_files(tmp_path):
    write_enhanced(tmp_path / "a", patient(), order=[0, 1, 2, 3], uid="1.2.3")
    write_enhanced(tmp_path / "b", patient(), order=[9, 8, 7, 6, 5, 4], uid="1.2.3")
    np.testing.assert_array_equal(parsed(tmp_path)["hu"], patient())


def test_frames_have_rescales_of_their_own(tmp_path):
    write_enhanced(tmp_path / "all", patient(), intercepts=[-10.0 * k for k in range(10)])
    np.testing.assert_array_equal(parsed(tmp_path)["hu"], patient())


@pytest.mark.parametrize("count", [0, 9, 11, 2_000_000_000])
def test_frames_that_are_not_there_are_refused(tmp_path, count):
    write_enhanced(tmp_path / "all.dcm", patient(), claimed=count)
    with pytest.raises(DataError, match=rf"all\.dcm claims {count} frames but says of 10"):
        parsed(tmp_path)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_cut_enhanced_ct_is_refused(tmp_path, share):
    file = write_enhanced(tmp_path / "all.dcm", patient())
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"all\.dcm"):
        parsed(tmp_path)


def test_missing_and_doubled_frames_are_refused(tmp_path):
    write_enhanced(tmp_path / "all.dcm", patient(), order=[0, 1, 2, 3, 6, 7, 8, 9])
    with pytest.raises(DataError, match="lacks slices"):
        parsed(tmp_path)
    write_enhanced(tmp_path / "all.dcm", patient(), order=[*range(10), 4])
    with pytest.raises(DataError, match="same place"):
        parsed(tmp_path)


# ---- hostile files ------------------------------------------------------------------------------


def nested(depth):
    """Sequences of undefined length, one in the other."""
    start = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return depth * start + depth * end


@pytest.mark.parametrize("depth", [10, 300, 5000])
def test_nested_sequences_are_read_or_refused_at_once(tmp_path, depth):
    write_series(tmp_path, patient())
    file = sorted(tmp_path.iterdir())[4]
    content = file.read_bytes()
    at = content.rindex(b"\xe0\x7f\x10\x00OW")
    file.write_bytes(content[:at] + nested(depth) + content[at:])
    begin = time.perf_counter()
    hu, said = tried(tmp_path)
    assert time.perf_counter() - begin < 5.0
    if depth > 10 and hu is None:
        assert file.name in said
    else:
        np.testing.assert_array_equal(hu, patient())


def test_a_deflate_bomb_is_refused_before_it_is_unpacked(tmp_path):
    write_series(tmp_path, patient())
    file = sorted(tmp_path.iterdir())[4]
    data = pydicom.dcmread(file)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(file)
    content = file.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(256)) + packer.flush()
    file.write_bytes(content[:start] + bomb)
    assert file.stat().st_size < 400_000
    tracemalloc.start()
    with pytest.raises(DataError, match=r"unpacks to more than 64000000 bytes"):
        parsed(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize("magic", [b"MZ\x90\0", b"\x7fELF\x02", b"#!/bin/sh\n"])
def test_a_program_in_the_preamble_is_neither_read_nor_handed_on(tmp_path, magic):
    write_series(tmp_path, patient())
    for file in tmp_path.iterdir():
        content = bytearray(file.read_bytes())
        content[:128] = magic + b"\xcc" * (128 - len(magic))
        file.write_bytes(bytes(content))
    content = parsed(tmp_path)
    np.testing.assert_array_equal(content["hu"], patient())
    assert "\xcc" not in str({k: v for k, v in content.items() if k != "hu"})


@pytest.mark.parametrize("seed", range(6))
def test_changed_bytes_give_a_ct_or_one_sentence(tmp_path, seed):
    write_series(tmp_path, patient())
    rng = np.random.default_rng(seed)
    files = sorted(tmp_path.iterdir())
    whole = [file.read_bytes() for file in files]
    for _ in range(25):
        nth = int(rng.integers(len(files)))
        content = bytearray(whole[nth])
        for at in rng.integers(128, len(content) - 400, 3):
            content[at] = rng.integers(256)
        files[nth].write_bytes(bytes(content))
        hu, said = tried(tmp_path)
        assert hu is not None or said
        assert not any(secret in said for secret in SECRETS)
        files[nth].write_bytes(whole[nth])


# ---- what lies beside, and roundings ------------------------------------------------------------


def directory(path):
    """A DICOMDIR, as a disc has it."""
    data = FileDataset(str(path), Dataset(), preamble=bytes(128))
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    record = Dataset()
    record.DirectoryRecordType, record.PatientName = "PATIENT", SECRETS[0]
    data.DirectoryRecordSequence = Sequence([record])
    data.save_as(path, enforce_file_format=True)


def test_what_a_disc_holds_beside_the_slices_is_left_out(tmp_path):
    write_series(tmp_path / "DICOM" / "S1", patient())
    directory(tmp_path / "DICOMDIR")
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1" + bytes(200))
    (tmp_path / "README.TXT").write_text("viewer")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(200))
    (tmp_path / "autorun.inf").write_text("[autorun]")
    content = parsed(tmp_path)
    np.testing.assert_array_equal(content["hu"], patient())
    assert not any(secret in str(content["notes"]) for secret in SECRETS)


def test_roundings_of_places_and_sizes_do_not_matter(tmp_path):
    write_series(tmp_path, patient())
    rng = np.random.default_rng(0)

    def shift(data):
        x, y, z = data.ImagePositionPatient
        data.ImagePositionPatient = [float(v) + rng.uniform(-1e-6, 1e-6) for v in (x, y, z)]
        data.PixelSpacing = [
            round(float(v) + rng.uniform(-1e-7, 1e-7), 10) for v in data.PixelSpacing
        ]
        cosines = [
            round(float(v) + rng.uniform(-1e-7, 1e-7), 10) for v in data.ImageOrientationPatient
        ]
        data.ImageOrientationPatient = cosines

    with pydicom.config.disable_value_validation():
        changed(tmp_path, shift)
        content = parsed(tmp_path)
    np.testing.assert_array_equal(content["hu"], patient())
    np.testing.assert_allclose(content["affine"], AFFINE, atol=1e-4)


def test_slices_of_several_sizes_are_refused(tmp_path):
    write_series(tmp_path, patient(), how=Series(uid="1.2.3", leave_out=tuple(range(5, 10))))
    wide = AFFINE @ np.diag([1.5, 1.0, 1.0, 1.0])
    write_series(
        tmp_path, patient(), wide, Series(uid="1.2.3", leave_out=tuple(range(5)), prefix="S")
    )
    with pytest.raises(
        DataError, match=r"2 sizes, such as 14 x 12 of 0\.8 x 1\.1 mm and 14 x 12 of"
    ):
        parsed(tmp_path)


def test_a_single_slice_is_no_volume(tmp_path):
    write_series(tmp_path, patient(), how=Series(leave_out=tuple(range(1, 10))))
    with pytest.raises(DataError, match=r"has 1 slice; expected the slices of a volume"):
        parsed(tmp_path)


def test_more_than_a_gantry_can_tilt_is_refused(tmp_path):
    affine = AFFINE.copy()
    affine[1, 2] = 2.5  # 45 degrees
    write_series(tmp_path, patient(), affine)
    with pytest.raises(DataError, match=r"askew by 45\.0 degrees; a gantry tilts by at most 35"):
        parsed(tmp_path)


def test_an_implicit_series_with_a_name_comes_through_the_child_without_it(tmp_path):
    def implicit(data):
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian

    changed(write_series(tmp_path / "scan", patient()), implicit)
    volume = read_ct(tmp_path / "scan")
    np.testing.assert_array_equal(volume.hu, patient())
    assert not any(secret in str(volume.provenance) for secret in SECRETS)

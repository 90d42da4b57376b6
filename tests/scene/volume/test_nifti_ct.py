# SPDX-License-Identifier: Apache-2.0
"""A CT as NIfTI: axes, scales, sizes, and files that lie."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.scene.volume.nifti_ct import parse_nifti_ct
from endoforge.scene.volume.read import read_ct
from endoforge.scene.volume.read_settings import ReadSettings
from scene.scans import AFFINE, ORDERS, SECRETS, patient, stored, write_nifti

MANY = 10**9


def parsed(path, most=MANY, large="coarser"):
    return parse_nifti_ct(path, most, large)


def edited(path, at, content):
    data = bytearray(path.read_bytes())
    data[at : at + len(content)] = content
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_any_order_of_axes_comes_back_as_right_front_head(tmp_path, order):
    content = parsed(write_nifti(tmp_path / "ct.nii", *stored(patient(), AFFINE, order)))
    np.testing.assert_array_equal(content["hu"], patient())
    np.testing.assert_allclose(content["affine"], AFFINE, atol=1e-4)


def test_oblique_axes_stay_square_and_in_place(tmp_path):
    turn = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1.0]])
    affine = AFFINE.copy()
    affine[:3, :3] = turn @ AFFINE[:3, :3]
    content = parsed(write_nifti(tmp_path / "ct.nii", *stored(patient(), affine, ORDERS[13])))
    np.testing.assert_array_equal(content["hu"], patient())
    np.testing.assert_allclose(content["affine"], affine, atol=1e-4)


@pytest.mark.parametrize("kind", ["<i2", ">i2", "<i4", "<f4", "<f8", ">f4", "<i8"])
@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_whole_hounsfield_units_of_any_type_are_read(tmp_path, kind, name):
    content = parsed(write_nifti(tmp_path / name, patient().astype(kind)))
    np.testing.assert_array_equal(content["hu"], patient())


def test_scaled_values_are_scaled(tmp_path):
    raw = ((patient() + 1024) * 2).astype(np.int16)
    content = parsed(write_nifti(tmp_path / "ct.nii", raw, slope=0.5, inter=-1024.0))
    np.testing.assert_array_equal(content["hu"], patient())


def test_fractions_of_a_resampled_ct_are_rounded(tmp_path):
    content = parsed(write_nifti(tmp_path / "ct.nii", (patient() + 0.3).astype(np.float32)))
    np.testing.assert_array_equal(content["hu"], patient())


def test_slices_stacked_askew_are_shifted_square(tmp_path):
    affine = AFFINE.copy()
    affine[1, 2] = 0.6  # 13.5 degrees
    content = parsed(write_nifti(tmp_path / "ct.nii", patient(), affine))
    columns = content["affine"][:3, :3]
    assert np.abs(columns.T @ columns - np.diag(np.diag(columns.T @ columns))).max() < 1e-4
    assert "13.5 degrees (tilted gantry)" in content["notes"][0]


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.5, 0.999])
@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_a_cut_file_is_refused(tmp_path, share, name):
    noise = np.random.default_rng(0).integers(-900, 900, (20, 20, 20)).astype(np.int16)
    path = write_nifti(tmp_path / name, noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=name):
        parsed(path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_header_that_promises_more_than_the_file_holds_is_refused(tmp_path, packed):
    path = edited(write_nifti(tmp_path / "ct.nii", patient()), 42, b"\x00\x02\x00\x02\xcc\x01")
    if packed:
        path = tmp_path / "ct.nii.gz"
        path.write_bytes(gzip.compress((tmp_path / "ct.nii").read_bytes()))
    with pytest.raises(DataError, match=r"claims 241172480 bytes of content"):
        parsed(path)


def test_a_packed_file_that_promises_a_little_more_is_refused(tmp_path):
    plain = edited(write_nifti(tmp_path / "ct.nii", patient()), 46, b"\x0c\x00")
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(DataError, match=r"ends before its \(14, 12, 12\) voxels do"):
        parsed(path)


def test_several_volumes_are_refused(tmp_path):
    with pytest.raises(DataError, match="4 axes"):
        parsed(write_nifti(tmp_path / "ct.nii", np.stack([patient()] * 2, axis=-1)))


@pytest.mark.parametrize("spacing", [0.0, np.nan, -1.0])
def test_senseless_spacing_is_refused(tmp_path, spacing):
    path = write_nifti(tmp_path / "ct.nii", patient())
    edited(path, 80, np.float32(spacing).tobytes())
    with pytest.raises(DataError, match="voxels of"):
        parsed(path)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_an_affine_that_is_no_number_is_refused(tmp_path, number):
    path = edited(write_nifti(tmp_path / "ct.nii", patient()), 280, np.float32(number).tobytes())
    with pytest.raises(DataError, match="affine with values that are no numbers"):
        parsed(path)


def test_two_places_that_disagree_are_refused(tmp_path):
    path = write_nifti(tmp_path / "ct.nii", patient())
    edited(path, 252, np.array([1, 1], "<i2").tobytes())  # both are in force
    assert parsed(path)["hu"].shape == (14, 12, 10)
    edited(path, 268, np.float32(AFFINE[0, 3] + 40).tobytes())  # the qform's
    with pytest.raises(DataError, match=r"sform and qform differ by 40\.0"):
        parsed(path)


def test_a_single_slice_is_no_volume(tmp_path):
    with pytest.raises(DataError, match=r"claims \(14, 12, 1\) voxels; expected at least 2"):
        parsed(write_nifti(tmp_path / "ct.nii", patient()[:, :, :1]))


def test_unsigned_values_with_a_scale_are_scaled(tmp_path):
    raw = (patient().astype(np.int32) + 1024).astype(np.uint16)
    content = parsed(write_nifti(tmp_path / "ct.nii", raw, slope=1.0, inter=-1024.0))
    np.testing.assert_array_equal(content["hu"], patient())


def test_what_lies_outside_the_scanner_s_circle_is_air(tmp_path):
    values = patient()
    values[:2] = -3024
    content = parsed(write_nifti(tmp_path / "ct.nii", values))
    assert (content["hu"][:2] == -1024).all()
    assert content["notes"] == ["240 voxels below -1024 HU set to -1024"]


def test_values_that_are_no_numbers_are_refused(tmp_path):
    values = patient().astype(np.float32)
    values[3, 3, 3] = np.nan
    with pytest.raises(DataError, match="no numbers"):
        parsed(write_nifti(tmp_path / "ct.nii", values))


@pytest.mark.parametrize("kind", [np.complex64, "rgb"])
def test_colours_and_complex_numbers_are_refused(tmp_path, kind):
    if kind == "rgb":
        kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(DataError, match="expected whole numbers or floats"):
        parsed(write_nifti(tmp_path / "ct.nii", np.zeros((4, 4, 4), kind)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda hu: hu + 1024, "none below 0"),
        (lambda hu: hu / 1000.0, "normalised"),
        (lambda hu: hu * 40, "no Hounsfield units"),
        (lambda hu: hu - 2000, "no Hounsfield units"),
    ],
)
def test_values_that_cannot_be_hounsfield_units_are_refused(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        parsed(write_nifti(tmp_path / "ct.nii", change(patient().astype(np.float32))))


def test_values_above_16_bits_are_held(tmp_path):
    values = patient().astype(np.int32)
    values[5, 5, 5] = 70_000
    content = parsed(write_nifti(tmp_path / "ct.nii", values))
    assert content["hu"][5, 5, 5] == 32767
    assert content["notes"] == ["voxels above 32767 HU set to it"]


def test_a_ct_too_large_is_read_coarser_or_refused_with_its_size(tmp_path):
    hu = np.random.default_rng(3).integers(-500, 500, (20, 20, 21)).astype(np.int16)
    path = write_nifti(tmp_path / "ct.nii.gz", hu, np.diag([1.0, 1.0, 1.0, 1.0]))
    content = parsed(path, most=1000)
    means = hu[:, :, :20].reshape(10, 2, 10, 2, 10, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(content["hu"], means, atol=0.51)
    np.testing.assert_allclose(content["affine"][:3, 3], 0.5, atol=1e-6)
    with pytest.raises(DataError, match=r"20 x 20 x 21 = 8400 voxels.*at most 1000"):
        parsed(path, 1000, "refuse")


# ---- through the limited child ------------------------------------------------------------------


def test_a_ct_comes_through_the_child_without_a_name(tmp_path):
    path = write_nifti(tmp_path / "ct.nii.gz", patient())
    volume = read_ct(path)
    np.testing.assert_array_equal(volume.hu, patient())
    np.testing.assert_allclose(volume.spacing_mm, [0.8, 1.1, 2.5], atol=1e-5)
    assert volume.organs is None
    assert volume.provenance["source"] == "NIfTI volume"
    assert not any(secret in str(volume) for secret in SECRETS)


def test_an_error_in_the_child_names_the_file(tmp_path):
    path = write_nifti(tmp_path / "ct.nii", patient())
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"ct\.nii"):
        read_ct(path, ReadSettings())


@pytest.mark.parametrize("name", ["nothing.nii", "ct.mha"])
def test_what_is_no_ct_is_refused_before_it_is_parsed(tmp_path, name):
    if name == "ct.mha":
        (tmp_path / name).write_bytes(b"ObjectType = Image")
    with pytest.raises(DataError, match=name):
        read_ct(tmp_path / name)


# ---- real patients ------------------------------------------------------------------------------


@pytest.mark.real
def test_a_real_chest_ct_lies_the_right_way_round(shared_data: Path):
    volume = read_ct(shared_data / "ct_lidc_idri_0314" / "ct_256x256x275.nii.gz")
    assert volume.hu.shape == (256, 256, 275)
    np.testing.assert_allclose(volume.spacing_mm, [1.5625, 1.5625, 1.0], atol=1e-3)
    bone = np.argwhere(volume.hu[:, :, 100:200] > 350).mean(axis=0)
    body = np.argwhere(volume.hu[:, :, 100:200] > -200).mean(axis=0)
    assert bone[1] < body[1]  # the spine lies behind


@pytest.mark.real
def test_a_real_abdomen_of_whole_numbers_in_32_bits_is_read(shared_data: Path):
    volume = read_ct(shared_data / "ct_totalsegmentator_example" / "example_ct.nii.gz")
    assert volume.hu.shape == (122, 101, 112)
    assert "124 voxels below -1024 HU" in volume.provenance["changes"]

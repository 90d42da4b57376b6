# SPDX-License-Identifier: Apache-2.0
"""What a NIfTI file may not do. All but one test stay in this process, which is faster."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from endoforge.errors import DataError, EndoforgeError
from endoforge.scene.anatomy.mask import read_mask
from endoforge.scene.anatomy.nifti import parse_nifti
from scene.tubes import write_nifti

AFFINE = np.array([[-0.8, 0, 0, 12], [0, -0.8, 0, 7], [0, 0, 1.25, -300], [0, 0, 0, 1.0]])


def cube(kind=np.uint8):
    mask = np.zeros((20, 18, 16), kind)
    mask[4:12, 5:13, 3:11] = 1
    return mask


def edited(path, at, content):
    """Overwrite bytes of a plain NIfTI header."""
    data = bytearray(path.read_bytes())
    data[at : at + len(content)] = content
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_mask_comes_back_with_its_place(tmp_path, name):
    mask, affine = read_mask(write_nifti(tmp_path / name, cube(), AFFINE))
    np.testing.assert_array_equal(mask, cube() > 0)
    np.testing.assert_allclose(affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_labels(tmp_path, kind):
    content = parse_nifti(write_nifti(tmp_path / "a.nii", 3 * cube(kind)))
    np.testing.assert_array_equal(content["mask"], cube())


def test_a_last_axis_of_one_is_no_axis(tmp_path):
    content = parse_nifti(write_nifti(tmp_path / "a.nii", cube()[..., None]))
    assert content["mask"].shape == (20, 18, 16)


def test_metres_are_turned_into_millimetres(tmp_path):
    image = nib.Nifti1Image(cube(), np.diag([0.001, 0.001, 0.001, 1]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(parse_nifti(tmp_path / "a.nii")["affine"], np.eye(4), atol=1e-6)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.999])
def test_half_a_file_is_refused(tmp_path, share):
    path = write_nifti(tmp_path / "a.nii", cube())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"a\.nii"):
        parse_nifti(path)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.98])
def test_half_a_packed_file_is_refused(tmp_path, share):
    noise = np.random.default_rng(1).integers(0, 2, (30, 30, 30)).astype(np.uint8)
    path = write_nifti(tmp_path / "a.nii.gz", noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"a\.nii\.gz"):
        read_mask(path)


def test_dimensions_that_lie_are_refused_before_memory_is_asked_for(tmp_path):
    path = write_nifti(tmp_path / "a.nii", cube())
    edited(path, 42, np.array([30000, 30000, 30000], "<i2").tobytes())
    with pytest.raises(DataError, match="30000"):
        parse_nifti(path)
    edited(path, 42, np.array([200, 200, 200], "<i2").tobytes())
    with pytest.raises(DataError, match="claims 8000000 bytes"):
        parse_nifti(path)


def test_a_packed_header_that_lies_is_refused(tmp_path):
    path = write_nifti(tmp_path / "a.nii", cube())
    edited(path, 42, np.array([1000, 1000, 1000], "<i2").tobytes())
    packed = tmp_path / "a.nii.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match="claims 1000000000 bytes"):
        read_mask(packed)


@pytest.mark.parametrize("spacing", [0.0, np.nan, np.inf, -np.inf])
def test_zero_or_senseless_spacing_is_refused(tmp_path, spacing):
    path = write_nifti(tmp_path / "a.nii", cube())
    edited(path, 80, np.float32(spacing).tobytes())
    with pytest.raises(DataError, match="voxels of"):
        parse_nifti(path)


def test_an_affine_that_is_no_number_is_refused(tmp_path):
    path = write_nifti(tmp_path / "a.nii", cube())
    edited(path, 280, np.float32(np.nan).tobytes())
    with pytest.raises(DataError, match="no numbers"):
        parse_nifti(path)


def test_an_affine_that_flattens_space_is_refused(tmp_path):
    path = write_nifti(tmp_path / "a.nii", cube())
    edited(path, 280, np.array([1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0], "<f4").tobytes())
    with pytest.raises(DataError, match=r"0\.0 mm|coincide|voxels of"):
        parse_nifti(path)


@pytest.mark.parametrize("size", [0.001, 60.0])
def test_voxels_of_an_impossible_size_are_refused(tmp_path, size):
    path = write_nifti(tmp_path / "a.nii", cube(), np.diag([size, size, size, 1]))
    with pytest.raises(DataError, match="is the unit right"):
        parse_nifti(path)


def test_two_statements_about_the_place_that_disagree_are_refused(tmp_path):
    image = nib.Nifti1Image(cube(), AFFINE)
    image.set_sform(AFFINE, 1)
    other = AFFINE.copy()
    other[0, 3] += 40
    image.set_qform(other, 1)
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(DataError, match=r"differ by 40\.0"):
        parse_nifti(tmp_path / "a.nii")


def test_several_volumes_are_refused(tmp_path):
    path = write_nifti(tmp_path / "a.nii", np.stack([cube(), cube()], axis=-1))
    with pytest.raises(DataError, match="4 axes"):
        parse_nifti(path)


@pytest.mark.parametrize("value", [0.37, np.nan])
def test_fractions_are_no_labels(tmp_path, value):
    mask = cube(np.float32)
    mask[6, 6, 6] = value
    with pytest.raises(DataError, match=r"1 values that are no labels, such as (0\.37|nan)"):
        parse_nifti(write_nifti(tmp_path / "a.nii", mask))


def test_colours_are_no_labels(tmp_path):
    rgb = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(DataError, match="whole numbers"):
        parse_nifti(write_nifti(tmp_path / "a.nii", rgb))


@pytest.mark.parametrize("name", ["colon.png", "colon.nii", "colon.nii.gz"])
def test_other_files_are_refused_by_name_or_first_bytes(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x89PNG\r\n" + bytes(400))
    with pytest.raises(DataError, match="colon"):
        read_mask(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.nii"):
        read_mask(tmp_path / "none.nii")


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 351), byte=st.integers(0, 255))
def test_any_header_byte_may_change_and_only_our_errors_come(tmp_path, at, byte):
    path = write_nifti(tmp_path / "a.nii", cube())
    edited(path, at, bytes([byte]))
    try:
        content = parse_nifti(path)
    except EndoforgeError:
        return
    assert np.isfinite(content["affine"]).all() and content["mask"].ndim == 3

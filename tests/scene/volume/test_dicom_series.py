# SPDX-License-Identifier: Apache-2.0
"""DICOM series as scanners and archives leave them, good and bad. Most tests stay in process."""

import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless
from scipy import ndimage

from endoforge.errors import DataError, SettingsError
from endoforge.scene.volume.dicom_series import parse_dicom_ct
from endoforge.scene.volume.read import read_ct
from endoforge.scene.volume.read_settings import ReadSettings
from endoforge.settings import validate
from scene.scans import AFFINE, ORDERS, SECRETS, Series, patient, stored, write_series

MANY = 10**9


def parsed(folder, series=None, fill_gaps=0, most=MANY, large="coarser"):
    return parse_dicom_ct(folder, series, fill_gaps, most, large)


def some_file(folder, nth=4):
    return sorted(folder.iterdir())[nth]


@pytest.mark.parametrize("order", ORDERS[::3], ids=str)
def test_any_order_of_axes_comes_back_as_right_front_head(tmp_path, order):
    array, affine = stored(patient(), AFFINE, order)
    content = parsed(write_series(tmp_path, array, affine))
    np.testing.assert_array_equal(content["hu"], patient())
    np.testing.assert_allclose(content["affine"], AFFINE, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "slope", "intercept"),
    [("<i2", 1.0, 0.0), ("<u2", 1.0, -1024.0), ("<i2", 2.0, -1000.0), ("<u2", -1.0, 900.0),
     (">u2", 1.0, -1024.0), ("<i4", 0.5, -100.5)],
)  # fmt: skip
def test_hounsfield_units_are_stored_values_times_slope_plus_intercept(
    tmp_path, kind, slope, intercept
):
    values = np.rint((patient() - intercept) / slope)
    how = Series(
        kind=kind, slope=slope, intercept=intercept, bits_stored=8 * np.dtype(kind).itemsize
    )
    content = parsed(write_series(tmp_path, values, how=how))
    assert np.abs(content["hu"] - (values * slope + intercept)).max() <= 0.5


def test_bits_beyond_those_stored_do_not_count(tmp_path):
    values = (patient() + 1024).astype(np.uint16) | 0xF000  # an overlay in the upper bits
    how = Series(kind="<u2", intercept=-1024.0, bits_stored=12)
    np.testing.assert_array_equal(parsed(write_series(tmp_path, values, how=how))["hu"], patient())


def test_a_sign_in_the_highest_stored_bit_counts(tmp_path):
    values = patient().astype(np.int32) & 0x0FFF  # 12-bit two's complement, upper bits empty
    how = Series(kind="<i2", bits_stored=12)
    np.testing.assert_array_equal(parsed(write_series(tmp_path, values, how=how))["hu"], patient())


@pytest.mark.parametrize(
    "tags",
    [
        {0x00280120: ("SS", -2000)},
        {0x00280120: ("US", 63536)},
        {0x00280120: ("SS", -2100), 0x00280121: ("SS", -1900)},
    ],
)
def test_padding_is_air_whatever_its_sign(tmp_path, tags):
    values = patient().astype(np.int32)
    values[:2] = -2000
    content = parsed(write_series(tmp_path, values, how=Series(tags=tags)))
    assert (content["hu"][:2] == -1024).all()
    assert content["notes"] == []


def test_values_below_air_are_set_to_it_with_a_note(tmp_path):
    values = patient().astype(np.int32)
    values[:2] = -3024
    content = parsed(write_series(tmp_path, values))
    assert content["hu"].min() == -1024
    assert f"{2 * 12 * 10} voxels below -1024 HU set to -1024" in content["notes"]


def test_monochrome1_says_how_to_show_and_not_what_is_stored(tmp_path):
    how = Series(tags={"PhotometricInterpretation": "MONOCHROME1"})
    np.testing.assert_array_equal(
        parsed(write_series(tmp_path, patient(), how=how))["hu"], patient()
    )


def test_packed_pixels_are_unpacked(tmp_path):
    for file in write_series(tmp_path, patient()).iterdir():
        data = pydicom.dcmread(file)
        data.compress(RLELossless)
        data.save_as(file)
    np.testing.assert_array_equal(parsed(tmp_path)["hu"], patient())


def test_files_lie_anywhere_under_any_name_among_other_files(tmp_path):
    write_series(tmp_path / "a" / "b", patient(), how=Series(uid="1.2.3", leave_out=(0, 1, 2)))
    write_series(tmp_path / "c", patient(), how=Series(uid="1.2.3", leave_out=tuple(range(3, 10))))
    (tmp_path / "readme.txt").write_text("not a slice")
    report = pydicom.dcmread(some_file(tmp_path / "c", 0))
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.67"
    del report.PixelData
    report.save_as(tmp_path / "dose")
    scout = pydicom.dcmread(some_file(tmp_path / "c", 0))
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.save_as(tmp_path / "scout")
    content = parsed(tmp_path)
    np.testing.assert_array_equal(content["hu"], patient())
    assert sorted(content["notes"]) == [
        "1 files left out: localizer",
        "1 files left out: no CT picture (modality CT)",
        "1 files left out: not DICOM",
    ]


def test_a_slice_without_preamble_is_read(tmp_path):
    for file in write_series(tmp_path, patient()).iterdir():
        content = file.read_bytes()
        length = 12 + int.from_bytes(content[140:144], "little")
        data = pydicom.dcmread(file)
        assert content[128 + 4 + length : 128 + 4 + length + 2] == b"\x08\x00"
        data.preamble = None
        del data.file_meta
        data.save_as(file, implicit_vr=True, little_endian=True, enforce_file_format=False)
        assert file.read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(parsed(tmp_path)["hu"], patient())


# ---- several series -----------------------------------------------------------------------------


def test_mixed_series_are_refused_by_name_and_one_can_be_chosen(tmp_path):
    write_series(tmp_path, patient(), how=Series(number=3))
    write_series(tmp_path, patient()[:, :-2], how=Series(number=7, kernel="B60f", prefix="S"))
    with pytest.raises(
        DataError,
        match=r"mixes 2 series: series 3 with 10 slices of 14 x 12, 2\.5 "
        r"mm, kernel B30f; series 7 with 10 slices of 14 x 10, 2\.5 mm, kernel B60f",
    ):
        parsed(tmp_path)
    content = parsed(tmp_path, series=7)
    assert content["hu"].shape == (14, 10, 10)
    assert content["facts"] == {
        "modality": "CT", "series": "7", "kernel": "B60f", "slice_thickness_mm": "2.5"
    }  # fmt: skip
    with pytest.raises(DataError, match="has no series 5; it holds series 3 with"):
        parsed(tmp_path, series=5)


def test_series_without_numbers_of_their_own_are_numbered(tmp_path):
    write_series(tmp_path, patient(), how=Series(number=None))
    write_series(tmp_path, patient(), how=Series(number=None, prefix="S"))
    with pytest.raises(DataError, match=r"series 1 with 10 slices.*series 2 with 10 slices"):
        parsed(tmp_path)
    assert parsed(tmp_path, series=2)["hu"].shape == (14, 12, 10)


@pytest.mark.parametrize("tags", [{"Modality": "MR"}, {"Modality": "PT"}])
def test_another_modality_is_refused_by_its_name(tmp_path, tags):
    write_series(tmp_path, patient(), how=Series(tags=tags))
    with pytest.raises(DataError, match=rf"no slices of a CT .*modality {tags['Modality']}"):
        parsed(tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="no slices of a CT \\(no files\\)"):
        parsed(tmp_path)


def test_two_phases_in_one_series_are_refused(tmp_path):
    how = Series()
    write_series(tmp_path, patient(), how=how)
    write_series(tmp_path, patient(), how=replace(how, prefix="S"))
    with pytest.raises(DataError, match=r"same place \(10 pairs\).*one phase"):
        parsed(tmp_path)


# ---- gaps and tilt ------------------------------------------------------------------------------


@pytest.mark.parametrize(("missing", "fill"), [((4,), 0), ((4, 5), 1), ((3, 4, 5), 2)])
def test_missing_slices_are_refused(tmp_path, missing, fill):
    write_series(tmp_path, patient(), how=Series(leave_out=missing))
    gap = 2.5 * (len(missing) + 1)
    with pytest.raises(DataError, match=rf"lacks slices: they lie 2\.50 mm apart.* {gap:.2f} mm"):
        parsed(tmp_path, fill_gaps=fill)


@pytest.mark.parametrize("missing", [(4,), (4, 5), (2, 6, 7)])
def test_small_gaps_are_filled_in_linearly_where_that_is_allowed(tmp_path, missing):
    hu = np.broadcast_to(100 * np.arange(10) - 450, (14, 12, 10)).astype(np.int16)
    content = parsed(write_series(tmp_path, hu, how=Series(leave_out=missing)), fill_gaps=2)
    np.testing.assert_allclose(content["hu"], hu, atol=1)
    np.testing.assert_allclose(content["affine"], AFFINE, atol=1e-4)
    assert f"{len(missing)} missing slices filled in between their neighbours" in content["notes"]


def test_uneven_slices_are_no_gap_of_whole_slices(tmp_path):
    write_series(tmp_path, patient(), how=Series())
    file = some_file(tmp_path)
    data = pydicom.dcmread(file)
    x, y, z = data.ImagePositionPatient
    data.ImagePositionPatient = [x, y, z + 1.1]
    data.save_as(file)
    with pytest.raises(DataError, match="lacks slices"):
        parsed(tmp_path, fill_gaps=2)


def test_a_tilted_gantry_is_shifted_square(tmp_path):
    """Values are linear in the world, so that linear interpolation within slices is exact."""
    tilt, shape = np.radians(18.0), (20, 30, 12)
    affine = np.eye(4)
    affine[:3, 0] = [0.9, 0, 0]
    affine[:3, 1] = 1.2 * np.array([0, np.cos(tilt), np.sin(tilt)])
    affine[:3, 2] = [0, 0, 2.5]  # the table moves along the patient
    affine[:3, 3] = [-10, 5, 20]
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    weights = np.array([2.0, -3.0, 4.0])
    content = parsed(write_series(tmp_path, np.rint(world @ weights), affine, Series()))
    square = content["affine"][:3, :3]
    np.testing.assert_allclose(square.T @ square, np.diag(np.diag(square.T @ square)), atol=1e-6)
    index = np.stack(np.meshgrid(*map(np.arange, content["hu"].shape), indexing="ij"), axis=-1)
    there = index @ square.T + content["affine"][:3, 3]
    inside = ndimage.binary_erosion(content["hu"] > -1024, np.ones((3, 3, 1)))
    assert inside.sum() > 0.7 * np.prod(shape)
    assert np.abs(content["hu"] - there @ weights)[inside].max() < 1.6
    assert any("askew by 18.0 degrees (tilted gantry)" in note for note in content["notes"])


def test_a_tilt_that_is_only_stated_is_noted(tmp_path):
    how = Series(tags={"GantryDetectorTilt": "12.0"})
    content = parsed(write_series(tmp_path, patient(), how=how))
    assert "files state a gantry tilt of 12 degrees that slices do not show" in content["notes"]


# ---- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9, 0.999])
def test_a_cut_file_is_refused_by_its_name(tmp_path, share):
    write_series(tmp_path, patient())
    file = some_file(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=file.name):
        parsed(tmp_path)


@pytest.mark.parametrize("shape", [(24, 24), (10, 10), (60000, 60000)])
def test_rows_and_columns_that_lie_are_refused(tmp_path, shape):
    write_series(tmp_path, patient())
    for file in tmp_path.iterdir():
        data = pydicom.dcmread(file)
        data.Rows, data.Columns = shape
        data.save_as(file)
    with pytest.raises(DataError, match=r"claims \d+ x \d+ pixels, which take|voxels"):
        parsed(tmp_path)


@pytest.mark.parametrize("length", [4, 0x7FFFFFF0, 0xFFFFFFF0])
def test_a_length_that_lies_is_refused(tmp_path, length):
    write_series(tmp_path, patient())
    file = some_file(tmp_path)
    content = bytearray(file.read_bytes())
    at = content.rindex(b"\xe0\x7f\x10\x00OW") + 8
    content[at : at + 4] = length.to_bytes(4, "little")
    file.write_bytes(bytes(content))
    with pytest.raises(DataError, match=file.name):
        parsed(tmp_path)


@pytest.mark.parametrize("spacing", [[0.0, 1.0], [1.0, 0.0], [-1.0, 1.0], [50.0, 1.0]])
def test_senseless_spacing_is_refused(tmp_path, spacing):
    write_series(tmp_path, patient(), how=Series(tags={"PixelSpacing": spacing}))
    with pytest.raises(DataError, match="expected sizes above 0"):
        parsed(tmp_path)


@pytest.mark.parametrize("slope", [0.0])
def test_a_slope_of_zero_is_refused(tmp_path, slope):
    write_series(tmp_path, patient(), how=Series(slope=slope))
    with pytest.raises(DataError, match="rescale slope of 0"):
        parsed(tmp_path)


def test_raw_values_without_their_intercept_are_no_hounsfield_units(tmp_path):
    write_series(tmp_path, patient() + 1024, how=Series(kind="<u2"))
    with pytest.raises(DataError, match="from 24 to 1924, none below 0"):
        parsed(tmp_path)


def test_values_far_from_any_tissue_are_no_hounsfield_units(tmp_path):
    write_series(tmp_path, patient(), how=Series(intercept=-3000.0))
    with pytest.raises(DataError, match="check the rescale slope and intercept"):
        parsed(tmp_path)


def test_colour_and_multiframe_pictures_are_refused(tmp_path):
    write_series(tmp_path, patient(), how=Series(tags={"NumberOfFrames": 3}))
    with pytest.raises(DataError, match="no single grey slice"):
        parsed(tmp_path)


# ---- size ---------------------------------------------------------------------------------------


def test_a_ct_too_large_is_read_coarser_as_the_mean_over_blocks(tmp_path):
    hu = np.random.default_rng(3).integers(-500, 500, (24, 20, 12)).astype(np.int16)
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    content = parsed(write_series(tmp_path, hu, affine), most=1500)
    np.testing.assert_allclose(
        content["hu"], hu.reshape(12, 2, 10, 2, 12, 1).mean(axis=(1, 3, 5)), atol=0.51
    )
    np.testing.assert_allclose(np.diag(content["affine"]), [2, 2, 2, 1], atol=1e-5)
    np.testing.assert_allclose(content["affine"][:3, 3], [0.5, 0.5, 0.0], atol=1e-5)
    assert "read coarser, the mean over blocks of 2x2x1 voxels" in content["notes"]


def test_a_ct_too_large_is_refused_with_its_size_if_that_is_wanted(tmp_path):
    write_series(tmp_path, patient())
    with pytest.raises(DataError, match=r"14 x 12 x 10 = 1680 voxels.*at most 1000"):
        parsed(tmp_path, most=1000, large="refuse")


# ---- what may leave the reader ------------------------------------------------------------------


def everything(volume):
    text = json.dumps([dict(volume.provenance), {str(k): v for k, v in volume.organ_names.items()}])
    return text.encode() + volume.hu.tobytes() + repr(volume.world_from_voxel).encode()


def test_nothing_that_names_a_person_leaves_the_reader(tmp_path):
    folder = write_series(tmp_path / "scan", patient(), how=Series(kernel=["B30f", SECRETS[0]]))
    assert SECRETS[0].encode() in some_file(folder).read_bytes()
    volume = read_ct(folder)
    found = everything(volume)
    for secret in SECRETS:
        assert secret.encode() not in found
    uid = str(pydicom.dcmread(some_file(folder)).SeriesInstanceUID)
    assert uid.encode() not in found
    assert volume.provenance["kernel"] == "B30f"
    assert len(volume.provenance["sha256"]) == 64
    np.testing.assert_array_equal(volume.hu, patient())


@pytest.mark.parametrize(
    "tag", ["PixelSpacing", "ImagePositionPatient", "RescaleSlope", "SliceThickness", "Rows"]
)
def test_a_name_in_the_wrong_place_is_not_quoted_in_an_error(tmp_path, tag):
    folder = write_series(tmp_path / "scan", patient())
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        element = data[tag]
        data.add_new(element.tag, "LO", [SECRETS[0]] * 2 if "P" in tag[:6] else SECRETS[0])
        data.save_as(file)
    said = ""
    try:
        said = str(parsed(folder))
    except DataError as error:
        said = str(error)
    assert said
    assert not any(secret in said for secret in SECRETS)


def test_the_same_files_have_the_same_fingerprint_and_others_another(tmp_path):
    one = parsed(write_series(tmp_path / "a", patient(), how=Series(uid="1.2.3")))["sha256"]
    assert parsed(tmp_path / "a")["sha256"] == one
    file = some_file(tmp_path / "a")
    data = pydicom.dcmread(file)
    data.PixelData = bytes(len(data.PixelData) - 2) + b"\1\0"
    data.save_as(file)
    assert parsed(tmp_path / "a")["sha256"] != one


def test_settings_are_checked():
    with pytest.raises(SettingsError, match="fill_gaps"):
        validate(ReadSettings, {"fill_gaps": 3})

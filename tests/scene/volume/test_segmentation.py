# SPDX-License-Identifier: Apache-2.0
"""Organs of a CT's voxels: names, numbers, overlaps, and masks on another grid."""

import tarfile

import numpy as np
import pytest

from endoforge.errors import DataError, SceneError
from endoforge.scene.anatomy.abdomen.labels import TOTAL_SEGMENTATOR
from endoforge.scene.volume.read import read_ct
from endoforge.scene.volume.read_settings import ReadSettings
from endoforge.scene.volume.segmentation import nearest, organs_on
from scene.scans import AFFINE, ORDERS, Series, patient, stored, write_nifti, write_series

SHAPE = (14, 12, 10)
LIVER, COLON = 5, 20


def labels():
    result = np.zeros(SHAPE, np.uint8)
    result[2:8, 3:9, 2:8] = LIVER
    result[9:12, 2:5, 1:4] = COLON
    return result


def test_totalsegmentators_numbers_are_kept():
    assert TOTAL_SEGMENTATOR[LIVER - 1] == "liver"
    assert TOTAL_SEGMENTATOR[COLON - 1] == "colon"


@pytest.mark.parametrize("order", ORDERS[::5], ids=str)
def test_labels_in_any_order_of_axes_fall_on_their_voxels(order):
    array, affine = stored(labels(), AFFINE, order)
    np.testing.assert_array_equal(nearest(array, affine, SHAPE, AFFINE), labels())


def brute_force(array, array_affine, shape, affine):
    """Each voxel on its own."""
    result = np.zeros(shape, array.dtype)
    back = np.linalg.inv(array_affine)
    for index in np.ndindex(*shape):
        world = affine @ [*index, 1.0]
        at = np.rint((back @ world)[:3]).astype(int)
        if ((at >= 0) & (at < array.shape)).all():
            result[index] = array[tuple(at)]
    return result


@pytest.mark.parametrize("turn_deg", [0.0, 7.0])
def test_labels_on_another_grid_come_from_the_nearest_voxel(turn_deg):
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    other = np.diag([1.3, 0.9, 2.1, 1.0])
    other[:2, :2] = np.array([[c, -s], [s, c]]) @ other[:2, :2]
    other[:3, 3] = AFFINE[:3, 3] + [-1.7, 0.6, 3.1]
    array = np.random.default_rng(1).integers(0, 5, (9, 13, 11)).astype(np.uint8)
    expected = brute_force(array, other, SHAPE, AFFINE)
    assert (nearest(array, other, SHAPE, AFFINE) == expected).mean() > 0.995  # ties


def test_a_label_volume_has_totalsegmentators_names(tmp_path):
    path = write_nifti(tmp_path / "seg.nii.gz", labels())
    organs, names = organs_on(SHAPE, AFFINE, path)
    np.testing.assert_array_equal(organs, labels())
    assert names == {LIVER: "liver", COLON: "colon"}


def test_names_that_the_user_tells_get_totalsegmentators_numbers(tmp_path):
    own = np.where(labels() == LIVER, 1, np.where(labels() == COLON, 2, 0)).astype(np.uint8)
    path = write_nifti(tmp_path / "seg.nii", own)
    organs, names = organs_on(SHAPE, AFFINE, path, {1: "liver", 2: "colon"})
    np.testing.assert_array_equal(organs, labels())
    assert names == {LIVER: "liver", COLON: "colon"}


def test_of_two_masks_that_overlap_the_smaller_one_counts(tmp_path):
    big, small = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    big[1:10, 1:10, 1:9] = 1
    small[4:6, 4:6, 4:6] = 1
    write_nifti(tmp_path / "aorta.nii.gz", small)  # read first
    write_nifti(tmp_path / "liver.nii.gz", big)
    organs, names = organs_on(SHAPE, AFFINE, tmp_path)
    assert names == {5: "liver", 52: "aorta"}
    assert (organs == 52).sum() == small.sum()
    assert (organs == 5).sum() == big.sum() - small.sum()


def test_a_case_of_3d_ircadb_brings_its_masks(tmp_path):
    write_series(tmp_path / "PATIENT_DICOM", patient())
    for name, mask in (("portalvein", labels() == COLON), ("liver", labels() == LIVER),
                       ("livertumor1", np.roll(labels() == COLON, -4, axis=0))):  # fmt: skip
        write_series(tmp_path / "MASKS_DICOM" / name, 255 * mask, how=Series(kind="<u2"))
    volume = read_ct(tmp_path)
    number = {name: n for n, name in volume.organ_names.items()}
    assert set(number) == {"liver", "portal_vein_and_splenic_vein", "livertumor1"}
    assert number["portal_vein_and_splenic_vein"] == 64
    assert number["livertumor1"] > len(TOTAL_SEGMENTATOR)
    assert ((volume.organs == 64) == (labels() == COLON)).all()
    assert "livertumor1" in volume.provenance["organs"]


# ---- refusals -----------------------------------------------------------------------------------


def test_a_float_volume_of_fractions_is_no_segmentation(tmp_path):
    path = write_nifti(tmp_path / "seg.nii", labels().astype(np.float32) * 0.37)
    with pytest.raises(DataError, match="are no labels"):
        organs_on(SHAPE, AFFINE, path)


def test_the_ct_itself_is_no_segmentation(tmp_path):
    path = write_nifti(tmp_path / "ct.nii", patient())
    with pytest.raises(DataError, match="looks like a CT, give its segmentation"):
        read_ct(path, ReadSettings(masks=path))


def test_a_segmentation_of_another_place_is_refused(tmp_path):
    away = AFFINE.copy()
    away[2, 3] += 500.0
    path = write_nifti(tmp_path / "seg.nii", labels(), away)
    with pytest.raises(DataError, match="lies outside the CT"):
        organs_on(SHAPE, AFFINE, path)


def test_a_name_that_nobody_knows_is_refused_with_the_nearest(tmp_path):
    write_nifti(tmp_path / "livr.nii.gz", labels())
    with pytest.raises(SceneError, match="did you mean 'liver'"):
        organs_on(SHAPE, AFFINE, tmp_path)


def test_missing_masks_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        organs_on(SHAPE, AFFINE, tmp_path / "nothing")


# ---- real patients ------------------------------------------------------------------------------


@pytest.mark.real
def test_a_real_segmentation_lies_on_its_ct(shared_data):
    folder = shared_data / "ct_totalsegmentator_example"
    settings = ReadSettings(masks=folder / "example_seg.nii.gz")
    volume = read_ct(folder / "example_ct_sm.nii.gz", settings)
    assert (volume.organs == LIVER).sum() > 30_000
    assert 40 < np.median(volume.hu[volume.organs == LIVER]) < 60
    assert np.percentile(volume.hu[volume.organs == COLON], 10) < -800  # gas


@pytest.mark.real
@pytest.mark.slow
def test_a_real_case_of_3d_ircadb_is_read_with_its_vessels(shared_data, tmp_path):
    folder = shared_data / "ct_3dircadb01_case17_NC_ND"
    for name in ("PATIENT_DICOM", "MASKS_DICOM"):
        with tarfile.open(folder / f"{name}.tar.xz") as archive:
            wanted = [
                m for m in archive.getmembers()
                if name == "PATIENT_DICOM" or m.name.split("/")[1:2] in (["liver"], ["artery"])
            ]  # fmt: skip
            archive.extractall(tmp_path, members=wanted, filter="data")
    volume = read_ct(tmp_path)
    assert volume.hu.shape == (512, 512, 119)
    np.testing.assert_allclose(volume.spacing_mm, [0.743, 0.743, 1.6], atol=1e-3)
    assert 95 < np.median(volume.hu[volume.organs == LIVER]) < 115
    assert 130 < np.median(volume.hu[volume.organs == 52]) < 190
    liver = np.argwhere(volume.organs == LIVER).mean(axis=0)
    assert liver[0] > 256  # to the patient's right
    assert not any(secret in str(volume.provenance) for secret in ("liver_17^", "IRCAD", "2009"))

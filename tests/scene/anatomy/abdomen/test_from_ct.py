# SPDX-License-Identifier: Apache-2.0
"""A patient's organs keep their size, place and names; what cannot be used is refused."""

import tarfile

import nibabel as nib
import numpy as np
import pytest

from endoforge.errors import DataError, SceneError
from endoforge.scene.anatomy.abdomen.build import build_abdomen
from endoforge.scene.anatomy.abdomen.from_ct import organs_from_ct
from endoforge.scene.anatomy.abdomen.labels import TOTAL_SEGMENTATOR, organs_of
from endoforge.scene.anatomy.abdomen.settings import AbdomenSettings, CtAbdomen
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.surfaces import open_edges
from scene.abdomens import part
from scene.patients import STEP, organs, write_dicom, write_labels

NUMBERS = {"liver": 5, "gallbladder": 4, "spleen": 1}  # TotalSegmentator's
COARSE = AbdomenSettings(resolution_mm=3.0)


def ml(organ):
    return signed_volume(organ.vertices_mm, organ.faces) / 1000.0


def check_patient(found):
    """Volumes as in the voxels, places as in the patient relative to the liver."""
    masks = organs()
    assert set(found) == set(masks)
    for name, mask in masks.items():
        assert open_edges(found[name].faces) == 0
        assert ml(found[name]) == pytest.approx(mask.sum() * STEP**3 / 1000, rel=0.08), name
    middle = {n: np.argwhere(m).mean(axis=0) * STEP for n, m in masks.items()}
    for name in masks:
        seen = found[name].vertices_mm.mean(axis=0) - found["liver"].vertices_mm.mean(axis=0)
        assert seen == pytest.approx(middle[name] - middle["liver"], abs=2.5), name


def test_a_label_volume_is_read_with_total_segmentator_s_numbers(tmp_path):
    path = write_labels(tmp_path / "seg.nii.gz", NUMBERS)
    found, shift, record = organs_from_ct(path, None, 3.0)
    check_patient(found)
    assert shift.shape == (3,)
    assert record["repairs"] == "none"


def test_own_names_are_taken(tmp_path):
    path = write_labels(tmp_path / "seg.nii", {"liver": 7, "gallbladder": 9, "spleen": 200})
    names = {7: "Liver", 9: "gallbladder", 200: "spleen"}
    check_patient(organs_from_ct(path, names, 3.0)[0])


def test_a_turned_scan_gives_the_same_patient(tmp_path):
    masks = {name: mask[::-1].transpose(1, 0, 2) for name, mask in organs().items()}
    volume = np.zeros((60, 80, 60), np.uint8)
    for name, mask in masks.items():
        volume[mask] = NUMBERS[name]
    affine = np.array([[0, -STEP, 0, STEP * 79], [STEP, 0, 0, 0], [0, 0, STEP, 0], [0, 0, 0, 1.0]])
    nib.save(nib.Nifti1Image(volume, affine), tmp_path / "a.nii")
    check_patient(organs_from_ct(tmp_path / "a.nii", None, 3.0)[0])


def test_a_folder_of_masks_is_read_by_its_file_names(tmp_path):
    for name, mask in organs().items():
        image = nib.Nifti1Image(mask.astype(np.uint8), np.diag([STEP] * 3 + [1.0]))
        nib.save(image, tmp_path / f"{name}.nii.gz")
    check_patient(organs_from_ct(tmp_path, None, 3.0)[0])


def test_folders_of_dicom_masks_are_read(tmp_path):
    for name, mask in organs().items():
        write_dicom(tmp_path / name, mask)
    check_patient(organs_from_ct(tmp_path, None, 3.0)[0])


def test_missing_organs_are_drawn_around_the_given(tmp_path):
    path = write_labels(tmp_path / "seg.nii.gz", NUMBERS)
    settings = CtAbdomen(masks=path, drawn=COARSE)
    anatomy = build_abdomen(settings, np.random.default_rng(0))
    assert {"stomach", "omentum", "cystic duct", "falciform ligament"} <= set(anatomy.instances)
    given = organs_from_ct(path, None, 3.0)[0]
    for name in ("liver", "spleen"):
        vertices, faces = part(anatomy.surface, anatomy.instances[name])
        assert ml(given[name]) == pytest.approx(signed_volume(vertices, faces) / 1000, rel=0.02)
    wall = part(anatomy.surface, anatomy.instances["abdominal wall"])[0]
    for name in anatomy.instances:
        points = part(anatomy.surface, anatomy.instances[name])[0]
        assert (points.min(axis=0) > wall.min(axis=0) - 1).all(), name
        assert (points.max(axis=0) < wall.max(axis=0) + 1).all(), name


def test_only_the_given_when_so_asked(tmp_path):
    path = write_labels(tmp_path / "seg.nii.gz", NUMBERS)
    settings = CtAbdomen(masks=path, complete=False, drawn=COARSE)
    anatomy = build_abdomen(settings, np.random.default_rng(0))
    assert set(anatomy.instances) == {"abdominal wall", *organs()}


# ---- refusals -----------------------------------------------------------------------------------


def test_an_unknown_name_is_refused_with_the_known(tmp_path):
    path = write_labels(tmp_path / "seg.nii", NUMBERS)
    with pytest.raises(SceneError, match=r"'lever' that is not known; did you mean 'liver'.*colon"):
        organs_from_ct(path, {5: "lever", 4: "gallbladder", 1: "spleen"}, 3.0)


def test_a_number_without_a_name_is_refused(tmp_path):
    path = write_labels(tmp_path / "seg.nii", {**NUMBERS, "spleen": 230})
    with pytest.raises(SceneError, match=r"without a name: \[230\]"):
        organs_from_ct(path, None, 3.0)


def test_a_patient_without_a_liver_is_refused(tmp_path):
    masks = {"spleen": organs()["spleen"]}
    path = write_labels(tmp_path / "seg.nii", NUMBERS, masks=masks)
    with pytest.raises(SceneError, match="has no liver, only spleen"):
        organs_from_ct(path, None, 3.0)


def test_a_sheared_volume_is_a_tilted_gantry(tmp_path):
    affine = np.diag([STEP] * 3 + [1.0])
    affine[1, 2] = STEP * np.tan(np.radians(12.0))
    path = write_labels(tmp_path / "seg.nii", NUMBERS, affine)
    image = nib.load(path)
    image.set_qform(None, 0)
    nib.save(image, tmp_path / "tilted.nii")
    with pytest.raises(DataError, match=r"gantry tilted by 1[12]\.\d degrees"):
        organs_from_ct(tmp_path / "tilted.nii", None, 3.0)


def test_empty_slices_in_the_liver_are_missing_slices(tmp_path):
    masks = organs()
    masks["liver"] = masks["liver"].copy()
    masks["liver"][:, :, 38:40] = False
    path = write_labels(tmp_path / "seg.nii", NUMBERS, masks=masks)
    with pytest.raises(DataError, match="lacks slices: 2 slices in the middle of the liver"):
        organs_from_ct(path, None, 3.0)


def test_a_tilted_gantry_is_refused_in_dicom(tmp_path):
    write_dicom(tmp_path / "case" / "liver", organs()["liver"], tilt=10.0)
    with pytest.raises(DataError, match=r"gantry tilted by 10\.0 degrees"):
        organs_from_ct(tmp_path / "case", None, 3.0)


def test_slices_that_are_stacked_askew_are_refused_in_dicom(tmp_path):
    write_dicom(tmp_path / "case" / "liver", organs()["liver"], shear_mm=0.5)
    with pytest.raises(DataError, match=r"gantry tilted by 7\.1 degrees"):
        organs_from_ct(tmp_path / "case", None, 3.0)


def test_missing_slices_are_refused_in_dicom(tmp_path):
    write_dicom(tmp_path / "case" / "liver", organs()["liver"], leave_out=(30, 31))
    with pytest.raises(DataError, match=r"lacks slices: they lie 4\.00 mm apart.*12\.00 mm"):
        organs_from_ct(tmp_path / "case", None, 3.0)


def test_a_file_that_is_no_dicom_is_refused(tmp_path):
    folder = write_dicom(tmp_path / "case" / "liver", organs()["liver"])
    (folder / "image_3").write_bytes(b"nothing of the kind" * 20)
    with pytest.raises(DataError, match="image_3"):
        organs_from_ct(tmp_path / "case", None, 3.0)


def test_a_ct_instead_of_its_masks_is_refused(tmp_path):
    volume = np.random.default_rng(0).integers(-1000, 500, (20, 20, 20)).astype(np.int16)
    nib.save(nib.Nifti1Image(volume, np.eye(4)), tmp_path / "ct.nii")
    with pytest.raises(DataError, match=r"this looks like a CT, give its segmentation"):
        organs_from_ct(tmp_path / "ct.nii", None, 3.0)


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        organs_from_ct(tmp_path / "not there", None, 3.0)
    with pytest.raises(DataError, match=r"no \.nii"):
        organs_from_ct(tmp_path, None, 3.0)


def test_all_names_of_total_segmentator_are_known():
    assert len(TOTAL_SEGMENTATOR) == 117
    found = organs_of(TOTAL_SEGMENTATOR, "x")
    assert found["portal_vein_and_splenic_vein"] == "portal vein"
    assert found["rib_left_7"] is None
    ircad = organs_of(["livertumor1", "skin", "portalvein", "leftkidney"], "x")
    assert list(ircad.values()) == [None, None, "portal vein", "kidney left"]


# ---- real patients ------------------------------------------------------------------------------


@pytest.mark.real
def test_a_real_segmentation_has_its_organs(shared_data):
    path = shared_data / "ct_totalsegmentator_example" / "example_seg.nii.gz"
    found, _, record = organs_from_ct(path, None, 3.0)
    assert {"liver", "gallbladder", "stomach", "colon", "spleen", "duodenum"} <= set(found)
    assert ml(found["liver"]) == pytest.approx(39350 * 27 / 1000, rel=0.06)
    assert "liver is cut off by the edge of the scan" in record["repairs"]
    side = {n: found[n].vertices_mm[:, 0].mean() for n in ("liver", "spleen")}
    assert side["spleen"] < side["liver"] - 80.0  # +x is the patient's right


@pytest.mark.real
def test_a_real_case_of_3d_ircadb_has_its_liver(shared_data, tmp_path):
    pytest.importorskip("pydicom", reason="reading DICOM needs pydicom")
    packed = shared_data / "ct_3dircadb01_case17_NC_ND" / "MASKS_DICOM.tar.xz"
    with tarfile.open(packed) as archive:
        wanted = [m for m in archive.getmembers() if "/liver/" in m.name or "/artery/" in m.name]
        archive.extractall(tmp_path, members=wanted, filter="data")
    found, _, _ = organs_from_ct(tmp_path / "MASKS_DICOM", None, 3.0)
    assert set(found) == {"liver", "aorta"}
    assert 900 < ml(found["liver"]) < 2500

# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from endoforge.errors import EndoforgeError, SettingsError
from endoforge.frames.check import check_dataset
from endoforge.frames.dataset import Dataset
from endoforge.scene.volume.phantom_settings import PhantomSettings
from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.run import simulate_dataset
from endoforge.simulation.volumes import volume_of

_SMALL = (
    "anatomy.voxels=128",
    "camera.width=64",
    "camera.height=48",
    "quality.samples=2",
    "quality.denoise=off",
)


def small(recipe="cinematic", frames=4, *assignments, **changes):
    told = {"frames": frames, "sequence_frames": 2, "seed": 3, **changes}
    return load_recipe(recipe, told, (*_SMALL, *assignments))


@pytest.fixture(scope="module")
def inside(tmp_path_factory) -> Path:
    """Two sequences of two frames in one phantom, under two conditions."""
    out = tmp_path_factory.mktemp("cinematic") / "data"
    assert simulate_dataset(small("cinematic", 4, "randomise.conditions=2"), out).complete
    return out


@pytest.fixture(scope="module")
def ct(tmp_path_factory) -> Path:
    """A phantom as a patient's NIfTI file."""
    volume = volume_of(PhantomSettings(voxels=128), 3, 0)
    path = tmp_path_factory.mktemp("ct") / "patient.nii"
    nib.save(nib.Nifti1Image(volume.hu, volume.world_from_voxel), path)
    return path


@pytest.fixture(scope="module")
def flight(ct, tmp_path_factory) -> Path:
    """One frame of that patient."""
    out = tmp_path_factory.mktemp("flight") / "data"
    assert simulate_dataset(of_patient(ct), out).complete
    return out


def of_patient(ct):
    return load_recipe("cinematic", {"frames": 1, "seed": 3}, (f"anatomy.ct={ct}", *_SMALL[1:]))


def test_every_law_of_labels_holds_inside_a_ct(inside):
    assert check_dataset(inside).problems == []


def test_every_law_of_labels_holds_around_a_body(tmp_path):
    settings = small("cinematic-abdomen", 2, "transfer.preset=bone")
    assert simulate_dataset(settings, tmp_path / "data").complete
    assert check_dataset(tmp_path / "data").problems == []


def test_conditions_share_pose_and_volume_and_differ_in_look(inside):
    frames = Dataset.open(inside)
    first, second = frames.frame(0), frames.frame(2)
    np.testing.assert_array_equal(first.camera_from_world, second.camera_from_world)
    assert first.facts["pose_group"] == second.facts["pose_group"] == 0
    assert (first.facts["condition"], second.facts["condition"]) == (0, 1)
    assert first.facts["transfer"] != second.facts["transfer"]
    both = first.valid & second.valid
    assert both.mean() > 0.5
    apart = np.abs(first.depth_mm - second.depth_mm)[both]
    assert np.median(apart) < 3.0  # the same wall, seen through other optical properties


def test_classes_are_those_of_the_organs(inside):
    frames = Dataset.open(inside)
    names = frames.manifest.labels
    seen = {names[int(n)] for n in np.unique(frames.frame(0).label)}
    assert seen <= {"outside", "tissue", "colon", "small_bowel", "liver"}
    assert "colon" in seen


def test_a_sequence_is_made_again_alone_bit_by_bit(inside, tmp_path):
    again = load_recipe(str(inside), {"frames": 2, "first_sequence": 1})
    simulate_dataset(again, tmp_path / "again")
    before, after = Dataset.open(inside).frame(2), Dataset.open(tmp_path / "again").frame(0)
    np.testing.assert_array_equal(before.image, after.image)
    np.testing.assert_array_equal(before.depth_mm, after.depth_mm)


def test_depth_and_labels_do_not_depend_on_the_number_of_samples(inside, tmp_path):
    settings = small("cinematic", 2, "randomise.conditions=2", "quality.samples=1")
    simulate_dataset(settings, tmp_path / "data")
    few, more = Dataset.open(tmp_path / "data").frame(0), Dataset.open(inside).frame(0)
    for name in ("depth_mm", "normal_camera", "label", "opacity", "hu", "flow_px"):
        np.testing.assert_array_equal(getattr(few, name), getattr(more, name))
    assert not np.array_equal(few.image, more.image)


def test_a_patient_s_ct_is_flown_through_and_named_by_its_hash_alone(flight):
    manifest = Dataset.open(flight).manifest
    assert manifest.provenance["source"] == "NIfTI volume"
    assert len(manifest.provenance["sha256"]) == 64
    assert {file.name for file in flight.iterdir()} == {
        "dataset.json",
        "journal.jsonl",
        "shard-000000.tar",
    }


def test_a_changed_ct_is_refused(ct, flight):
    content = ct.read_bytes()
    try:
        ct.write_bytes(content[:-2] + b"\1\0")
        with pytest.raises(SettingsError, match="changed since"):
            simulate_dataset(of_patient(ct), flight)
    finally:
        ct.write_bytes(content)
    assert simulate_dataset(of_patient(ct), flight).complete


def test_a_ct_without_that_gas_is_told(ct, tmp_path):
    settings = load_recipe(
        "cinematic", {"frames": 1}, (f"anatomy.ct={ct}", "lumen.kind=airway", *_SMALL[1:])
    )
    with pytest.raises(EndoforgeError, match="airway"):
        simulate_dataset(settings, tmp_path / "data", strict=True)


def test_labels_of_surfaces_are_refused():
    with pytest.raises(SettingsError, match="'albedo' needs a scene of surfaces"):
        small("cinematic", 1, "labels=[albedo]")
    with pytest.raises(SettingsError, match="'hu' needs a CT"):
        load_recipe("colon", {}, ("labels=[hu]",))

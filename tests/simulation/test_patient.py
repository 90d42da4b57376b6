# SPDX-License-Identifier: Apache-2.0
"""A patient's anatomy: extracted once, shared by all sequences, and never mixed with another."""

from contextlib import closing

import nibabel
import numpy as np
import pytest

from endoforge.errors import DataError, SettingsError
from endoforge.frames.check import check_dataset
from endoforge.frames.dataset import Dataset
from endoforge.simulation.anatomy_file import ANATOMY_FILE, read_anatomy
from endoforge.simulation.run import simulate_dataset
from simulation.small import small_patient, small_simulation


def write_tube(path, radius: float) -> None:
    """A bent tube of voxels, about 17 cm long."""
    i, j, k = np.mgrid[0:60, 0:60, 0:120]
    lumen = np.hypot(i - 30 - 8 * np.sin(k / 20), j - 30) < radius
    lumen[:, :, [*range(4), *range(116, 120)]] = False
    spacing_mm = np.diag([1.2, 1.2, 1.5, 1.0])
    nibabel.save(nibabel.Nifti1Image(lumen.astype(np.uint8), spacing_mm), path)


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patient")
    write_tube(folder / "lumen.nii.gz", 14)
    settings = small_patient(folder / "lumen.nii.gz")
    assert simulate_dataset(settings, folder / "data").complete
    return folder


def test_frames_of_a_mask_are_whole_and_say_where_the_anatomy_is_from(patient):
    assert check_dataset(patient / "data").problems == []
    with closing(Dataset.open(patient / "data")) as dataset:
        provenance = dataset.manifest.provenance
    assert len(provenance["sha256"]) == 64
    assert provenance["licence"]


def test_workers_read_the_same_anatomy_and_give_the_same_bytes(patient, tmp_path):
    settings = small_patient(patient / "lumen.nii.gz")
    simulate_dataset(settings, tmp_path / "two", workers=2)
    for shard in (patient / "data").glob("*.tar"):
        assert shard.read_bytes() == (tmp_path / "two" / shard.name).read_bytes()


def test_another_patient_in_the_same_file_is_refused(tmp_path):
    mask, out = tmp_path / "lumen.nii.gz", tmp_path / "data"
    write_tube(mask, 14)
    settings = small_patient(mask, "frames=1")
    simulate_dataset(settings, out)
    write_tube(mask, 12)
    with pytest.raises(SettingsError, match="changed since"):
        simulate_dataset(settings, out)


def test_a_patient_does_not_go_into_a_folder_of_drawn_colons(patient, tmp_path):
    simulate_dataset(small_simulation("frames=1"), tmp_path)
    with pytest.raises(SettingsError, match="anatomy"):
        simulate_dataset(small_patient(patient / "lumen.nii.gz", "frames=1"), tmp_path)
    assert not (tmp_path / ANATOMY_FILE).exists()


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_anatomy_file_is_refused_and_says_what_to_do(patient, tmp_path, damage):
    content = bytearray((patient / "data" / ANATOMY_FILE).read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 2] ^= 1
    (tmp_path / ANATOMY_FILE).write_bytes(content)
    with pytest.raises(DataError, match="remove it and run again"):
        read_anatomy(tmp_path / ANATOMY_FILE)

# SPDX-License-Identifier: Apache-2.0
"""A patient's organs: read once, shared by sequences and workers, and never mixed with others."""

import shutil
from contextlib import closing
from dataclasses import fields

import nibabel
import numpy as np
import pytest

from endoforge.errors import DataError, SettingsError
from endoforge.frames.check import check_dataset
from endoforge.frames.dataset import Dataset
from endoforge.frames.storage import sha256_of_all
from endoforge.scene.anatomy.abdomen import build
from endoforge.scene.anatomy.abdomen.organs import Organ
from endoforge.settings import validate
from endoforge.simulation.organs_file import ORGANS_FILE, read_organs
from endoforge.simulation.patient import organs_of, refuse_another_patient
from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.run import simulate_dataset
from endoforge.simulation.sequence import render_sequence
from endoforge.simulation.settings import LaparoscopySimulation
from scene.patients import STEP, glb_bytes, mesh_of, organs

TINY = ["frames=2", "sequence_frames=1", "seed=3", "camera.width=48", "camera.height=40"]


def laparoscopy(*assignments: str) -> LaparoscopySimulation:
    return load_recipe("laparoscopy-liver", {}, [*TINY, *assignments])


def of_masks(folder) -> LaparoscopySimulation:
    """Little is drawn around the organs, and that coarsely."""
    kept = ("anatomy.complete=false", "anatomy.drawn.resolution_mm=4")
    return laparoscopy(f"anatomy.masks={folder}", *kept)


def write_masks(folder, **masks) -> None:
    folder.mkdir(exist_ok=True)
    for name, mask in (masks or organs()).items():
        image = nibabel.Nifti1Image(mask.astype(np.uint8), np.diag([STEP] * 3 + [1.0]))
        nibabel.save(image, folder / f"{name}.nii.gz")


def write_mesh(path, name) -> None:
    vertices, faces = mesh_of(organs()[name])
    path.write_bytes(glb_bytes(vertices / 1000, faces))


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patient")
    write_masks(folder / "masks")
    assert simulate_dataset(of_masks(folder / "masks"), folder / "data").complete
    return folder


def test_a_patient_s_files_are_read_once(patient, tmp_path, monkeypatch):
    calls = []
    real = build.given_by
    monkeypatch.setattr(build, "given_by", lambda settings: calls.append(1) or real(settings))
    settings = of_masks(patient / "masks").model_copy(update={"frames": 1})
    simulate_dataset(settings, tmp_path / "data")
    (tmp_path / "data" / "shard-000000.tar").unlink()
    simulate_dataset(settings, tmp_path / "data")
    assert calls == [1]


@pytest.mark.slow
def test_workers_load_the_same_organs_and_give_the_same_bytes(patient, tmp_path):
    simulate_dataset(of_masks(patient / "masks"), tmp_path / "data", workers=2)
    for shard in (patient / "data").glob("*.tar"):
        assert shard.read_bytes() == (tmp_path / "data" / shard.name).read_bytes()


def test_frames_of_masks_are_whole_and_say_where_the_organs_are_from(patient):
    assert check_dataset(patient / "data").problems == []
    with closing(Dataset.open(patient / "data")) as dataset:
        provenance = dataset.manifest.provenance
    assert provenance["sha256"] == sha256_of_all(patient / "masks")


def test_a_stored_draw_gives_the_same_frame_from_the_patient_s_files(patient):
    with closing(Dataset.open(patient / "data")) as dataset:
        settings = validate(LaparoscopySimulation, dataset.manifest.settings)
        stored = list(dataset.iter_frames())
    again = next(iter(render_sequence(settings, 1)))
    for name in ("image", "label", "instance"):
        assert np.array_equal(getattr(stored[1], name), getattr(again, name)), name


def test_organs_come_back_as_they_were_written(patient):
    read = read_organs(patient / "data" / ORGANS_FILE)
    made = organs_of(of_masks(patient / "masks").anatomy)
    assert (read.record, read.complete) == (made.record, made.complete)
    assert list(read.organs) == list(made.organs)
    for name, organ in made.organs.items():
        other = read.organs[name]
        for field in fields(Organ):
            one, two = getattr(organ, field.name), getattr(other, field.name)
            if field.name == "volume":
                assert one.grid.step_mm == two.grid.step_mm and one.grid.shape == two.grid.shape
                np.testing.assert_array_equal(one.grid.origin_mm, two.grid.origin_mm)
                one, two = one.values, two.values
            if isinstance(one, np.ndarray):
                assert one.dtype == two.dtype
                np.testing.assert_array_equal(one, two)
            else:
                assert one == two


# ---- another patient ----------------------------------------------------------------------------


def test_a_changed_folder_of_masks_is_refused_in_one_sentence(patient):
    masks, more = patient / "masks", patient / "masks" / "stomach.nii.gz"
    more.write_bytes((masks / "spleen.nii.gz").read_bytes())
    with pytest.raises(SettingsError, match=f"{masks} changed since .* restore it") as caught:
        simulate_dataset(of_masks(masks), patient / "data")
    assert "\n" not in str(caught.value)
    more.unlink()
    assert simulate_dataset(of_masks(masks), patient / "data").frames_made == 0


def test_without_the_masks_a_run_goes_on(patient, tmp_path):
    shutil.copytree(patient / "data", tmp_path / "data")
    (tmp_path / "data" / "shard-000001.tar").unlink()
    (patient / "masks").rename(tmp_path / "elsewhere")
    report = simulate_dataset(of_masks(patient / "masks"), tmp_path / "data")
    (tmp_path / "elsewhere").rename(patient / "masks")
    assert report.complete and report.frames_made == 1


def test_a_changed_mesh_is_named_among_several(tmp_path):
    files = {name: tmp_path / f"{name}.glb" for name in ("liver", "spleen")}
    for name, file in files.items():
        write_mesh(file, name)
    listed = ", ".join(f"{{file: {file}, organ: {name}}}" for name, file in files.items())
    settings = laparoscopy(f"anatomy.meshes=[{listed}]", "anatomy.drawn.resolution_mm=4")
    provenance = dict(organs_of(settings.anatomy).record)
    refuse_another_patient(settings, tmp_path, provenance)
    files["spleen"].write_bytes(files["spleen"].read_bytes() + b" ")
    with pytest.raises(SettingsError, match=r"spleen\.glb changed since"):
        refuse_another_patient(settings, tmp_path, provenance)


def test_a_damaged_file_of_organs_is_refused_and_says_what_to_do(patient, tmp_path):
    content = (patient / "data" / ORGANS_FILE).read_bytes()
    (tmp_path / ORGANS_FILE).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="remove it and run again"):
        read_organs(tmp_path / ORGANS_FILE)

# SPDX-License-Identifier: Apache-2.0
"""Trainings of translators on files: complete runs, exact resumption, refusals that say why."""

import json
from pathlib import Path

import pytest
import torch

from endoforge import verbs
from endoforge.errors import CheckpointError, DataError, SettingsError
from endoforge.training.checkpoint import list_checkpoints
from endoforge.training.record import read_metrics
from endoforge.training.sealed import read_sealed
from endoforge.translation.fitting import sides_of
from endoforge.translation.methods import METHODS
from endoforge.translation.model_file import load_model
from endoforge.translation.train import train_translation
from frames.analytic import write_analytic_dataset
from translation.runs import brief, write_pictures


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures") / "real")


def learn(name, out, real, settings=None, data=(), **options):
    settings = settings or brief(name)
    return train_translation(name, data, [real], out, settings, **options)


def last(folder):
    newest = list_checkpoints(folder / "checkpoints")[-1]
    tensors, content = read_sealed(newest, "state", "training-checkpoint", 1)
    content.pop("wall_s")
    return tensors, content


@pytest.mark.parametrize("name", ["gan", "dcgan", "pix2pix"])
def test_a_stopped_and_resumed_training_equals_an_unbroken_one_bit_by_bit(tmp_path, real, name):
    data = [real] if name == "pix2pix" else []

    def stop(done, steps):
        if done == 4:
            raise StoppedError

    learn(name, tmp_path / "whole", real, data=data)
    with pytest.raises(StoppedError):
        learn(name, tmp_path / "broken", real, data=data, progress=stop)
    torch.manual_seed(77)
    learn(name, tmp_path / "broken", real, data=data)
    (ours, said), (theirs, told) = last(tmp_path / "broken"), last(tmp_path / "whole")
    assert said == told
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    weights = [tmp_path / run / "model/model.safetensors" for run in ("broken", "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_run_folder_is_complete_and_its_model_translates(tmp_path, real):
    report = learn("pix2pix", tmp_path / "run", real, data=[real])
    names = {path.name for path in (tmp_path / "run").iterdir()}
    folders = {"checkpoints", "model", "samples"}
    assert names == {"settings.json", "metrics.jsonl", "manifest.json"} | folders
    written = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert METHODS["pix2pix"].settings().model_validate(written) == brief("pix2pix")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert (manifest["task"], manifest["target_pictures"]) == ("pix2pix", 4)
    assert {"generator/fool", "generator/l1", "judge/true"} < set(read_metrics(tmp_path / "run")[0])
    model = load_model(tmp_path / "run")
    assert (report.frames, report.steps) == (8, 6)
    assert model.method == "pix2pix"
    assert not model.translator.training
    assert model.translator(torch.zeros(1, 3, 16, 24)).shape == (1, 3, 16, 24)


def test_a_picture_learns_its_depth_from_a_data_set_alone(tmp_path):
    data = write_analytic_dataset(tmp_path / "data", sequences=2, frames=2)
    pictures = brief("pix2pix").pictures.model_copy(update={"target_planes": ("depth",)})
    settings = brief("pix2pix").model_copy(update={"pictures": pictures})
    train_translation("pix2pix", [data], [], tmp_path / "run", settings)
    channels = load_model(tmp_path / "run").translator.channels
    assert (channels.source, channels.target) == (3, 1)


def test_a_dry_run_tells_sizes_and_writes_nothing(tmp_path, real):
    report = learn("gan", tmp_path / "run", real, dry_run=True)
    done = learn("gan", tmp_path / "done", real)
    assert report.dry_run
    assert (report.frames, report.parameters) == (4, done.parameters)
    assert not (tmp_path / "run").exists()


def test_narrow_begins_from_small_networks_and_flags_change_them_further(tmp_path, real):
    options = {"data": [real], "real": [real], "out": tmp_path / "run", "dry_run": True}
    whole = verbs.train("cut", **options)
    small = verbs.train("cut", narrow=True, **options)
    smaller = verbs.train("cut", narrow=True, assignments=["generator.width=8"], **options)
    assert whole.steps > small.steps
    assert whole.parameters > 10 * small.parameters > 10 * smaller.parameters > 0


# ---- refusals ----


def test_networks_of_one_size_have_no_narrow_form(tmp_path):
    with pytest.raises(SettingsError, match="leave out --narrow"):
        verbs.train("depth-unet", data=[tmp_path], out=tmp_path / "run", narrow=True)


def test_changed_settings_are_refused_with_the_difference(tmp_path, real):
    learn("gan", tmp_path, real)
    changed = brief("gan", network={"noise": 3, "generator_width": 8, "judge_width": 9})
    with pytest.raises(CheckpointError, match=r"network\.judge_width = 8 but this training has 9"):
        learn("gan", tmp_path, real, changed)


def test_other_pictures_and_another_method_are_refused(tmp_path, real):
    learn("gan", tmp_path / "run", real)
    others = write_pictures(tmp_path / "others", seed=5)
    with pytest.raises(CheckpointError, match=r"data\.target = "):
        learn("gan", tmp_path / "run", others)
    with pytest.raises(CheckpointError, match="method = 'gan' but this training has 'dcgan'"):
        learn("dcgan", tmp_path / "run", real)


def test_weights_of_another_method_are_refused(tmp_path, real):
    learn("dcgan", tmp_path / "run", real)
    with pytest.raises(CheckpointError, match="trained by 'dcgan' but 'gan' was expected"):
        learn("gan", tmp_path / "other", real, start_from=tmp_path / "run")


def test_fine_tuning_starts_from_the_given_weights(tmp_path, real):
    learn("gan", tmp_path / "first", real)
    settings = brief("gan", steps=1, learning_rate=1e-12, average=0.0)
    learn("gan", tmp_path / "second", real, settings, start_from=tmp_path / "first")
    first, second = (load_model(tmp_path / run).translator for run in ("first", "second"))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-7, rtol=0)


def test_weights_for_other_channels_are_refused(tmp_path, real):
    learn("gan", tmp_path / "first", real)
    data = write_analytic_dataset(tmp_path / "data", sequences=1, frames=2)
    pictures = brief("gan").pictures.model_copy(update={"target_planes": ("depth",)})
    settings = brief("gan").model_copy(update={"pictures": pictures})
    with pytest.raises(CheckpointError, match=r"target=3.* but the data have .*target=1"):
        learn("gan", tmp_path / "second", data, settings, start_from=tmp_path / "first")


@pytest.mark.parametrize("name", ["gan", "dcgan", "pix2pix"])
def test_bfloat16_trains_with_float32_weights(tmp_path, real, name):
    data = [real] if name == "pix2pix" else []
    settings = brief(name, precision="bfloat16")
    report = learn(name, tmp_path, real, settings, data=data)
    assert report.figures["skipped"] == 0
    tensors, _ = last(tmp_path)
    weights = [v for k, v in tensors.items() if k.startswith("network") and v.is_floating_point()]
    assert {value.dtype for value in weights} == {torch.float32}


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no picture"):
        learn("gan", tmp_path / "run", tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "data", "real", "message"),
    [
        ("gan", (), (), "needs pictures to learn from"),
        ("pix2pix", (), (Path("r"),), "got nothing for --data"),
        ("reverse", (Path("d"),), (), "got nothing for --real"),
    ],
)
def test_a_side_that_is_missing_is_named(name, data, real, message):
    with pytest.raises(DataError, match=message):
        sides_of(METHODS[name], data, real)


def test_a_reverse_method_takes_the_real_side_as_its_source():
    data, real = (Path("d"),), (Path("r"),)
    assert sides_of(METHODS["reverse"], data, real).source == real
    assert sides_of(METHODS["pix2pix"], data, real).source == data
    assert sides_of(METHODS["pix2pix"], data, ()).target == data
    assert sides_of(METHODS["gan"], data, ()).target == data

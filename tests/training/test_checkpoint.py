# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: two are kept, all of the state comes back, and strangers are refused."""

import pytest
import torch

from endoforge.errors import CheckpointError
from endoforge.training.average import WeightsAverage
from endoforge.training.checkpoint import (
    Moment,
    list_checkpoints,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from endoforge.training.sealed import read_sealed, update_content
from endoforge.training.task import train_step
from training.toys import (
    Regression,
    Remembering,
    Stripes,
    Translation,
    line_batch,
    picture_batch,
)


def moment_of(task):
    averages = {name: WeightsAverage(p.networks, 0.9) for name, p in task.players.items()}
    return Moment(task, averages)


def content(**more):
    return {"fingerprint": {"seed": 1}, "average_updates": {"line": 3}, **more}


def trained(steps=3, width=8):
    torch.manual_seed(0)
    moment = moment_of(Regression(width))
    for step in range(steps):
        train_step(moment.task, line_batch(step))
        moment.averages["line"].update()
    return moment


def tensors_of(moment):
    player = moment.task.players["line"]
    found = dict(player.networks.state_dict())
    found |= {f"average.{k}": v for k, v in moment.averages["line"].values.items()}
    for index, state in player.optimiser.state_dict()["state"].items():
        found |= {f"{index}.{key}": value for key, value in state.items()}
    return found


def test_networks_optimisers_averages_and_random_numbers_come_back(tmp_path):
    saved = trained()
    path = save_checkpoint(tmp_path, saved, 3, content(note="x"))
    expected = torch.rand(3)
    fresh = moment_of(Regression())
    found = load_checkpoint(path, fresh, {"seed": 1})
    assert torch.equal(torch.rand(3), expected)
    assert (found["step"], found["note"]) == (3, "x")
    there, here = tensors_of(saved), tensors_of(fresh)
    assert there.keys() == here.keys()
    assert all(torch.equal(there[key], here[key]) for key in there)
    assert fresh.averages["line"].updates == 3


def test_a_fused_optimiser_goes_on_alike_whatever_the_memory_layout(tmp_path):
    torch.manual_seed(0)
    whole = moment_of(Stripes())
    for step in range(3):
        train_step(whole.task, picture_batch(step))
    path = save_checkpoint(tmp_path, whole, 3, content())
    resumed = moment_of(Stripes())
    load_checkpoint(path, resumed, {"seed": 1})
    for moment in (whole, resumed):
        for step in range(3, 6):
            train_step(moment.task, picture_batch(step))
    assert torch.equal(whole.task.network.weight, resumed.task.network.weight)


def test_the_two_newest_are_kept(tmp_path):
    moment = trained()
    for step in (1, 2, 3, 10):
        save_checkpoint(tmp_path, moment, step, content())
    names = [path.name for path in list_checkpoints(tmp_path)]
    assert names == ["step-000000003", "step-000000010"]


def test_when_the_newest_is_damaged_the_one_before_is_taken(tmp_path):
    moment = trained()
    older = save_checkpoint(tmp_path, moment, 1, content())
    newest = save_checkpoint(tmp_path, moment, 2, content())
    (newest / "state.safetensors").write_bytes(b"cut")
    assert newest_checkpoint(tmp_path) == older


def test_when_all_are_damaged_that_is_said(tmp_path):
    path = save_checkpoint(tmp_path, trained(), 1, content())
    (path / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match="all 1 checkpoints"):
        newest_checkpoint(tmp_path)


def test_without_checkpoints_there_is_none(tmp_path):
    assert newest_checkpoint(tmp_path / "nothing") is None


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    moment = trained()
    with torch.no_grad():
        moment.task.network[0].weight[0, 0] = float("nan")
    with pytest.raises(CheckpointError, match="not finite"):
        save_checkpoint(tmp_path, moment, 4, content())
    assert list_checkpoints(tmp_path) == []


def test_other_settings_are_refused_by_name_and_value(tmp_path):
    path = save_checkpoint(tmp_path, trained(), 1, content())
    with pytest.raises(CheckpointError, match="seed = 1 but this training has 2"):
        load_checkpoint(path, trained(), {"seed": 2})


def test_another_network_is_refused_and_left_alone(tmp_path):
    path = save_checkpoint(tmp_path, trained(), 1, content())
    other = trained(width=9)
    before = {k: v.clone() for k, v in other.task.network.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"\(8,\) but this network has \(9,\)"):
        load_checkpoint(path, other, {"seed": 1})
    after = other.task.network.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_another_task_is_refused(tmp_path):
    path = save_checkpoint(tmp_path, trained(), 1, content())
    with pytest.raises(CheckpointError, match="translator"):
        load_checkpoint(path, moment_of(Translation()), {"seed": 1})


def test_a_newer_version_is_refused(tmp_path):
    path = save_checkpoint(tmp_path, trained(), 1, content())
    update_content(path, "state", {"format_version": 99})
    with pytest.raises(CheckpointError, match="update Endoforge"):
        load_checkpoint(path, trained(), {"seed": 1})


def test_what_a_task_remembers_comes_back(tmp_path):
    moment = moment_of(Remembering())
    for step in range(3):
        train_step(moment.task, line_batch(step))
    path = save_checkpoint(tmp_path, moment, 3, content())
    fresh = moment_of(Remembering())
    load_checkpoint(path, fresh, {"seed": 1})
    assert torch.equal(fresh.task.kept, moment.task.kept)
    for one in (moment, fresh):
        torch.manual_seed(5)
        train_step(one.task, line_batch(3))
    assert torch.equal(fresh.task.kept, moment.task.kept)


def test_a_player_without_an_average_has_none_in_its_checkpoint(tmp_path):
    task = Translation()
    averages = {"translator": WeightsAverage(task.players["translator"].networks, 0.9)}
    moment = Moment(task, averages)
    updates = {"average_updates": {"translator": 0}}
    path = save_checkpoint(tmp_path, moment, 1, {**content(), **updates})
    load_checkpoint(path, moment, {"seed": 1})
    names = read_sealed(path, "state", "training-checkpoint", 1)[0]
    assert {n.split(".")[1] for n in names if n.startswith("average.")} == {"translator"}


def test_all_that_differs_is_named_with_its_path(tmp_path):
    saved = {"fingerprint": {"loss": {"l1": 1.0, "fool": 2.0}, "seed": 1}}
    path = save_checkpoint(tmp_path, trained(), 1, content(**saved))
    with pytest.raises(CheckpointError, match=r"loss\.l1 = 1\.0 but .* 3\.0; seed differ too"):
        load_checkpoint(path, trained(), {"loss": {"l1": 3.0, "fool": 2.0}, "seed": 2})


def test_a_setting_that_came_later_counts_as_its_value_of_then(tmp_path):
    path = save_checkpoint(tmp_path, trained(), 1, content())
    load_checkpoint(path, trained(), {"seed": 1, "schedule": "cosine"}, {"schedule": "cosine"})
    with pytest.raises(CheckpointError, match="schedule = 'cosine' but"):
        load_checkpoint(path, trained(), {"seed": 1, "schedule": "linear"}, {"schedule": "cosine"})

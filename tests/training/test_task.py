# SPDX-License-Identifier: Apache-2.0
"""One step of learning: players take turns, and a bad batch leaves no trace."""

import pytest
import torch

from endoforge.training.task import Task, train_step
from training.toys import Regression, Remembering, Translation, line_batch


def state(task):
    return {
        f"{name}.{key}": value.clone()
        for name, player in task.players.items()
        for key, value in player.networks.state_dict().items()
    }


def test_players_take_turns_and_the_translator_learns_the_mean():
    torch.manual_seed(0)
    task = Translation()
    for _ in range(1500):
        train_step(task, {"sim": torch.randn(64, 1), "real": 3 + 2 * torch.randn(64, 1)})
    assert abs(task.real_from_sim(torch.randn(5000, 1)).mean().item() - 3) < 0.8


def test_the_toys_are_tasks():
    assert isinstance(Translation(), Task)
    assert isinstance(Regression(), Task)


def test_losses_are_reported_by_player_and_name():
    report = train_step(Translation(), {"sim": torch.ones(4, 1), "real": torch.ones(4, 1)})
    assert set(report.losses) == {"translator/fool", "judge/real", "judge/translated"}
    assert report.trouble == ""


def test_a_player_moves_only_in_its_own_turn():
    task = Translation()
    task.players["judge"].optimiser.param_groups[0]["lr"] = 0.0
    before = state(task)
    train_step(task, {"sim": torch.ones(4, 1), "real": torch.ones(4, 1)})
    moved = {key for key, value in state(task).items() if not torch.equal(value, before[key])}
    assert moved == {"translator.0.weight", "translator.0.bias"}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_batch_is_named_and_moves_nothing(bad):
    task = Regression()
    train_step(task, line_batch(0))
    before = state(task)
    batch = dict(line_batch(1))
    batch["x"] = batch["x"].clone()
    batch["x"][3, 0] = bad
    report = train_step(task, batch)
    assert "line/square = nan" in report.trouble
    assert all(torch.equal(value, before[key]) for key, value in state(task).items())


def test_a_loss_that_is_finite_with_a_gradient_that_is_not_moves_nothing():
    class Cliff(Regression):
        def losses(self, player, batch, outputs):
            at_zero = (outputs["y"] - outputs["y"].detach()).abs().sqrt()  # slope 0/0 here
            return {"cliff": at_zero.mean()}

    task = Cliff()
    before = state(task)["line.0.0.weight"]
    report = train_step(task, line_batch(0))
    assert "gradient has length nan" in report.trouble
    assert torch.equal(state(task)["line.0.0.weight"], before)


def test_long_gradients_are_shortened():
    task = Regression()
    task.players["line"].optimiser.step = lambda: None
    train_step(task, line_batch(0), max_gradient_norm=1e-3)
    lengths = [p.grad.norm() ** 2 for p in task.network.parameters()]
    assert float(sum(lengths)) ** 0.5 == pytest.approx(1e-3, rel=1e-3)


def test_without_a_limit_gradients_keep_their_length():
    lengths = []
    for limit in (None, 1e9):
        torch.manual_seed(0)
        task = Regression()
        train_step(task, line_batch(0), max_gradient_norm=limit)
        lengths.append([p.grad.clone() for p in task.network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*lengths, strict=True))


def test_a_player_without_losses_rests():
    class Resting(Translation):
        def losses(self, player, batch, outputs):
            return super().losses(player, batch, outputs) if player == "judge" else {}

    task = Resting()
    before = state(task)
    report = train_step(task, {"sim": torch.ones(4, 1), "real": torch.ones(4, 1)})
    moved = {key.split(".")[0] for key, v in state(task).items() if not torch.equal(v, before[key])}
    assert moved == {"judge"}
    assert set(report.losses) == {"judge/real", "judge/translated"}


def test_what_a_task_remembers_is_kept_after_good_steps_only():
    task = Remembering()
    train_step(task, line_batch(0))
    kept = task.kept.clone()
    assert kept > 0
    bad = dict(line_batch(1))
    bad["x"] = bad["x"] * float("nan")
    assert train_step(task, bad).trouble
    assert torch.equal(task.kept, kept)


def test_one_bad_player_stops_the_step_for_all_that_follow():
    class Broken(Translation):
        def losses(self, player, batch, outputs):
            losses = dict(super().losses(player, batch, outputs))
            if player == "translator":
                losses["fool"] = losses["fool"] * float("nan")
            return losses

    task = Broken()
    before = state(task)
    report = train_step(task, {"sim": torch.ones(4, 1), "real": torch.ones(4, 1)})
    assert "translator/fool = nan" in report.trouble
    assert all(torch.equal(value, before[key]) for key, value in state(task).items())

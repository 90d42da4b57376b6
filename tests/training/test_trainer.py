# SPDX-License-Identifier: Apache-2.0
"""The training loop: exact resumption after a kill, rescue from bad numbers, the record."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from endoforge.errors import CheckpointError, TrainingDiverged
from endoforge.training.checkpoint import list_checkpoints
from endoforge.training.record import read_metrics
from endoforge.training.sealed import read_sealed
from endoforge.training.trainer import Training, make_fabric, rate_at, train
from training import toys
from training.toys import Remembering, line_batch, toy_settings, toy_training, weights_of


class StoppedError(Exception):
    pass


def stop_at(step, batches=line_batch):
    def stopping(now):
        if now == step:
            raise StoppedError
        return batches(now)

    return stopping


def run(folder, batches=line_batch, resume=True, settings=None, **parts):
    training, fabric = toy_training(folder, settings or toy_settings(), batches, **parts)
    train(training, fabric, resume)
    return training


def figures(folder):
    return [{k: v for k, v in line.items() if k != "wall_s"} for line in read_metrics(folder)]


def last_state(folder):
    return read_sealed(
        list_checkpoints(folder / "checkpoints")[-1], "state", "training-checkpoint", 1
    )


def same_as(one, other):
    (tensors, content), (others, other_content) = last_state(one), last_state(other)
    content.pop("wall_s"), other_content.pop("wall_s")
    return (
        content == other_content
        and tensors.keys() == others.keys()
        and all(torch.equal(tensors[key], others[key]) for key in tensors)
    )


def test_the_toy_is_learned(tmp_path):
    run(tmp_path, settings=toy_settings(steps=300))
    losses = [line["line/square"] for line in read_metrics(tmp_path) if "line/square" in line]
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("step", [1, 9, 10, 13, 27, 39])
def test_a_stopped_and_resumed_run_equals_an_unbroken_one_bit_by_bit(tmp_path, step):
    whole = run(tmp_path / "whole")
    with pytest.raises(StoppedError):
        run(tmp_path / "broken", stop_at(step))
    torch.manual_seed(12345)
    broken = run(tmp_path / "broken")
    ours, theirs = weights_of(broken), weights_of(whole)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert same_as(tmp_path / "broken", tmp_path / "whole")
    assert figures(tmp_path / "broken") == figures(tmp_path / "whole")


def test_killed_again_and_again_a_run_still_equals_an_unbroken_one(tmp_path):
    run(tmp_path / "whole")
    for kill_at in (8, 27):
        _kill_when(tmp_path / "killed", kill_at)
    run(tmp_path / "killed")
    assert same_as(tmp_path / "killed", tmp_path / "whole")
    assert figures(tmp_path / "killed") == figures(tmp_path / "whole")


def _kill_when(folder: Path, step: int) -> None:
    """Train in another process and kill it as it begins a step."""
    command = [sys.executable, "-m", "training.toys", str(folder), "0.02"]
    paths = [Path(toys.__file__).parents[1], Path(__file__).parents[2] / "src"]
    environment = {
        "PYTHONPATH": ":".join(map(str, paths)),
        "PATH": "/usr/bin:/bin",
        "OMP_NUM_THREADS": "1",
    }
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stdout:
            if int(line) >= step:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL


def test_a_resumed_run_says_so(tmp_path):
    with pytest.raises(StoppedError):
        run(tmp_path, stop_at(25))
    run(tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text())["resumed"] == [
        {"step": 20, "changed": {}}
    ]


def test_beginning_anew_forgets_the_old_run(tmp_path):
    run(tmp_path)
    seen = []
    run(tmp_path, lambda step: seen.append(step) or line_batch(step), resume=False)
    assert seen[0] == 0
    assert [line["step"] for line in read_metrics(tmp_path)] == list(range(5, 41, 5))


def test_a_finished_run_stays_as_it_is(tmp_path):
    run(tmp_path)
    run(tmp_path, stop_at(0))
    assert len(read_metrics(tmp_path)) == 8


def test_more_steps_may_be_asked_for_but_not_another_rate(tmp_path):
    run(tmp_path)
    run(tmp_path, settings=toy_settings(steps=45, report_every=9))
    resumed = json.loads((tmp_path / "manifest.json").read_text())["resumed"]
    assert resumed == [{"step": 40, "changed": {"steps": [40, 45], "report_every": [5, 9]}}]
    with pytest.raises(CheckpointError, match="learning_rate"):
        run(tmp_path, settings=toy_settings(learning_rate=5e-3))


def test_other_data_are_refused(tmp_path):
    run(tmp_path, fingerprint={"data": "one"})
    with pytest.raises(CheckpointError, match="data = 'one'"):
        run(tmp_path, fingerprint={"data": "two"})


# ---- rescue ----


def poisoned(steps):
    def batches(step):
        batch = dict(line_batch(step))
        if step in steps:
            batch["x"] = batch["x"] * float("nan")
            batch["item"] = torch.arange(16)
        return batch

    return batches


def test_a_few_bad_batches_are_skipped_counted_and_named(tmp_path):
    run(tmp_path, poisoned({7, 8, 23}))
    assert read_metrics(tmp_path)[-1]["skipped"] == 3
    skipped = json.loads((tmp_path / "manifest.json").read_text())["skipped"]
    assert [event["step"] for event in skipped] == [7, 8, 23]
    assert skipped[0]["items"] == list(range(16))
    assert skipped[0]["non_finite_inputs"] == ["x"]


def test_bad_batches_for_ever_stop_the_training_with_sound_weights(tmp_path):
    settings = toy_settings(skips=2, rollbacks=2)
    with pytest.raises(TrainingDiverged, match=r"step 1[0-9].*lower the learning rate"):
        run(tmp_path, poisoned(set(range(13, 1000))), settings=settings)
    tensors, content = last_state(tmp_path)
    assert content["step"] == 10
    assert all(torch.isfinite(t).all() for t in tensors.values() if t.is_floating_point())


def test_a_return_to_a_checkpoint_halves_the_rate_and_goes_on(tmp_path):
    bad = set(range(13, 17))
    seen = []

    def passing(step):
        """Bad at its first visit, good when the training comes by again."""
        if step in bad:
            bad.discard(step)
            return poisoned({step})(step)
        seen.append(step)
        return line_batch(step)

    run(tmp_path, passing, settings=toy_settings(skips=3))
    _, content = last_state(tmp_path)
    assert (content["rollbacks"], content["rate_factor"], content["step"]) == (1, 0.5, 40)
    assert seen.count(11) == 2


def test_weights_that_break_are_rolled_back_not_saved(tmp_path):
    broken = []

    def breaking(step):
        if step == 15 and not broken:
            broken.append(step)
            training.task.network[0].bias.data[0] = float("nan")
        return line_batch(step)

    training, fabric = toy_training(tmp_path, toy_settings(), breaking)
    train(training, fabric)
    tensors, content = last_state(tmp_path)
    assert content["rollbacks"] == 1
    assert all(torch.isfinite(t).all() for t in tensors.values() if t.is_floating_point())


# ---- schedule, record, validation ----


def test_the_rate_warms_up_linearly_and_falls_along_half_a_cosine():
    settings = toy_settings(steps=105, warm_up=5, final_rate=0.1)
    assert [rate_at(step, settings) for step in (0, 4)] == pytest.approx([0.2, 1.0])
    assert rate_at(55, settings) == pytest.approx(0.55)
    assert rate_at(105, settings) == pytest.approx(0.1)
    assert rate_at(10**6, settings) == pytest.approx(0.1)


def test_a_constant_rate_stays_and_a_linear_one_falls_after_its_hold():
    constant = toy_settings(steps=100, warm_up=0, schedule="constant")
    assert [rate_at(step, constant) for step in (0, 50, 99)] == [1.0, 1.0, 1.0]
    linear = toy_settings(steps=100, warm_up=0, schedule="linear", hold=0.5, final_rate=0.0)
    found = [rate_at(step, linear) for step in (0, 50, 75, 100)]
    assert found == pytest.approx([1.0, 1.0, 0.5, 0.0])


def test_a_halving_rate_halves_every_so_many_steps():
    settings = toy_settings(steps=100, warm_up=0, schedule="halving", halve_every=30)
    assert [rate_at(step, settings) for step in (0, 29, 30, 60, 90)] == [1, 1, 0.5, 0.25, 0.125]


def test_what_a_task_remembers_survives_a_stop(tmp_path):
    def trained(folder, batches=line_batch):
        settings = toy_settings()
        fabric = make_fabric(settings)
        training = Training(Remembering(), batches, settings, folder)
        train(training, fabric)
        return training.task.kept

    whole = trained(tmp_path / "whole")
    with pytest.raises(StoppedError):
        trained(tmp_path / "broken", stop_at(27))
    torch.manual_seed(99)
    assert torch.equal(trained(tmp_path / "broken"), whole)


def test_validation_and_export_see_the_averaged_weights_in_evaluation_mode(tmp_path):
    seen = []

    def look():
        network = training.task.network
        seen.append((network.training, network[0].weight.clone()))
        return {"figure": 1.5, "empty": float("nan")}

    exported = []
    training, fabric = toy_training(tmp_path, toy_settings())
    training = replace(training, validate=look, export=exported.append)
    result = train(training, fabric)
    assert [mode for mode, _ in seen] == [False, False]
    assert not torch.equal(seen[-1][1], training.task.network[0].weight)
    assert exported == [20, 40]
    assert result["validation/figure"] == 1.5
    assert "validation/empty" not in result
    assert read_metrics(tmp_path)[-1]["validation/figure"] == 1.5


def test_progress_is_told_steps_and_figures(tmp_path):
    told = []
    run(tmp_path, progress=told.append)
    assert [(now.step, now.steps) for now in told] == [(k, 40) for k in range(5, 41, 5)]
    assert "line/square" in told[0].values


def test_bfloat16_trains_with_float32_weights(tmp_path):
    training = run(tmp_path, settings=toy_settings(precision="bfloat16"))
    assert {p.dtype for p in training.task.network.parameters()} == {torch.float32}
    assert all(torch.isfinite(p).all() for p in training.task.network.parameters())

# SPDX-License-Identifier: Apache-2.0
"""Training on data sets: it learns, leaves a complete run, and goes on exactly after a kill."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from depth.conftest import TINY, tiny_settings
from endoforge.depth.data import TrainingFrames
from endoforge.depth.fitting import DepthBatches, DepthRun
from endoforge.depth.settings import DepthSettings
from endoforge.depth.train import train_depth, train_on_frames
from endoforge.errors import CheckpointError, DataError, SettingsError
from endoforge.frames.flat_cache import Split
from endoforge.settings import validate
from endoforge.training.checkpoint import list_checkpoints
from endoforge.training.record import read_metrics
from endoforge.training.sealed import read_sealed
from frames.analytic import write_analytic_dataset

PROGRAM = """
import sys
from pathlib import Path
from endoforge.depth.settings import DepthSettings
from endoforge.depth.train import train_depth
settings = DepthSettings.model_validate_json(sys.argv[3])
report = lambda done, total: (sys.stdout.write(f"{done}\\n"), sys.stdout.flush())
train_depth([Path(sys.argv[1])], Path(sys.argv[2]), settings, progress=report)
"""


def final_state(run):
    tensors, content = read_sealed(
        list_checkpoints(run / "checkpoints")[-1], "state", "training-checkpoint", 1
    )
    content.pop("wall_s")
    return tensors, content


def figures(run):
    return [{k: v for k, v in line.items() if k != "wall_s"} for line in read_metrics(run)]


def test_a_run_folder_is_complete(trained):
    names = {path.name for path in trained.run.iterdir()}
    assert names == {"settings.json", "metrics.jsonl", "manifest.json", "checkpoints", "model"}
    settings = json.loads((trained.run / "settings.json").read_text())
    assert DepthSettings.model_validate(settings) == tiny_settings()
    manifest = json.loads((trained.run / "manifest.json").read_text())
    assert (manifest["frames"], manifest["held_out_frames"]) == (12, 6)
    assert manifest["parameters"] == trained.report.parameters


def test_metrics_hold_losses_and_validation_under_stated_alignments(trained):
    lines = read_metrics(trained.run)
    assert {"depth/absolute", "depth/gradient", "depth/scale_invariant"} < set(lines[0])
    validations = [line for line in lines if "validation/abs_rel" in line]
    assert [line["step"] for line in validations] == [5, 10]
    assert "validation/abs_rel_median_scaled" in validations[-1]
    assert trained.report.figures["validation/abs_rel"] == validations[-1]["validation/abs_rel"]


def test_a_killed_and_resumed_training_equals_an_unbroken_one_bit_by_bit(trained, tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-c", PROGRAM, str(trained.data), str(run), json.dumps(TINY)]
    environment = {
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "PATH": "/usr/bin:/bin",
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stdout:
            if int(line) >= 6:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert not (run / "checkpoints" / "step-000000010").exists()
    train_depth([trained.data], run, tiny_settings())
    (tensors, content), (others, other_content) = final_state(run), final_state(trained.run)
    assert content == other_content
    assert all(torch.equal(tensors[key], others[key]) for key in others)
    assert figures(run) == figures(trained.run)
    weights = [folder / "model" / "model.safetensors" for folder in (run, trained.run)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_few_pictures_are_learned_by_heart(tmp_path):
    rng = np.random.default_rng(0)
    v, u = np.mgrid[-1:1:32j, -1:1:32j]
    image, depth = np.empty((4, 3, 32, 32), np.uint8), np.empty((4, 1, 32, 32), np.float16)
    for k in range(4):
        depth[k, 0] = 15 / (np.hypot(u - rng.uniform(-1, 1), v - rng.uniform(-1, 1)) + 0.3)
        image[k] = (255 * np.clip(12 / depth[k], 0, 1)).astype(np.uint8)
    frames = TrainingFrames(image, depth, np.zeros(4, np.int64))
    settings = tiny_settings(
        width=32, height=32, steps=150, learning_rate=5e-3, augment={"strength": 0, "flip": False},
        report_every=150, validate_every=150, checkpoint_every=150,
    )  # fmt: skip
    split = Split(np.arange(4), np.arange(4))
    found = train_on_frames(DepthRun(frames, split, "toy", tmp_path, settings))
    assert found["validation/abs_rel"] < 0.06
    assert found["validation/delta1"] > 0.97


def test_invalid_pixels_teach_nothing(tmp_path):
    """Two data sets that differ only under the mask give the same first batch of depth."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(5, 400, (8, 1, 32, 32)).astype(np.float16)
    image = rng.integers(0, 256, (8, 3, 32, 32), dtype=np.uint8)
    frames = TrainingFrames(image, depth, np.zeros(8, np.int64))
    settings = tiny_settings(width=32, height=32, max_depth_mm=200.0)
    run = DepthRun(frames, Split(np.arange(8), np.arange(0)), "toy", tmp_path, settings)
    batch = DepthBatches(run, torch.device("cpu"))(0)
    assert batch["depth_mm"].max() <= 200
    assert not (batch["valid"] & (batch["depth_mm"] == 0)).any()
    assert batch["valid"].any()


def test_a_batch_depends_on_its_step_alone(tmp_path, trained):
    rng = np.random.default_rng(0)
    frames = TrainingFrames(
        rng.integers(0, 256, (9, 3, 32, 32), dtype=np.uint8),
        rng.uniform(5, 50, (9, 1, 32, 32)).astype(np.float16),
        np.zeros(9, np.int64),
    )
    settings = tiny_settings(width=32, height=32)
    run = DepthRun(frames, Split(np.arange(9), np.arange(0)), "toy", tmp_path, settings)
    first, second = (DepthBatches(run, torch.device("cpu")) for _ in range(2))
    for step in range(3):
        first(step)
    ours, theirs = first(3), second(3)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_fine_tuning_starts_from_the_given_model(trained, tmp_path):
    settings = tiny_settings(steps=1, learning_rate=1e-9, warm_up=0, average=0.0)
    train_depth([trained.data], tmp_path, settings, start_from=trained.run)
    first, _ = read_sealed(trained.run / "model", "model", "depth-model", 1)
    tuned, _ = read_sealed(tmp_path / "model", "model", "depth-model", 1)
    for key, value in first.items():
        if key.endswith("weight"):
            torch.testing.assert_close(tuned[key], value, atol=1e-6, rtol=0)


def test_fine_tuning_with_another_network_is_refused(trained, tmp_path):
    settings = tiny_settings(network={"widths": (8, 8, 8), "blocks": (0, 0, 0)})
    with pytest.raises(CheckpointError, match=r"set network\.\*"):
        train_depth([trained.data], tmp_path, settings, start_from=trained.run)


def test_a_dry_run_tells_sizes_and_writes_nothing(trained, tmp_path):
    report = train_depth([trained.data], tmp_path / "run", tiny_settings(), dry_run=True)
    assert report.dry_run
    assert (report.frames, report.steps) == (18, 10)
    assert report.parameters == trained.report.parameters
    assert not (tmp_path / "run").exists()


def test_going_on_with_other_data_is_refused(trained, tmp_path):
    other = write_analytic_dataset(tmp_path / "other", sequences=2, frames=2)
    with pytest.raises(CheckpointError, match="data ="):
        train_depth([other], trained.run, tiny_settings())


def test_going_on_with_another_loss_is_refused_by_name(trained):
    with pytest.raises(CheckpointError, match=r"loss\.gradient = "):
        train_depth([trained.data], trained.run, tiny_settings(loss={"gradient": 0.0}))


def test_a_missing_data_set_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        train_depth([tmp_path / "nowhere"], tmp_path / "run", tiny_settings())


def test_a_size_that_the_network_cannot_take_is_refused():
    with pytest.raises(SettingsError, match="multiples of 16"):
        validate(DepthSettings, {"width": 150})


def test_a_misspelt_setting_is_answered_with_the_nearest():
    with pytest.raises(SettingsError, match="did you mean 'strength'"):
        validate(DepthSettings, {"augment": {"strenght": 1}})

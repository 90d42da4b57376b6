# SPDX-License-Identifier: Apache-2.0
"""Two processes that share each batch learn what one learns from all of it, and go on exactly."""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from endoforge.errors import SettingsError
from endoforge.settings import validate
from endoforge.training.checkpoint import list_checkpoints
from endoforge.training.processes import Alone, gathered, own, share_of
from endoforge.training.record import read_metrics
from endoforge.training.sealed import read_sealed
from endoforge.training.settings import TrainerSettings
from endoforge.training.trainer import Training, make_fabric, train
from training import toys
from training.toys import Regression, line_batch, toy_settings


@dataclass
class Rank(Alone):
    """One of several."""

    global_rank: int = 0
    world_size: int = 2


def run_together(folder: Path, steps: int) -> None:
    """Start both processes by hand, as torchrun does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    paths = [Path(toys.__file__).parents[1], Path(__file__).parents[2] / "src"]
    environment = os.environ | {
        "PYTHONPATH": ":".join(map(str, paths)),
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "NODE_RANK": "0",
    }
    command = [sys.executable, "-m", "training.together", str(folder), str(steps)]
    started = [
        subprocess.Popen(command, env=environment | {"LOCAL_RANK": str(rank)}) for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0]


def last(folder: Path) -> dict[str, torch.Tensor]:
    newest = list_checkpoints(folder / "checkpoints")[-1]
    return read_sealed(newest, "state", "training-checkpoint", 1)[0]


def test_two_processes_learn_what_one_does_and_go_on_bit_by_bit(tmp_path):
    run_together(tmp_path / "whole", 20)
    run_together(tmp_path / "broken", 10)
    run_together(tmp_path / "broken", 20)
    whole, broken = last(tmp_path / "whole"), last(tmp_path / "broken")
    assert whole.keys() == broken.keys()
    assert "process-1.random.torch" in whole
    assert all(torch.equal(whole[key], broken[key]) for key in whole)

    settings = toy_settings(steps=20, schedule="constant", validate_every=1000)
    fabric = make_fabric(settings)
    train(Training(Regression(norm=False), line_batch, settings, tmp_path / "one"), fabric)
    alone = last(tmp_path / "one")
    for key, value in alone.items():
        if key.startswith("network"):
            torch.testing.assert_close(whole[key], value, atol=1e-5, rtol=1e-4)
    ours, theirs = read_metrics(tmp_path / "whole"), read_metrics(tmp_path / "one")
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one["line/square"] == pytest.approx(other["line/square"], rel=1e-4)


def test_together_they_see_a_batch_once():
    batch = {"x": torch.arange(6)}
    shares = [share_of(batch, Rank(global_rank=rank))["x"] for rank in range(2)]
    assert sorted(torch.cat(shares).tolist()) == list(range(6))
    assert share_of(batch, Alone()) is batch


def test_each_finds_its_own_values_again():
    tensors = gathered({"a": torch.ones(2)}, "state.", Alone())
    tensors["process-1.state.a"] = torch.zeros(2)
    assert own(tensors, "state.", Rank(global_rank=0))["a"].tolist() == [1, 1]
    assert own(tensors, "state.", Rank(global_rank=1))["a"].tolist() == [0, 0]


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(SettingsError, match="batch 5 cannot be shared evenly by 2 devices"):
        validate(TrainerSettings, {"batch": 5, "devices": 2})

# SPDX-License-Identifier: Apache-2.0
"""Small tasks that the trainer's tests train, and a program that a test can kill."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from endoforge.streams import stream
from endoforge.training.settings import TrainerSettings
from endoforge.training.task import Batch, Player
from endoforge.training.trainer import Training, make_fabric, train


class Regression:
    """Learns y = 2 x₁ - x₂ with a hidden layer, normalised if wanted."""

    def __init__(self, width: int = 8, norm: bool = True) -> None:
        between = nn.BatchNorm1d(width) if norm else nn.Identity()
        hidden = [nn.Linear(2, width), between, nn.Tanh()]
        self.network = nn.Sequential(*hidden, nn.Linear(width, 1))
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=1e-2)
        self.players = {"line": Player(nn.ModuleList([self.network]), optimiser)}

    def forward(self, batch: Batch) -> Batch:
        return {"y": self.network(batch["x"])}

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        return {"square": (outputs["y"] - batch["y"]).square().mean()}


class Stripes:
    """Learns the mean of a picture with a kernel stored channels last and a fused optimiser."""

    def __init__(self) -> None:
        self.network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=1e-2, fused=True)
        self.players = {"line": Player(nn.ModuleList([self.network]), optimiser)}

    def forward(self, batch: Batch) -> Batch:
        return {"y": self.network(batch["x"]).mean(dim=(2, 3))}

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        return {"square": (outputs["y"] - batch["x"].mean(dim=(1, 2, 3))[:, None]).square().mean()}


def picture_batch(step: int) -> Batch:
    x = stream(6, "toy", step).normal(size=(4, 3, 8, 8)).astype(np.float32)
    return {"x": torch.from_numpy(x).contiguous(memory_format=torch.channels_last)}


class Translation:
    """Learns to turn N(0, 1) into N(3, 2) with a least-squares judge."""

    def __init__(self) -> None:
        self.real_from_sim = nn.Linear(1, 1)
        self.judge_real = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
        translator, judge = nn.ModuleList([self.real_from_sim]), nn.ModuleList([self.judge_real])
        self.players = {
            "translator": Player(translator, torch.optim.Adam(translator.parameters(), lr=5e-3)),
            "judge": Player(judge, torch.optim.Adam(judge.parameters(), lr=1e-2)),
        }

    def forward(self, batch: Batch) -> Batch:
        return {"real_from_sim": self.real_from_sim(batch["sim"])}

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        translated = outputs["real_from_sim"]
        if player == "translator":
            return {"fool": (self.judge_real(translated) - 1).square().mean()}
        return {
            "real": (self.judge_real(batch["real"]) - 1).square().mean(),
            "translated": self.judge_real(translated.detach()).square().mean(),
        }


class Remembering(Regression):
    """Also counts its good steps and draws a random number in each."""

    def __init__(self) -> None:
        super().__init__()
        self.kept, self.seen = torch.zeros(()), torch.zeros(())

    def forward(self, batch: Batch) -> Batch:
        self.seen = torch.rand(())
        return super().forward(batch)

    def state(self) -> Mapping[str, Tensor]:
        return {"kept": self.kept}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.kept = state["kept"].clone()

    def settle(self, kept: bool) -> None:
        if kept:
            self.kept = 0.5 * self.kept + self.seen


def line_batch(step: int) -> Batch:
    x = stream(5, "toy", step).normal(size=(16, 2)).astype(np.float32)
    y = 2 * x[:, :1] - x[:, 1:]
    return {"x": torch.from_numpy(x), "y": torch.from_numpy(y)}


def toy_settings(**changes: object) -> TrainerSettings:
    values = {
        "steps": 40,
        "warm_up": 5,
        "learning_rate": 1e-2,
        "precision": "float32",
        "device": "cpu",
        "report_every": 5,
        "validate_every": 20,
        "checkpoint_every": 10,
        "average": 0.9,
    }
    return TrainerSettings.model_validate(values | changes)


def toy_training(folder: Path, settings: TrainerSettings, batches=line_batch, **parts: object):
    """Return a training and its fabric; the same settings give the same first weights."""
    fabric = make_fabric(settings)
    return Training(Regression(), batches, settings, folder, **parts), fabric


def weights_of(training: Training) -> dict[str, Tensor]:
    found = {}
    for name, player in training.task.players.items():
        found |= {f"{name}.{k}": v.clone() for k, v in player.networks.state_dict().items()}
    return found


def main(folder: str, pause_s: str) -> None:
    """Train slowly, saying each step, so that a test can kill this process at any of them."""

    def slow(step: int) -> Batch:
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()
        time.sleep(float(pause_s))
        return line_batch(step)

    training, fabric = toy_training(Path(folder), toy_settings(), slow)
    train(training, fabric)


if __name__ == "__main__":
    main(*sys.argv[1:])

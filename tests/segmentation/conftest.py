# SPDX-License-Identifier: Apache-2.0
"""One tiny training that the segmentation tests share."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from endoforge.segmentation.settings import SegmentationSettings
from endoforge.segmentation.train import train_segmentation
from endoforge.training.report import TrainingReport
from frames.analytic import write_analytic_dataset

TINY = {
    "network": {"widths": (8, 12, 16), "blocks": (0, 1, 1)},
    "width": 64,
    "height": 48,
    "batch": 4,
    "steps": 10,
    "warm_up": 2,
    "device": "cpu",
    "report_every": 2,
    "validate_every": 5,
    "checkpoint_every": 4,
    "merge": {"outside": "ignore", "fold": "wall"},
}


def tiny_settings(**changes: object) -> SegmentationSettings:
    return SegmentationSettings.model_validate(TINY | changes)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Trained:
    """A finished run with its data and its report."""

    data: Path
    run: Path
    report: TrainingReport


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("tiny")
    data = write_analytic_dataset(folder / "data", sequences=3, frames=6)
    return Trained(
        data, folder / "run", train_segmentation([data], folder / "run", tiny_settings())
    )

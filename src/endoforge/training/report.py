# SPDX-License-Identifier: Apache-2.0
"""What a training tells whoever started it, whatever it trains."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from endoforge.training.trainer import Progress

log = logging.getLogger(__name__)

StepsDone = Callable[[int, int], None]


@dataclass(frozen=True)
class TrainingReport:
    """What a training did, or would do.

    Attributes:
        out: The run's folder.
        steps: Steps done in all; to do, for a dry run.
        frames: Frames in all, held-out ones included.
        parameters: Numbers that the network learns.
        model_bytes: Size of the weights on disk, about.
        cache_bytes: Size of the decoded frames.
        figures: The last reported losses and validation figures.
        dry_run: True if nothing was trained.
    """

    out: Path
    steps: int
    frames: int
    parameters: int
    model_bytes: int
    cache_bytes: int
    figures: dict[str, float]
    dry_run: bool


def forwarded(progress: StepsDone | None) -> Callable[[Progress], None]:
    """Return what the trainer calls at each report: it logs, and counts steps for `progress`."""

    def report(now: Progress) -> None:
        log.info("step %d of %d: %s", now.step, now.steps, now.values)
        if progress is not None:
            progress(now.step, now.steps)

    return report


def log_decoding(done: int, total: int) -> None:
    """Say now and then how many frames are decoded."""
    if done % 500 == 0 or done == total:
        log.info("decoded %d of %d frames", done, total)


def parameters_of(network: nn.Module) -> int:
    """Return how many numbers a network learns."""
    return sum(parameter.numel() for parameter in network.parameters())

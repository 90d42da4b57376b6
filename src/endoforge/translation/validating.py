# SPDX-License-Identifier: Apache-2.0
"""A method's own losses on pictures that it does not learn from."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch

from endoforge.training.task import Batch
from endoforge.translation.fitting import TranslationRun, batches_of
from endoforge.translation.translator import TranslationTask

#: Batches of each validation, always the same ones.
_BATCHES = 8


class HeldOutLosses:
    """The weighted losses of the translators, averaged over the same few batches each time.

    Those of a judge say nothing about pictures, so they are left out; so are those of a player who
    rests at that step. Nothing that a training depends on is changed: neither weights and running
    statistics nor histories nor torch's random numbers.
    """

    def __init__(self, run: TranslationRun, task: TranslationTask, device: torch.device) -> None:
        assert run.held is not None
        source, target = run.held
        self._task, self._device = task, device
        self._seed = run.settings.seed
        self._batches = batches_of(replace(run, source=source, target=target), device)

    def __call__(self) -> Mapping[str, float]:
        """Return the mean of each loss by its name."""
        sums: dict[str, list[float]] = {}
        with _undisturbed(self._task, self._device):
            torch.manual_seed(self._seed)
            for step in range(_BATCHES):
                for name, value in self._losses(self._batches(step)).items():
                    sums.setdefault(name, []).append(value)
        return {name: sum(values) / len(values) for name, values in sums.items()}

    def _losses(self, batch: Batch) -> dict[str, float]:
        outputs = self._task.forward(batch)
        found: dict[str, float] = {}
        for name, player in self._task.players.items():
            if player.averaged:
                losses = self._task.losses(name, batch, outputs)
                found |= {f"{name}/{key}": float(value) for key, value in losses.items()}
        return found


@contextmanager
def _undisturbed(task: TranslationTask, device: torch.device) -> Iterator[None]:
    modules = [part for player in task.players.values() for part in player.networks.modules()]
    modes = [(module, module.training) for module in modules]
    devices = [device] if device.type == "cuda" else []
    for module in modules:
        module.training = False
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode

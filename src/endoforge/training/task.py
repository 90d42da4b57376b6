# SPDX-License-Identifier: Apache-2.0
"""What the trainer must know about a problem, and one step of learning.

A task names its players and gives each its losses; a depth network is one player, a translator
with its judges two or more.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Player:
    """Networks that share one optimiser and one objective.

    Attributes:
        networks: What moves in its turn.
        optimiser: Of all parameters of the networks.
        averaged: Keep a running average of its weights; a judge needs none.
    """

    networks: nn.ModuleList
    optimiser: torch.optim.Optimizer
    averaged: bool = True


@runtime_checkable
class Task(Protocol):
    """What the trainer must know about a problem; the players move in dictionary order."""

    @property
    def players(self) -> Mapping[str, Player]:
        """All players by name."""
        ...

    def forward(self, batch: Batch) -> Batch:
        """Run the networks once for all players."""
        ...

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        """Return the weighted losses that one player is to make small; none lets it rest."""
        ...


@runtime_checkable
class KeepsState(Protocol):
    """A task that remembers more than weights from step to step, e.g. a history of pictures."""

    def state(self) -> Mapping[str, Tensor]:
        """Return all of it by name, for a checkpoint."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` returned."""
        ...

    def settle(self, kept: bool) -> None:
        """Keep what the step changed, or forget it if the step was a bad one."""
        ...


@runtime_checkable
class Engine(Protocol):
    """The part of Lightning Fabric that a step needs."""

    def autocast(self) -> AbstractContextManager[Any]:
        """Choose the precision of what runs inside."""
        ...

    def backward(self, tensor: Tensor) -> None:
        """Compute gradients."""
        ...

    @property
    def world_size(self) -> int:
        """How many processes share each batch."""
        ...

    def all_reduce(self, data: Tensor) -> Any:
        """Return the mean of a tensor over all processes."""
        ...


class PlainEngine:
    """Runs a step as it is written, without Lightning Fabric."""

    def autocast(self) -> AbstractContextManager[Any]:
        """Leave the precision alone."""
        return nullcontext()

    def backward(self, tensor: Tensor) -> None:
        """Compute gradients."""
        torch.autograd.backward(tensor)

    @property
    def world_size(self) -> int:
        """One process."""
        return 1

    def all_reduce(self, data: Tensor) -> Any:
        """Return the tensor itself."""
        return data


@dataclass(frozen=True)
class StepReport:
    """What one step did.

    Attributes:
        losses: Each loss, already weighted, as ``"<player>/<loss>"``.
        trouble: Empty, or which number was not finite; that player did not move then.
    """

    losses: Mapping[str, float]
    trouble: str = ""


def train_step(
    task: Task,
    batch: Batch,
    engine: Engine | None = None,
    max_gradient_norm: float | None = None,
) -> StepReport:
    """Let every player improve once on one batch.

    A player whose loss or gradient is not finite does not move, and running statistics that the
    forward pass touched are put back, so a bad batch leaves no trace in the weights. Where several
    processes share a batch, losses and gradients are means over them, so all decide alike.
    """
    engine = engine or PlainEngine()
    report: dict[str, float] = {}
    trouble: list[str] = []
    for player in task.players.values():
        player.networks.requires_grad_(True)  # the last turn left some of them frozen
    statistics = [(buffer, buffer.clone()) for buffer in _buffers(task)]
    with engine.autocast():
        outputs = task.forward(batch)
    for name, player in task.players.items():
        _freeze_all_but(name, task)
        with engine.autocast():
            losses = task.losses(name, batch, outputs)
        if not losses:
            continue  # it rests in this step
        values = _values(name, losses, engine)
        trouble += [f"{k} = {v}" for k, v in values.items() if not math.isfinite(v)]
        report |= values
        if not trouble:
            trouble += _improve(name, player, losses, (engine, max_gradient_norm))
    _settle(task, statistics, engine, kept=not trouble)
    return StepReport(report, "; ".join(trouble))


def _freeze_all_but(name: str, task: Task) -> None:
    for other, player in task.players.items():
        if len(task.players) > 1:
            player.networks.requires_grad_(other == name)


def _settle(
    task: Task, statistics: list[tuple[Tensor, Tensor]], engine: Engine, kept: bool
) -> None:
    """Keep what the step changed besides weights, or put it back as it was before."""
    if not kept:
        for buffer, before in statistics:
            buffer.copy_(before)
    elif engine.world_size > 1:
        _average([buffer for buffer, _ in statistics if buffer.is_floating_point()], engine)
    if isinstance(task, KeepsState):
        task.settle(kept)


def _values(name: str, losses: Mapping[str, Tensor], engine: Engine) -> dict[str, float]:
    """Return the losses as numbers; one that is not finite in any process is so in all."""
    stacked = torch.stack([value.detach().float() for value in losses.values()])
    numbers = (engine.all_reduce(stacked) if engine.world_size > 1 else stacked).tolist()
    return {f"{name}/{key}": value for key, value in zip(losses, numbers, strict=True)}


def _improve(
    name: str, player: Player, losses: Batch, how: tuple[Engine, float | None]
) -> list[str]:
    """Move one player along its gradient; return what was wrong if it could not."""
    engine, limit = how
    player.optimiser.zero_grad(set_to_none=True)
    engine.backward(torch.stack([value.float() for value in losses.values()]).sum())
    found = [p.grad for p in player.networks.parameters() if p.grad is not None]
    if engine.world_size > 1:
        _average(found, engine)
    if limit is None:
        length = float(nn.utils.get_total_norm(found))
    else:
        length = float(nn.utils.clip_grad_norm_(player.networks.parameters(), limit))
    if not math.isfinite(length):
        player.optimiser.zero_grad(set_to_none=True)
        return [f"{name}'s gradient has length {length}"]
    player.optimiser.step()
    return []


def _average(tensors: list[Tensor], engine: Engine) -> None:
    """Set tensors to their mean over all processes, in one message."""
    if tensors:
        flat = engine.all_reduce(torch.cat([tensor.reshape(-1) for tensor in tensors]))
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.reshape(tensor.shape))


def _buffers(task: Task) -> Iterator[Tensor]:
    for player in task.players.values():
        yield from player.networks.buffers()

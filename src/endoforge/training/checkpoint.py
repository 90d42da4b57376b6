# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: everything that a training needs to go on as if it had never stopped.

Tensors in safetensors, all else in JSON, both sealed (`training.sealed`). Two are kept, and the
newest is read back before the oldest is removed.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from endoforge.errors import CheckpointError
from endoforge.training.average import WeightsAverage, copy_state
from endoforge.training.processes import (
    Alone,
    Processes,
    gathered,
    own,
    random_state,
    restore_random,
)
from endoforge.training.sealed import is_intact, read_sealed, remove_unfinished, write_sealed
from endoforge.training.task import KeepsState, Player, Task

KIND, NAME, FORMAT_VERSION = "training-checkpoint", "state", 1
_FOLDER = re.compile(r"^step-(\d{9})$")


@dataclass(frozen=True)
class Moment:
    """A training between two steps; its tensors are those of the task itself.

    Attributes:
        task: Whose networks, optimisers and other state are saved or filled in.
        averages: The running average of the weights of each player that has one.
        processes: Who trains it.
    """

    task: Task
    averages: Mapping[str, WeightsAverage]
    processes: Processes = field(default_factory=Alone)


def save_checkpoint(folder: Path, moment: Moment, step: int, content: Mapping[str, Any]) -> Path:
    """Write a checkpoint, read it back, and remove all but the two newest.

    All processes that train together call it; one of them writes.

    Args:
        folder: Holds all checkpoints of a run.
        moment: What to save.
        step: Number of steps done.
        content: Plain values to find again when going on.

    Raises:
        CheckpointError: A weight is not finite, or what was written does not read back.
        StorageError: The disk is full; the older checkpoints are still there.
    """
    tensors = dict(_tensors(moment))
    _refuse_non_finite(tensors, step)
    target = folder / f"step-{step:09d}"
    if moment.processes.global_rank:
        moment.processes.barrier()
        return target
    everything = {**content, "kind": KIND, "format_version": FORMAT_VERSION, "step": step}
    write_sealed(target, NAME, tensors, everything)
    if not is_intact(target, NAME):
        raise CheckpointError(f"{target} does not read back as it was written; check the disk")
    for old in list_checkpoints(folder)[:-2]:
        shutil.rmtree(old, ignore_errors=True)
    moment.processes.barrier()
    return target


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if _FOLDER.match(path.name))


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest undamaged checkpoint, or None if there never was one.

    Raises:
        CheckpointError: There are checkpoints, but every one is damaged.
    """
    remove_unfinished(folder)
    found = list_checkpoints(folder)
    for path in reversed(found):
        if is_intact(path, NAME):
            return path
    if found:
        raise CheckpointError(
            f"all {len(found)} checkpoints in {folder} are damaged; restore one, or train anew "
            "into another folder"
        )
    return None


def load_checkpoint(
    path: Path,
    moment: Moment,
    fingerprint: Mapping[str, Any],
    once: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Fill networks, optimisers, averages and torch's random numbers from a checkpoint.

    Args:
        path: One checkpoint's folder.
        moment: What to fill; left as it is when the checkpoint is refused.
        fingerprint: What must be the same as when it was saved (network, data, settings).
        once: What a fingerprint meant that lacks a key, because it was written before the key came.

    Returns:
        The plain values that were saved.

    Raises:
        CheckpointError: It is damaged, newer than this program, or of another training.
    """
    tensors, content = read_sealed(path, NAME, KIND, FORMAT_VERSION)
    saved = {**(once or {}), **content.get("fingerprint", {})}
    _refuse_other_training(path, saved, fingerprint)
    _refuse_other_networks(path, tensors, moment)
    for name, player in moment.task.players.items():
        copy_state(_below(tensors, f"network.{name}."), player.networks)
        _fill_optimiser(player, _below(tensors, f"optimiser.{name}."))
    for name, average in moment.averages.items():
        average.values = {
            key: _laid_out_like(average.values[key], value)
            for key, value in _below(tensors, f"average.{name}.").items()
        }
        average.updates = int(content["average_updates"][name])
    if isinstance(moment.task, KeepsState):
        moment.task.load_state(own(tensors, "state.", moment.processes))
    restore_random(own(tensors, "random.", moment.processes), moment.processes)
    return content


# ---- inside -------------------------------------------------------------------------------------


def _tensors(moment: Moment) -> Iterator[tuple[str, Tensor]]:
    for name, player in moment.task.players.items():
        yield from _named(f"network.{name}.", player.networks.state_dict())
        for index, state in player.optimiser.state_dict()["state"].items():
            yield from _named(f"optimiser.{name}.{index}.", state)
    for name, average in moment.averages.items():
        yield from _named(f"average.{name}.", average.values)
    if isinstance(moment.task, KeepsState):
        yield from gathered(moment.task.state(), "state.", moment.processes).items()
    yield from gathered(random_state(moment.processes), "random.", moment.processes).items()


def _named(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    for key, value in values.items():
        yield prefix + key, torch.as_tensor(value)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _fill_optimiser(player: Player, tensors: Mapping[str, Tensor]) -> None:
    parameters = [p for group in player.optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, field = key.partition(".")
        state.setdefault(int(index), {})[field] = _laid_out_like(parameters[int(index)], value)
    groups = player.optimiser.state_dict()["param_groups"]
    player.optimiser.load_state_dict({"state": state, "param_groups": groups})


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """Return a value on its parameter's device and in its memory layout.

    Fused optimisers walk through both side by side, whatever their strides say.
    """
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


def _refuse_non_finite(tensors: Mapping[str, Tensor], step: int) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f"{name} holds a number that is not finite after step {step}; nothing was saved, "
                "lower the learning rate and go on from the last checkpoint"
            )


def _refuse_other_training(
    path: Path, saved: Mapping[str, Any], present: Mapping[str, Any]
) -> None:
    differing = list(_differences("", saved, present))
    if differing:
        (key, before, now), *more = differing
        others = f"; {', '.join(name for name, _, _ in more[:8])} differ too" if more else ""
        raise CheckpointError(
            f"{path} was made with {key} = {_short(before)} but this training has {_short(now)}"
            f"{others}; use the same settings and data, or another folder"
        )


def _differences(
    prefix: str, saved: Mapping[str, Any], present: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the full names of values that differ, with what they were and are."""
    for key in sorted({*saved, *present}):
        before, now = saved.get(key), present.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _differences(f"{prefix}{key}.", before, now)
        elif before != now:
            yield prefix + key, before, now


def _refuse_other_networks(path: Path, tensors: Mapping[str, Tensor], moment: Moment) -> None:
    for name, player in moment.task.players.items():
        saved = {k: tuple(v.shape) for k, v in _below(tensors, f"network.{name}.").items()}
        present = {k: tuple(v.shape) for k, v in player.networks.state_dict().items()}
        for key in sorted({*saved, *present}):
            if saved.get(key) != present.get(key):
                raise CheckpointError(
                    f"{path} holds {name}'s {key} of shape {saved.get(key)} but this network has "
                    f"{present.get(key)}; use the network settings that it was trained with"
                )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

# SPDX-License-Identifier: Apache-2.0
"""Several processes that train together: shares of a batch, and what each must remember.

With one process nothing here does anything.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, distributed

from endoforge.streams import stream
from endoforge.training.task import Batch


@runtime_checkable
class Processes(Protocol):
    """The part of Lightning Fabric that processes which train together need."""

    @property
    def world_size(self) -> int:
        """How many there are."""
        ...

    @property
    def global_rank(self) -> int:
        """Which one this is, from 0."""
        ...

    @property
    def device(self) -> torch.device:
        """Where this one computes."""
        ...

    def barrier(self) -> None:
        """Wait until all have come here."""
        ...


class Alone:
    """One process on the CPU, without Lightning Fabric."""

    world_size = 1
    global_rank = 0
    device = torch.device("cpu")

    def barrier(self) -> None:
        """Wait for nobody."""


def share_of(batch: Batch, processes: Processes) -> Batch:
    """Return every n-th item of a batch, so that all processes together see it once.

    All make the whole batch, so its content does not depend on how many share it.
    """
    if processes.world_size == 1:
        return batch
    rank, ranks = processes.global_rank, processes.world_size
    return {name: value[rank::ranks] for name, value in batch.items()}


def draw_apart(seed: int, processes: Processes) -> None:
    """Let each process draw its own random numbers from now on; call it once weights are drawn."""
    if processes.world_size > 1:
        rng = stream(seed, "process", processes.global_rank)
        torch.manual_seed(int(rng.integers(2**62)))


def random_state(processes: Processes) -> dict[str, Tensor]:
    """Return where this process stands in torch's random numbers."""
    found = {"torch": torch.get_rng_state()}
    if processes.device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(processes.device)
    return found


def restore_random(state: Mapping[str, Tensor], processes: Processes) -> None:
    """Go back to a place in torch's random numbers; another kind of device draws its own."""
    torch.set_rng_state(state["torch"])
    if "cuda" in state and processes.device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], processes.device)


def gathered(values: Mapping[str, Tensor], prefix: str, processes: Processes) -> dict[str, Tensor]:
    """Return the tensors of all processes; those of process 0 keep their names.

    Their shapes must agree between processes.
    """
    if processes.world_size == 1:
        return {prefix + name: value for name, value in values.items()}
    found: dict[str, Tensor] = {}
    for name, value in values.items():
        here = value.to(processes.device).contiguous()
        every = [torch.empty_like(here) for _ in range(processes.world_size)]
        distributed.all_gather(every, here)
        for rank, one in enumerate(every):
            found[_of(rank) + prefix + name] = one.cpu()
    return found


def own(tensors: Mapping[str, Tensor], prefix: str, processes: Processes) -> dict[str, Tensor]:
    """Return what `gathered` has of this process."""
    start = _of(processes.global_rank) + prefix
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def _of(rank: int) -> str:
    return f"process-{rank}." if rank else ""

# SPDX-License-Identifier: Apache-2.0
"""On which device a trained network runs, and in which memory layout."""

from typing import Literal, TypeVar

import torch
from torch import nn

from endoforge.errors import MissingDependency

Device = Literal["auto", "cpu", "cuda"]
NetworkT = TypeVar("NetworkT", bound=nn.Module)


def pick_device(device: Device) -> torch.device:
    """Return the device that a setting means; auto takes a GPU if present.

    Raises:
        MissingDependency: A GPU was asked for and there is none.
    """
    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise MissingDependency(
            "device 'cuda' was asked for but torch sees no GPU; use --device cpu, or install a "
            "CUDA build: pip install torch --index-url https://download.pytorch.org/whl/cu126"
        )
    return torch.device("cuda" if present and device != "cpu" else "cpu")


def on_device(network: NetworkT, device: torch.device) -> NetworkT:
    """Move a network to a device and store its kernels channels last, which is faster."""
    network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network

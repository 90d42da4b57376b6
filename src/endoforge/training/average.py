# SPDX-License-Identifier: Apache-2.0
"""A running average of weights, which predicts better than the last weights of a noisy descent."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightsAverage:
    """Exponential average of the parameters and running statistics of some networks.

    Attributes:
        values: The averages, by the networks' state names.
        updates: How many times the average was moved.
    """

    def __init__(self, networks: nn.Module, decay: float) -> None:
        self._networks = networks
        self._decay = decay
        self.updates = 0
        self.values = {name: tensor.clone() for name, tensor in networks.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the present weights; early on it follows them closely."""
        self.updates += 1
        share = 1.0 - min(self._decay, self.updates / (self.updates + 9.0))
        averages, present = [], []
        for name, tensor in self._networks.state_dict().items():
            if tensor.is_floating_point():
                averages.append(self.values[name])
                present.append(tensor)
            else:
                self.values[name].copy_(tensor)
        torch._foreach_lerp_(averages, present, share)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the networks carry the average, in evaluation mode, inside a ``with`` block."""
        before = {name: tensor.clone() for name, tensor in self._networks.state_dict().items()}
        modes = [(module, module.training) for module in self._networks.modules()]
        copy_state(self.values, self._networks)
        self._networks.eval()
        try:
            yield
        finally:
            copy_state(before, self._networks)
            for module, mode in modes:
                module.training = mode


@torch.no_grad()
def copy_state(values: dict[str, Tensor], networks: nn.Module) -> None:
    """Write values of the same names and shapes into networks."""
    for name, tensor in networks.state_dict().items():
        tensor.copy_(values[name])

# SPDX-License-Identifier: Apache-2.0
"""First weights of translators and their judges, drawn from torch's global seed."""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

_KERNELS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_NORMS = (nn.BatchNorm2d,)


def start_normal(network: nn.Module, deviation: float = 0.02) -> None:
    """Draw kernels from N(0, deviation²), scales of batch norms around 1, and set biases to 0.

    Source:
        Radford et al., *DCGAN*, 2016, section 4; Isola 2017 and Zhu 2017 follow it.
    """
    for weight, bias in _kernels(network):
        nn.init.normal_(weight, 0.0, deviation)
        if bias is not None:
            nn.init.zeros_(bias)
    for module in network.modules():
        if isinstance(module, _NORMS):
            nn.init.normal_(module.weight, 1.0, deviation)
            nn.init.zeros_(module.bias)


def start_xavier(network: nn.Module, gain: float = 0.02) -> None:
    """Draw kernels from N(0, 2 gain² / (inputs + outputs)); biases are 0.

    Source:
        Glorot & Bengio, *Understanding the difficulty of training deep feedforward neural
        networks*, 2010, equation 16; with this gain the published configuration of CUT.
    """
    for weight, bias in _kernels(network):
        nn.init.xavier_normal_(weight, gain)
        if bias is not None:
            nn.init.zeros_(bias)


def start_kaiming(network: nn.Module) -> None:
    """Draw kernels so that ReLU networks keep the variance of their input; biases are 0.

    Source:
        He et al., *Delving deep into rectifiers*, 2015, equation 10; generators of MUNIT.
    """
    for weight, bias in _kernels(network):
        nn.init.kaiming_normal_(weight, a=0.0, mode="fan_in")
        if bias is not None:
            nn.init.zeros_(bias)


def _kernels(network: nn.Module) -> Iterator[tuple[Tensor, Tensor | None]]:
    for module in network.modules():
        if isinstance(module, _KERNELS):
            named = dict(module.named_parameters())
            spectral = is_parametrized(module, "weight")
            yield (
                named["parametrizations.weight.original" if spectral else "weight"],
                named.get("bias"),
            )

# SPDX-License-Identifier: Apache-2.0
"""The small parts that generators, encoders and discriminators are made of."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from endoforge.translation.networks.equivalents import (
    DoublingConv,
    FewOutputsConv,
    ReflectedConv,
)
from endoforge.translation.networks.normalisation import (
    adaptive_instance_norm,
    forgets_bias,
    normalisation,
    spectral,
)
from endoforge.translation.networks.settings import Activation, NormName, Padding, Upsampling

_WIDE, _FEW = 7, 4  # kernels and channels of the last layers of generators

LEAK = 0.2  # slope of LeakyReLU below 0, in all the papers


@dataclass(frozen=True)
class Finish:
    """What surrounds a convolution.

    Attributes:
        norm: Normalisation behind it.
        activation: Behind the normalisation.
        padding: What stands around the picture.
        spectral: Spectral normalisation of its kernel.
    """

    norm: NormName = "instance"
    activation: Activation = "relu"
    padding: Padding = "reflect"
    spectral: bool = False


def activation(name: Activation) -> nn.Module:
    """Build an activation."""
    match name:
        case "relu":
            return nn.ReLU()
        case "leaky":
            return nn.LeakyReLU(LEAK)
        case "tanh":
            return nn.Tanh()
        case "none":
            return nn.Identity()


class ConvBlock(nn.Sequential):
    """Convolution, normalisation, activation; the sides shrink by `stride`.

    It has a bias only where the normalisation would not take it away again.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, finish: Finish = Finish()
    ) -> None:
        convolution = _convolution(inputs, outputs, (kernel, stride), finish)
        super().__init__(
            spectral(convolution, finish.spectral),
            normalisation(finish.norm, outputs),
            activation(finish.activation),
        )


def _convolution(inputs: int, outputs: int, window: tuple[int, int], finish: Finish) -> nn.Conv2d:
    kernel, stride = window
    bias = not forgets_bias(finish.norm)
    if finish.padding == "reflect":
        few = kernel == _WIDE and stride == 1 and outputs <= _FEW
        layer = FewOutputsConv if few else ReflectedConv
        return layer(inputs, outputs, kernel, stride, bias)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, bias=bias)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions added to their input; no activation behind the sum."""

    def __init__(self, width: int, finish: Finish = Finish()) -> None:
        super().__init__()
        last = Finish(finish.norm, "none", finish.padding, finish.spectral)
        self.first = ConvBlock(width, width, 3, finish=finish)
        self.second = ConvBlock(width, width, 3, finish=last)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        change: Tensor = self.second(self.first(features))
        return features + change


class AdaptiveResidualBlock(nn.Module):
    """A residual block whose two normalisations are told their means and deviations.

    Attributes:
        parameters_needed: Numbers that `forward` takes per picture.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        bare = Finish("none", "none")
        self.first = ConvBlock(width, width, 3, finish=bare)
        self.second = ConvBlock(width, width, 3, finish=bare)
        self.parameters_needed = 4 * width

    def forward(
        self,
        features: Float[Tensor, "batch channels height width"],
        style: Float[Tensor, "batch numbers"],
    ) -> Float[Tensor, "batch channels height width"]:
        """Return features of the same shape; `style` is scale, shift, scale, shift."""
        scale_1, shift_1, scale_2, shift_2 = style.chunk(4, dim=1)
        hidden = functional.relu(adaptive_instance_norm(self.first(features), scale_1, shift_1))
        return features + adaptive_instance_norm(self.second(hidden), scale_2, shift_2)


def upsampling_block(
    inputs: int, outputs: int, kind: Upsampling, finish: Finish = Finish(), kernel: int = 3
) -> nn.Module:
    """Build a block that doubles the sides.

    Args:
        inputs: Channels before.
        outputs: Channels behind.
        kind: With a transposed convolution, or nearest neighbour and a convolution.
        finish: What surrounds the convolution; a transposed one pads with zeros.
        kernel: Side of the convolution, px: for a transposed one 3 or 4.
    """
    if kind == "resize" and kernel == 5:
        return nn.Sequential(
            spectral(DoublingConv(inputs, outputs, not forgets_bias(finish.norm)), finish.spectral),
            normalisation(finish.norm, outputs),
            activation(finish.activation),
        )
    if kind == "resize":
        doubling = nn.Upsample(scale_factor=2, mode="nearest")
        return nn.Sequential(doubling, ConvBlock(inputs, outputs, kernel, finish=finish))
    transposed = nn.ConvTranspose2d(
        inputs,
        outputs,
        kernel,
        stride=2,
        padding=1,
        output_padding=kernel % 2,
        bias=not forgets_bias(finish.norm),
    )
    return nn.Sequential(
        spectral(transposed, finish.spectral),
        normalisation(finish.norm, outputs),
        activation(finish.activation),
    )


class Blur(nn.Module):
    """Smooths with a binomial filter and keeps every second pixel, or doubles the sides.

    Source:
        Zhang, *Making convolutional networks shift-invariant again*, 2019, section 3.2.
    """

    kernel: Tensor

    def __init__(self, direction: Literal["halve", "double"]) -> None:
        super().__init__()
        self._direction = direction
        line = torch.tensor([1.0, 2.0, 1.0] if direction == "halve" else [1.0, 3.0, 3.0, 1.0])
        kernel = torch.outer(line, line)
        gain = 1.0 if direction == "halve" else 4.0
        self.register_buffer("kernel", gain * kernel / kernel.sum(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of half or double height and width."""
        channels = features.shape[1]
        kernel = self.kernel.to(features.dtype).expand(channels, 1, -1, -1)
        if self._direction == "halve":
            padded = functional.pad(features, (1, 1, 1, 1), mode="reflect")
            return functional.conv2d(padded, kernel, stride=2, groups=channels)
        padded = functional.pad(features, (1, 1, 1, 1), mode="replicate")
        doubled = functional.conv_transpose2d(padded, kernel, stride=2, padding=2, groups=channels)
        return doubled[..., 1:-1, 1:-1]


class Mlp(nn.Sequential):
    """Matrices with ReLU between them."""

    def __init__(self, inputs: int, width: int, outputs: int, layers: int) -> None:
        sizes = [inputs, *[width] * (layers - 1), outputs]
        parts: list[nn.Module] = []
        for before, after in pairwise(sizes):
            parts += [nn.Linear(before, after), nn.ReLU()]
        super().__init__(*parts[:-1])

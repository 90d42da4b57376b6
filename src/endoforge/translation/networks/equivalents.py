# SPDX-License-Identifier: Apache-2.0
"""Layers that are computed in another way than they are written, with equal results.

Their weights are those of the plain layer, so weights and first draws do not depend on the way.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

_BLOCK = 2  # sides of the squares of output pixels that `FewOutputsConv` computes at once
_VECTOR = 16  # numbers that a processor's vector unit takes at once

#: Which rows of a 5-row kernel meet the same coarse row (-1, 0, 1) behind a nearest-neighbour
#: doubling, for the upper and the lower of two fine rows.
_MET = (
    ((1, 1, 0, 0, 0), (0, 0, 1, 1, 0), (0, 0, 0, 0, 1)),
    ((1, 0, 0, 0, 0), (0, 1, 1, 0, 0), (0, 0, 0, 1, 1)),
)


class ReflectedConv(nn.Conv2d):
    """A convolution with reflected borders, whose slopes a processor folds back faster."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = True
    ) -> None:
        self.border = (kernel - 1) // 2
        super().__init__(inputs, outputs, kernel, stride, bias=bias)

    def forward(
        self, features: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch others rows columns"]:
        """Return the convolution of the features continued by reflection."""
        padded = reflected(features, self.border)
        return functional.conv2d(padded, self.weight, self.bias, self.stride)


def reflected(
    features: Float[Tensor, "batch channels height width"], border: int
) -> Float[Tensor, "batch channels rows columns"]:
    """Continue features beyond their borders by reflection, the outermost pixels not repeated."""
    if features.is_cuda or not border:
        return functional.pad(features, (border,) * 4, mode="reflect")
    padded: Tensor = _Reflection.apply(features, border)  # type: ignore[no-untyped-call]
    return padded


class _Reflection(torch.autograd.Function):
    """Reflection whose slope is a copy of the inside to which thin borders are added."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, border: int) -> Tensor:
        ctx.border = border
        return functional.pad(features, (border,) * 4, mode="reflect")

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        border: int = ctx.border
        for axis in (-1, -2):
            length = slope.shape[axis] - 2 * border
            inside = slope.narrow(axis, border, length).clone()
            first, last = slope.narrow(axis, 0, border), slope.narrow(axis, -border, border)
            inside.narrow(axis, 1, border).add_(first.flip(axis))
            inside.narrow(axis, length - 1 - border, border).add_(last.flip(axis))
            slope = inside
        return slope, None


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation, on a processor as group normalisation of one channel each."""

    def forward(
        self, features: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return features of mean 0 and deviation 1 in each channel of each picture."""
        if features.is_cuda:
            whole: Tensor = super().forward(features)
            return whole
        return functional.group_norm(features, self.num_features, self.weight, self.bias, self.eps)


class DoublingConv(nn.Conv2d):
    """Nearest-neighbour doubling and then a 5 x 5 convolution, with 9/25 of its multiplications.

    Two fine pixels that are copies of a coarse one share a multiplication. Equal to the two steps
    one after the other, the doubled picture being continued by its outermost pixels.
    """

    met: Tensor

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__(inputs, outputs, 5, bias=bias)
        self.register_buffer("met", torch.tensor(_MET, dtype=torch.float32), persistent=False)

    def forward(
        self, features: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch others rows columns"]:
        """Return features of double height and width."""
        with torch.autocast(features.device.type, enabled=False):
            rows = torch.einsum("oiyx,pty->opitx", self.weight, self.met)
            coarse = torch.einsum("opitx,qsx->opqits", rows, self.met).flatten(0, 2)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        padded = functional.pad(features, (1, 1, 1, 1), mode="replicate")
        return functional.pixel_shuffle(functional.conv2d(padded, coarse, bias), 2)


class FewOutputsConv(ReflectedConv):
    """A convolution to few channels, on a processor computed for 2 x 2 pixels at once.

    Vector units compute 16 channels in the time of 3; four pixels of 3 channels fill them better.
    Where that does not fit, it is the plain one.
    """

    def forward(
        self, features: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch others height width"]:
        """Return features of the same height and width."""
        even = not (features.shape[-2] % _BLOCK or features.shape[-1] % _BLOCK)
        small = self.out_channels * _BLOCK**2 <= _VECTOR
        if features.is_cuda or not even or not small or self.bias is None:
            return super().forward(features)
        padded = reflected(features, self.border)
        shifted = [
            functional.pad(self.weight, (column, 1 - column, row, 1 - row))
            for row in range(_BLOCK)
            for column in range(_BLOCK)
        ]
        together = torch.stack(shifted, dim=1).flatten(0, 1)
        bias = self.bias.repeat_interleave(_BLOCK**2)
        blocks = functional.conv2d(padded, together, bias, stride=_BLOCK)
        return functional.pixel_shuffle(blocks, _BLOCK)

# SPDX-License-Identifier: Apache-2.0
"""Convolutions that are computed in another order than they are written, with equal results.

Their weights are those of the plain layer, so weights and first draws do not depend on the way.
"""

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


class FewOutputsConv(nn.Conv2d):
    """A convolution to few channels, on a processor computed for 2 x 2 pixels at once.

    Vector units compute 16 channels in the time of 3; four pixels of 3 channels fill them better.
    Equal to the plain layer with stride 1 and reflected borders; used by it if that fits.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        pad = kernel // 2
        super().__init__(inputs, outputs, kernel, padding=pad, padding_mode="reflect")

    def forward(
        self, features: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch others height width"]:
        """Return features of the same height and width."""
        even = not (features.shape[-2] % _BLOCK or features.shape[-1] % _BLOCK)
        small = self.out_channels * _BLOCK**2 <= _VECTOR
        if features.is_cuda or not even or not small or self.bias is None:
            whole: Tensor = super().forward(features)
            return whole
        pad = self.kernel_size[0] // 2
        padded = functional.pad(features, (pad, pad, pad, pad), mode="reflect")
        shifted = [
            functional.pad(self.weight, (column, 1 - column, row, 1 - row))
            for row in range(_BLOCK)
            for column in range(_BLOCK)
        ]
        together = torch.stack(shifted, dim=1).flatten(0, 1)
        bias = self.bias.repeat_interleave(_BLOCK**2)
        blocks = functional.conv2d(padded, together, bias, stride=_BLOCK)
        return functional.pixel_shuffle(blocks, _BLOCK)

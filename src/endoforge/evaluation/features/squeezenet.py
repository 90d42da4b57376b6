# SPDX-License-Identifier: Apache-2.0
"""SqueezeNet v1.0 in its Caffe layout, for weights that the user brings."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

#: Pictures are brought to this side before the network, px.
SIDE = 227

_MEAN_BGR = (104.0, 117.0, 123.0)
_LAYERS = ("conv1", *(f"fire{n}/{part}" for n in range(2, 10) for part in
                      ("conv1x1_1", "conv1x1_2", "conv3x3_2")))  # fmt: skip

#: The arrays that a file of its weights must have.
NAMES = frozenset(f"{layer}{part}" for layer in _LAYERS for part in ("", ".bias"))


class SqueezeNet(nn.Module):
    """512 features of pictures: fire9, averaged over the picture.

    Source:
        Iandola et al., *SqueezeNet*, 2016, table 1; the Caffe release of v1.0.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._weights = {name: weights[name].float() for name in NAMES}

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch features"]:
        """Return 512 features of pictures from 0 to 1."""
        x = functional.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True)
        mean = torch.tensor(_MEAN_BGR, dtype=x.dtype, device=x.device)[:, None, None]
        x = functional.relu(self._conv("conv1", 255 * x.flip(1) - mean, stride=2))
        for number in range(2, 10):
            if number in (2, 5, 9):
                x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
            x = functional.relu(self._conv(f"fire{number}/conv1x1_1", x))
            wide = self._conv(f"fire{number}/conv3x3_2", x, padding=1)
            x = functional.relu(torch.cat([self._conv(f"fire{number}/conv1x1_2", x), wide], dim=1))
        return x.mean(dim=(2, 3))

    def _conv(self, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = self._weights[name].to(x), self._weights[f"{name}.bias"].to(x)
        return functional.conv2d(x, weight, bias, stride, padding)

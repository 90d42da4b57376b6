# SPDX-License-Identifier: Apache-2.0
"""A small residual U-Net that works at half resolution and below, made for CPU training.

The stem halves the picture, the deepest level sees all of it (context decides what a patch is), and
a sub-pixel head brings the answer back to every pixel of the input.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from endoforge.errors import ShapeError
from endoforge.training.networks.shape import UNetShape

_DARKEST = 1.0 / 64.0  # added before the logarithm: below this the sensor's noise decides


class ResidualUNet(nn.Module):
    """Some numbers for every pixel of a picture whose sides are multiples of `shape.divisor`.

    What the numbers mean is the business of the networks made from it.
    """

    def __init__(self, shape: UNetShape, outputs: int, start: float) -> None:
        super().__init__()
        self.settings = shape
        widths = shape.widths
        channels = 6 if shape.log_features else 3
        self.stem = ConvNorm(channels, widths[0], kernel=5, stride=2)
        self.down = nn.ModuleList(
            nn.Identity() if level == 0 else ConvNorm(widths[level - 1], width, stride=2)
            for level, width in enumerate(widths)
        )
        self.encode = nn.ModuleList(
            nn.Sequential(*(Residual(width) for _ in range(count)))
            for width, count in zip(widths, shape.blocks, strict=True)
        )
        self.context = GlobalContext(widths[-1])
        self.lift = nn.ModuleList(
            nn.Conv2d(widths[level + 1], widths[level], 1) for level in range(len(widths) - 1)
        )
        self.decode = nn.ModuleList(ConvNorm(width, width) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], 4 * outputs, 3, padding=1)
        _start_at(self.head, start)

    def forward(
        self, image: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch outputs height width"]:
        """Return the numbers of each pixel of pictures in [0, 1].

        Raises:
            ShapeError: If width or height is not a multiple of `shape.divisor`.
        """
        skips = self.encoded(image)
        features = self.context(skips.pop())
        for lift, decode in zip(list(self.lift)[::-1], list(self.decode)[::-1], strict=True):
            features = functional.interpolate(lift(features), scale_factor=2.0, mode="nearest")
            features = decode(features + skips.pop())
        with torch.autocast(image.device.type, enabled=False):  # bf16 steps are 1 %
            return functional.pixel_shuffle(self.head(features.float()), 2)

    def encoded(self, image: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Return the features of each level on the way down, finest first, of pictures in [0, 1].

        Raises:
            ShapeError: If width or height is not a multiple of `shape.divisor`.
        """
        self._check_size(image)
        features = self.stem(self._features(image))
        levels: list[Tensor] = []
        for down, encode in zip(self.down, self.encode, strict=True):
            features = encode(down(features))
            levels.append(features)
        return levels

    def _features(self, image: Tensor) -> Tensor:
        centred = (image - 0.4) / 0.25
        if not self.settings.log_features:
            return centred
        return torch.cat([centred, torch.log(image + _DARKEST) * 0.7 + 1.0], dim=1)

    def _check_size(self, image: Tensor) -> None:
        height, width = image.shape[-2:]
        divisor = self.settings.divisor
        if height % divisor or width % divisor:
            raise ShapeError(
                f"expected a picture whose sides are multiples of {divisor}, got {width} x "
                f"{height} (width x height); resize to {_nearest(width, divisor)} x "
                f"{_nearest(height, divisor)}"
            )


class ConvNorm(nn.Sequential):
    """Convolution, batch normalisation and ReLU; the sides shrink by `stride`."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two convolutions added to their input; starts as the identity before its ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.norm.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        return functional.relu(features + self.norm(self.second(self.first(features))))


class GlobalContext(nn.Module):
    """Shifts and scales each channel by what the whole picture holds."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, width // 2)
        self.expand = nn.Linear(width // 2, 2 * width)
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        pooled = features.mean(dim=(2, 3))
        scale, shift = self.expand(functional.relu(self.squeeze(pooled))).chunk(2, dim=1)
        return torch.addcmul(features + shift[..., None, None], features, scale[..., None, None])


def _start_at(head: nn.Conv2d, value: float) -> None:
    """Let the head start at one value everywhere, so that no checkerboard must be unlearned.

    The four sub-pixels of an output stand beside each other; each output's start out alike.
    """
    outputs = len(head.weight) // 4
    with torch.no_grad():
        head.weight[:outputs].normal_(std=1e-3)
        head.weight.copy_(head.weight[:outputs].repeat_interleave(4, dim=0))
    assert head.bias is not None
    nn.init.constant_(head.bias, value)


def _nearest(side: int, divisor: int) -> int:
    return max(divisor, round(side / divisor) * divisor)

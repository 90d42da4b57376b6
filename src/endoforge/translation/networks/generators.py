# SPDX-License-Identifier: Apache-2.0
"""Generators: pictures from pictures (residual, U-shaped) and pictures from noise."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from endoforge.errors import SettingsError, ShapeError
from endoforge.translation.networks.blocks import (
    LEAK,
    Blur,
    ConvBlock,
    Finish,
    Mlp,
    ResidualBlock,
    activation,
    upsampling_block,
)
from endoforge.translation.networks.normalisation import forgets_bias, normalisation
from endoforge.translation.networks.settings import (
    DcganSettings,
    MlpSettings,
    ResNetSettings,
    UNetGeneratorSettings,
)

_EDGE = 0.98
_WIDEST = 8  # times the width of the finest level, in pix2pix


def check_divisor(picture: Tensor, divisor: int) -> None:
    """Refuse pictures whose sides are not multiples of a divisor.

    Raises:
        ShapeError: Says the sides and the divisor.
    """
    height, width = picture.shape[-2:]
    if height % divisor or width % divisor:
        raise ShapeError(
            f"expected pictures whose sides are multiples of {divisor}, got {width} x {height} "
            "(width x height); crop or resize them"
        )


def inverse_tanh(
    picture: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels height width"]:
    """Return what tanh makes the picture of, held where that is finite."""
    return torch.atanh(picture.float().clamp(-_EDGE, _EDGE))


class ResNetGenerator(nn.Module):
    """Halvings, residual blocks, doublings: `stages` in this order, with stem and head around.

    With `inputs`, `outputs` channels; pictures in [-1, 1] on both sides.
    """

    def __init__(self, inputs: int, outputs: int, settings: ResNetSettings) -> None:
        super().__init__()
        if settings.from_input and inputs != outputs:
            raise SettingsError(
                f"generator.from_input changes its input, so it needs as many channels on both "
                f"sides, got {inputs} and {outputs}; set it to false"
            )
        self.settings = settings
        finish, width = Finish(settings.norm), settings.width
        stages: list[nn.Module] = [ConvBlock(inputs, width, 7, finish=finish)]
        for _ in range(settings.halvings):
            stages.append(_halving(width, finish, settings.antialias))
            width *= 2
        stages += [ResidualBlock(width, finish) for _ in range(settings.blocks)]
        for _ in range(settings.halvings):
            stages.append(_doubling(width, finish, settings))
            width //= 2
        last = Finish("none", "none" if settings.from_input else "tanh")
        stages.append(ConvBlock(width, outputs, 7, finish=last))
        self.stages = nn.ModuleList(stages)

    def forward(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch others height width"]:
        """Return pictures of the other look.

        Raises:
            ShapeError: A side is not a multiple of `settings.divisor`.
        """
        return self.with_features(picture, ())[0]

    def with_features(
        self, picture: Float[Tensor, "batch channels height width"], taps: Sequence[int]
    ) -> tuple[Float[Tensor, "batch others height width"], list[Tensor]]:
        """Return pictures of the other look and the features behind some of the stages.

        Stage 0 is the picture itself, 1 the stem, then the halvings, the blocks, and so on.
        """
        check_divisor(picture, self.settings.divisor)
        features, found = picture, {0: picture}
        for number, stage in enumerate(self.stages, start=1):
            features = stage(features)
            found[number] = features
        if self.settings.from_input:
            features = torch.tanh(inverse_tanh(picture) + features)
        return features, [found[tap] for tap in taps]

    def features(
        self, picture: Float[Tensor, "batch channels height width"], taps: Sequence[int]
    ) -> list[Tensor]:
        """Return the features behind some stages, running no further than the last of them."""
        check_divisor(picture, self.settings.divisor)
        features, found = picture, {0: picture}
        for number in range(1, max(taps, default=0) + 1):
            features = self.stages[number - 1](features)
            found[number] = features
        return [found[tap] for tap in taps]

    def tap_widths(self, inputs: int, taps: Sequence[int]) -> list[int]:
        """Return how many channels the features behind some stages before the doublings have."""
        widths = [inputs] + [self.settings.width * 2**k for k in range(self.settings.halvings + 1)]
        return [widths[min(tap, len(widths) - 1)] for tap in taps]


def _halving(width: int, finish: Finish, antialias: bool) -> nn.Module:
    zeros = Finish(finish.norm, "relu", "zeros")
    if antialias:
        return nn.Sequential(ConvBlock(width, 2 * width, 3, finish=zeros), Blur("halve"))
    return ConvBlock(width, 2 * width, 3, stride=2, finish=zeros)


def _doubling(width: int, finish: Finish, settings: ResNetSettings) -> nn.Module:
    zeros = Finish(finish.norm, "relu", "zeros")
    if settings.antialias:
        return nn.Sequential(Blur("double"), ConvBlock(width, width // 2, 3, finish=zeros))
    kind = settings.upsampling
    return upsampling_block(width, width // 2, kind, finish if kind == "resize" else zeros)


class UNetGenerator(nn.Module):
    """An encoder to a few pixels and a decoder that also sees the encoder's features."""

    def __init__(self, inputs: int, outputs: int, settings: UNetGeneratorSettings) -> None:
        super().__init__()
        self.settings = settings
        levels, widest = settings.levels, _WIDEST * settings.width
        widths = [min(settings.width * 2**level, widest) for level in range(levels)]
        before = [inputs, *widths[:-1]]
        self.down = nn.ModuleList(
            _UNetDown(before[level], widths[level], settings, bare=level in (0, levels - 1))
            for level in range(levels)
        )
        after = [outputs, *widths[:-1]]
        self.up = nn.ModuleList(
            _UNetUp(
                widths[level] * (1 if level == levels - 1 else 2), after[level], settings, level
            )
            for level in range(levels)
        )

    def forward(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch others height width"]:
        """Return pictures of the other look.

        Raises:
            ShapeError: A side is not a multiple of `settings.divisor`.
        """
        check_divisor(picture, self.settings.divisor)
        features, skips = picture, []
        for down in self.down:
            features = down(features)
            skips.append(features)
        features = self.up[-1](skips.pop())
        for up in list(self.up)[-2::-1]:
            features = up(torch.cat([skips.pop(), features], dim=1))
        return torch.tanh(features)


class _UNetDown(nn.Sequential):
    """Activation, convolution, normalisation; the first and the last level are bare of the latter.

    The first level has no activation, as it sees the picture.
    """

    def __init__(
        self, inputs: int, outputs: int, settings: UNetGeneratorSettings, bare: bool
    ) -> None:
        norm = "none" if bare else settings.norm
        first = inputs < settings.width
        super().__init__(
            nn.Identity() if first else nn.LeakyReLU(LEAK),
            nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not forgets_bias(norm)),
            normalisation(norm, outputs),
        )


class _UNetUp(nn.Sequential):
    """Activation, doubling, normalisation, dropout; the finest level ends bare."""

    def __init__(
        self, inputs: int, outputs: int, settings: UNetGeneratorSettings, level: int
    ) -> None:
        finish = Finish("none" if level == 0 else settings.norm, "none", "zeros")
        transposed = settings.upsampling == "transposed"
        dropped = settings.dropout > 0 and settings.levels - 4 <= level <= settings.levels - 2
        super().__init__(
            nn.ReLU(),
            upsampling_block(inputs, outputs, settings.upsampling, finish, 4 if transposed else 3),
            nn.Dropout(settings.dropout) if dropped and level > 0 else nn.Identity(),
        )


class DcganGenerator(nn.Module):
    """Noise to square pictures by transposed convolutions; as wide as DCGAN at 64 px."""

    def __init__(self, outputs: int, side: int, settings: DcganSettings) -> None:
        super().__init__()
        self.noise = settings.noise
        doublings = doublings_of(side)
        width = settings.width * 2 ** (doublings - 1)
        self.widest = width
        self.project = nn.Linear(settings.noise, width * 16, bias=False)
        finish = Finish("batch", "relu", "zeros")
        parts: list[nn.Module] = [normalisation("batch", width), activation("relu")]
        for _ in range(doublings - 1):
            parts.append(upsampling_block(width, width // 2, "transposed", finish, 4))
            width //= 2
        last = Finish("none", "tanh", "zeros")
        parts.append(upsampling_block(width, outputs, "transposed", last, 4))
        self.rise = nn.Sequential(*parts)

    def forward(
        self, noise: Float[Tensor, "batch numbers"]
    ) -> Float[Tensor, "batch channels side side"]:
        """Return pictures in [-1, 1]."""
        first = self.project(noise).reshape(len(noise), self.widest, 4, 4)
        picture: Tensor = self.rise(first)
        return picture


def doublings_of(side: int) -> int:
    """Return how often 4 px must be doubled to reach a side.

    Raises:
        SettingsError: It is not 8, 16, 32 and so on.
    """
    doublings = round(math.log2(side / 4))
    if side < 8 or 4 * 2**doublings != side:
        raise SettingsError(
            f"dcgan makes square pictures of 8, 16, 32, 64, 128 ... px, got pictures.crop={side}"
        )
    return doublings


class MlpGenerator(nn.Module):
    """Noise to pictures by matrices."""

    def __init__(self, outputs: int, side: int, settings: MlpSettings) -> None:
        super().__init__()
        self.noise = settings.noise
        self._shape = (outputs, side, side)
        width, layers = settings.generator_width, settings.layers + 1
        self.rise = Mlp(settings.noise, width, outputs * side * side, layers)

    def forward(
        self, noise: Float[Tensor, "batch numbers"]
    ) -> Float[Tensor, "batch channels side side"]:
        """Return pictures in [-1, 1]."""
        flat = functional.tanh(self.rise(noise))
        return flat.reshape(len(noise), *self._shape)

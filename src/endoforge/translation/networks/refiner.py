# SPDX-License-Identifier: Apache-2.0
"""SimGAN's two networks: a refiner that keeps every pixel in its place, and a judge of patches."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from endoforge.translation.networks.blocks import ConvBlock, Finish, ResidualBlock
from endoforge.translation.networks.colours import LinearColours
from endoforge.translation.networks.discriminators import Scores
from endoforge.translation.networks.generators import inverse_tanh
from endoforge.translation.networks.refiner_settings import LocalJudgeSettings, RefinerSettings


class Refiner(nn.Module):
    """A 3 x 3 convolution, residual blocks and a 1 x 1 convolution, all at full resolution."""

    def __init__(self, channels: int, settings: RefinerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.colours = LinearColours(channels) if settings.colours else None
        finish = Finish(settings.norm)
        self.stem = ConvBlock(channels, settings.width, 3, finish=finish)
        self.blocks = nn.Sequential(
            *(ResidualBlock(settings.width, finish) for _ in range(settings.blocks))
        )
        self.head = nn.Conv2d(settings.width, channels, 1)
        if settings.from_input:
            nn.init.zeros_(self.head.weight)
            assert self.head.bias is not None
            nn.init.zeros_(self.head.bias)

    def forward(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return pictures in [-1, 1] of the same size."""
        picture = self.recoloured(picture)
        change = self.head(self.blocks(self.stem(picture))).float()
        if self.settings.from_input:
            change = change + inverse_tanh(picture)
        return torch.tanh(change)

    def recoloured(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return what the layers are given: the picture in the colours of the other domain."""
        return picture if self.colours is None else self.colours(picture)


class LocalJudge(nn.Module):
    """One score per patch of about 30 px: how much it looks like the true domain.

    With two numbers per place, softmax over the two is the sigmoid of their difference, so the
    difference is the score, and `objectives` "non-saturating" is the softmax cross entropy. No
    activation stands behind the last layer.
    """

    def __init__(self, channels: int, settings: LocalJudgeSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        narrow = max(4, width // 3)

        def block(
            inputs: int, outputs: int, kernel: int, stride: int, norm: bool = True
        ) -> nn.Module:
            name = settings.norm if norm else "none"
            finish = Finish(name, "leaky", "zeros", settings.spectral)
            return ConvBlock(inputs, outputs, kernel, stride, finish)

        answers = 2 if settings.answer == "softmax" else 1
        self.layers = nn.Sequential(
            block(channels, width, 3, 2, norm=False),
            block(width, 2 * narrow, 3, 2),
            nn.AvgPool2d(3, 2, 1, count_include_pad=False),
            block(2 * narrow, narrow, 3, 1),
            block(narrow, narrow, 1, 1),
            nn.Conv2d(narrow, answers, 1),
        )

    def forward(self, picture: Float[Tensor, "batch channels height width"]) -> Scores:
        """Return one map of scores (logits)."""
        found = self.logits(picture)
        return (found[:, :1] - found[:, 1:] if found.shape[1] == 2 else found,)

    def logits(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch answers rows columns"]:
        """Return the last layer's numbers; of two, the first stands for the true domain."""
        found: Tensor = self.layers(picture)
        return found

# SPDX-License-Identifier: Apache-2.0
"""How translators and judges become players, and a translator of one look."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from endoforge.training.task import Player
from endoforge.translation.settings import TranslationSettings
from endoforge.translation.translator import Channels, Translator


def player_of(
    networks: Iterable[nn.Module],
    settings: TranslationSettings,
    rate: float = 1.0,
    averaged: bool = True,
) -> Player:
    """Return a player that learns with Adam as the settings say.

    Args:
        networks: That move together.
        settings: Step size, betas and decay.
        rate: Its step size as a multiple of `settings.learning_rate`.
        averaged: Keep a running average of its weights: for translators, not for judges.
    """
    together = nn.ModuleList(networks)
    optimiser = torch.optim.Adam(
        together.parameters(),
        lr=rate * settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    return Player(together, optimiser, averaged)


class OneLook(Translator):
    """A translator that is one generator: without styles, deterministic once in evaluation mode."""

    def __init__(self, generator: nn.Module, channels: Channels, divisor: int) -> None:
        super().__init__()
        self.generator = generator
        self.channels, self.divisor = channels, divisor

    def forward(
        self,
        source: Float[Tensor, "batch channels height width"],
        style: Float[Tensor, "batch style"] | None = None,
    ) -> Float[Tensor, "batch others height width"]:
        """Translate pictures in [-1, 1]; a style means nothing here."""
        made: Tensor = self.generator(source)
        return made


class FromNoise(Translator):
    """Makes square pictures from noise, which takes the place of a style; a source has no channels.

    Attributes:
        side: Of the pictures, px.
    """

    def __init__(self, generator: nn.Module, channels: Channels, noise: int, side: int) -> None:
        super().__init__()
        self.generator = generator
        self.channels, self.style_size = channels, noise
        self.divisor = self.side = side

    def forward(
        self,
        source: Float[Tensor, "batch channels height width"],
        style: Float[Tensor, "batch style"] | None = None,
    ) -> Float[Tensor, "batch others side side"]:
        """Return a picture for each item of the source, of which only the number counts.

        Without noise given it is all 0, the mean.
        """
        if style is None:
            style = source.new_zeros(len(source), self.style_size)
        made: Tensor = self.generator(style)
        return made

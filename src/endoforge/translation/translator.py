# SPDX-License-Identifier: Apache-2.0
"""What a trained method of translation can do, and what the trainer's shell must know about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from endoforge.training.task import Batch, Player


@dataclass(frozen=True)
class Channels:
    """How many channels the pictures of the two domains have.

    Attributes:
        source: Of what is translated: simulated pictures, with label planes if any; for `reverse`
            real pictures; for `pix2pix` whatever is given.
        target: Of what it becomes.
    """

    source: int
    target: int


class Translator(nn.Module):
    """Gives pictures another look; what is saved, shipped and run.

    Attributes:
        channels: Of its input and its output.
        style_size: Numbers in a style code; 0 for a method with one look only.
        divisor: Width and height of its input must be multiples of this, px.
    """

    channels: Channels
    style_size: int = 0
    divisor: int = 4

    def forward(
        self,
        source: Float[Tensor, "batch channels height width"],
        style: Float[Tensor, "batch style"] | None = None,
    ) -> Float[Tensor, "batch others height width"]:
        """Translate pictures in [-1, 1].

        Args:
            source: What to translate.
            style: One code per picture; None where the method has none, or for the mean style.

        Returns:
            The translations in [-1, 1], as large as the source.
        """
        raise NotImplementedError

    def style_of(
        self,
        picture: Float[Tensor, "batch others height width"],
        counts: Float[Tensor, "batch 1 height width"] | None = None,
    ) -> Float[Tensor, "batch style"]:
        """Return the style codes of pictures of the target's look, in [-1, 1].

        Args:
            picture: The pictures.
            counts: 1 where a pixel counts; without it all do.

        Raises:
            ShapeError: The method has no styles.
        """
        raise NotImplementedError

    def draw_styles(self, count: int, generator: torch.Generator) -> Float[Tensor, "count style"]:
        """Draw random styles from N(0, 1), the prior of the style codes."""
        return torch.randn(count, self.style_size, generator=generator)


@runtime_checkable
class TranslationTask(Protocol):
    """A `training.task.Task` that ends in a translator.

    Unpaired methods find ``source``, ``source_counts``, ``target`` and ``target_counts`` in the
    batch: pictures ``batch channels height width`` in [-1, 1] and masks ``batch 1 height width``
    that are 1 where a pixel counts, else 0. For paired ones the two are the same scene, for methods
    from noise there is no source.
    """

    @property
    def players(self) -> Mapping[str, Player]:
        """All players by name."""
        ...

    @property
    def translator(self) -> Translator:
        """Shares its networks with the players, so it carries whatever weights they carry."""
        ...

    def forward(self, batch: Batch) -> Batch:
        """Run the networks once for all players."""
        ...

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        """Return the weighted losses that one player is to make small; none lets it rest."""
        ...


@runtime_checkable
class BeginsFromPixels(Protocol):
    """A task that wants to see both domains before the first step of a new training."""

    def begin(
        self, source: Float[Tensor, "pixels channels"], target: Float[Tensor, "others channels"]
    ) -> None:
        """Take up what pixels that count, in [-1, 1], say of the source and of the target."""
        ...

# SPDX-License-Identifier: Apache-2.0
"""What the methods with content and style codes have in common: the translator and its losses."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from endoforge.errors import ShapeError
from endoforge.translation.losses import masked_l1
from endoforge.translation.networks.encoders import AdaptiveDecoder, ContentEncoder, StyleEncoder
from endoforge.translation.networks.generators import check_divisor
from endoforge.translation.networks.settings import CodeSettings
from endoforge.translation.translator import Channels, Translator


class CodeTranslator(Translator):
    """Content of a source picture, style of the target's domain, and a picture made of both.

    Attributes:
        content_encoder: Of source pictures.
        style_encoder: Of target pictures.
        decoder: Makes target pictures.
    """

    def __init__(self, channels: Channels, settings: CodeSettings) -> None:
        super().__init__()
        self.channels, self.style_size = channels, settings.style_size
        self.divisor = 2**settings.halvings
        self._smallest = 2**settings.style_halvings
        self.content_encoder = ContentEncoder(channels.source, settings)
        self.style_encoder = StyleEncoder(channels.target, settings)
        self.decoder = AdaptiveDecoder(channels.target, settings)

    def forward(
        self,
        source: Float[Tensor, "batch channels height width"],
        style: Float[Tensor, "batch style"] | None = None,
    ) -> Float[Tensor, "batch others height width"]:
        """Translate pictures in [-1, 1]; without a style to the mean one.

        Raises:
            ShapeError: A side is not a multiple of `divisor`.
        """
        check_divisor(source, self.divisor)
        if style is None:
            style = source.new_zeros(len(source), self.style_size)
        made: Tensor = self.decoder(self.content_encoder(source), style)
        return made

    def style_of(
        self,
        picture: Float[Tensor, "batch others height width"],
        counts: Float[Tensor, "batch 1 height width"] | None = None,
    ) -> Float[Tensor, "batch style"]:
        """Return the style codes of pictures of the target's look, of any size that is not tiny.

        Raises:
            ShapeError: They have other channels than the target, or are too small.
        """
        channels, height, width = picture.shape[1:]
        if channels != self.channels.target or min(height, width) < self._smallest:
            raise ShapeError(
                f"expected pictures of {self.channels.target} channels and at least "
                f"{self._smallest} px to read a style from, got {channels} channels and {width} x "
                f"{height} px (width x height)"
            )
        code: Tensor = self.style_encoder(picture, counts)
        return code


def random_styles(like: Float[Tensor, "batch style"]) -> Float[Tensor, "batch style"]:
    """Draw styles from N(0, 1); on the CPU, whose random numbers a checkpoint keeps."""
    return torch.randn(like.shape).to(like.device)


def recoding_losses(
    found: Mapping[str, tuple[Tensor, Tensor]], counts: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return mean absolute differences between pictures or contents and what they should be.

    Args:
        found: By name, what was found and what was wanted.
        counts: By the same names, which pixels of the picture count.
    """
    return {
        name: masked_l1(one, other, fitted(counts[name], one))
        for name, (one, other) in found.items()
    }


def fitted(
    counts: Float[Tensor, "batch 1 height width"], features: Tensor
) -> Float[Tensor, "batch 1 rows columns"]:
    """Return how much of each cell of a feature map counts."""
    if counts.shape[-2:] == features.shape[-2:]:
        return counts
    rows, columns = features.shape[-2:]
    return functional.adaptive_avg_pool2d(counts, (rows, columns))

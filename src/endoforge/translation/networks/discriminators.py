# SPDX-License-Identifier: Apache-2.0
"""Discriminators: how real a picture looks, patch by patch, at one scale or several.

All return a tuple with one map of scores per scale; `translation.objectives` says what a score is.
"""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from endoforge.translation.networks.blocks import ConvBlock, Finish
from endoforge.translation.networks.generators import doublings_of
from endoforge.translation.networks.settings import DcganSettings, MlpSettings, PatchSettings

#: One map of scores per scale, each ``batch 1 rows columns``.
Scores = tuple[Tensor, ...]

_WIDEST = 8  # times the width of the first layer


class PatchDiscriminator(nn.Module):
    """Scores of overlapping patches, on the picture and on ever smaller ones if so set."""

    def __init__(self, channels: int, settings: PatchSettings) -> None:
        super().__init__()
        self.settings = settings
        self.scales = nn.ModuleList(_layers(channels, settings) for _ in range(settings.scales))

    def forward(self, picture: Float[Tensor, "batch channels height width"]) -> Scores:
        """Return the scores, finest scale first."""
        found: list[Tensor] = []
        for number, scale in enumerate(self.scales):
            if number:
                picture = halved(picture)
            found.append(scale(picture))
        return tuple(found)


def halved(
    picture: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels rows columns"]:
    """Halve a picture with overlapping means of 3 x 3 px.

    Source:
        Wang et al., *pix2pixHD*, 2018, and MUNIT, 2018: between the scales of their judges.
    """
    return functional.avg_pool2d(picture, 3, 2, 1, count_include_pad=False)


def _layers(channels: int, settings: PatchSettings) -> nn.Sequential:
    def finish(norm: bool, leaky: bool = True) -> Finish:
        name = settings.norm if norm else "none"
        return Finish(name, "leaky" if leaky else "none", settings.padding, settings.spectral)

    width = settings.width
    parts: list[nn.Module] = [ConvBlock(channels, width, 4, 2, finish(norm=False))]
    for layer in range(1, settings.layers):
        wider = settings.width * min(2**layer, _WIDEST)
        parts.append(ConvBlock(width, wider, 4, 2, finish(norm=True)))
        width = wider
    if settings.head == "patch":
        wider = settings.width * min(2**settings.layers, _WIDEST)
        parts.append(ConvBlock(width, wider, 4, 1, finish(norm=True)))
        parts.append(ConvBlock(wider, 1, 4, 1, finish(norm=False, leaky=False)))
    else:
        parts.append(ConvBlock(width, 1, 1, 1, finish(norm=False, leaky=False)))
    return nn.Sequential(*parts)


class DcganDiscriminator(nn.Module):
    """One score per square picture: the mirror image of DCGAN's generator."""

    def __init__(self, channels: int, side: int, settings: DcganSettings) -> None:
        super().__init__()
        width = settings.width
        parts: list[nn.Module] = [
            ConvBlock(channels, width, 4, 2, Finish("none", "leaky", "zeros"))
        ]
        for _ in range(doublings_of(side) - 1):
            parts.append(ConvBlock(width, 2 * width, 4, 2, Finish("batch", "leaky", "zeros")))
            width *= 2
        parts.append(nn.Conv2d(width, 1, 4))
        self.fall = nn.Sequential(*parts)

    def forward(self, picture: Float[Tensor, "batch channels side side"]) -> Scores:
        """Return one map of one score per picture."""
        return (self.fall(picture),)


class MlpDiscriminator(nn.Module):
    """One score per picture by maxout layers.

    Source:
        Goodfellow et al., *GAN*, 2014, section 5; *Maxout networks*, 2013, section 2.
    """

    def __init__(self, channels: int, side: int, settings: MlpSettings) -> None:
        super().__init__()
        width, self._pieces = settings.judge_width, settings.pieces
        sizes = [channels * side * side, *[width] * settings.layers]
        self.hidden = nn.ModuleList(
            nn.Linear(before, after * self._pieces) for before, after in pairwise(sizes)
        )
        self.score = nn.Linear(width, 1)

    def forward(self, picture: Float[Tensor, "batch channels side side"]) -> Scores:
        """Return one map of one score per picture."""
        features = picture.flatten(1)
        for layer in self.hidden:
            features = layer(features).unflatten(1, (-1, self._pieces)).amax(dim=2)
        return (self.score(features)[..., None, None],)

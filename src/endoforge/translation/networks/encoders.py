# SPDX-License-Identifier: Apache-2.0
"""Content and style encoders, and the decoders that make pictures of their codes.

Source: Huang et al., *MUNIT*, 2018, appendix B.2; the narrow content code and the decoder without
style: Pfeiffer et al., *Generating large labeled data sets*, 2019.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from endoforge.translation.networks.blocks import (
    AdaptiveResidualBlock,
    ConvBlock,
    Finish,
    Mlp,
    ResidualBlock,
    upsampling_block,
)
from endoforge.translation.networks.settings import CodeSettings

_STYLE_WIDEST = 4  # times the width of the first layer


class ContentEncoder(nn.Module):
    """Picture to content code, `2^halvings` times smaller, normalised per picture.

    With `CodeSettings.detail` its last channels are the picture's fine detail.
    """

    def __init__(self, channels: int, settings: CodeSettings) -> None:
        width = settings.width
        parts: list[nn.Module] = [ConvBlock(channels, width, 7)]
        for _ in range(settings.halvings):
            parts.append(ConvBlock(width, 2 * width, 4, 2))
            width *= 2
        parts += [ResidualBlock(width) for _ in range(settings.blocks)]
        if settings.content_channels:
            parts.append(ConvBlock(width, settings.content_channels, 3, finish=Finish("none")))
        super().__init__()
        self.learnt = nn.Sequential(*parts)
        self._smaller = 2**settings.halvings if settings.detail else 0

    def forward(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch codes rows columns"]:
        """Return the content of pictures in [-1, 1]."""
        code: Tensor = self.learnt(picture)
        if not self._smaller:
            return code
        detail = functional.pixel_unshuffle(fine_detail(picture), self._smaller)
        return torch.cat([code, detail.to(code.dtype)], dim=1)


class StyleEncoder(nn.Module):
    """Picture to style code, one vector; without normalisation, which would take it away."""

    def __init__(self, channels: int, settings: CodeSettings) -> None:
        super().__init__()
        bare, width = Finish("none"), settings.width
        parts: list[nn.Module] = [ConvBlock(channels, width, 7, finish=bare)]
        for _ in range(settings.style_halvings):
            wider = min(2 * width, _STYLE_WIDEST * settings.width)
            parts.append(ConvBlock(width, wider, 4, 2, bare))
            width = wider
        self.fall = nn.Sequential(*parts)
        self.code = nn.Linear(width, settings.style_size)

    def forward(
        self,
        picture: Float[Tensor, "batch channels height width"],
        counts: Float[Tensor, "batch 1 height width"] | None = None,
    ) -> Float[Tensor, "batch style"]:
        """Return one style code per picture; a mask leaves its zeros out of the mean."""
        features = self.fall(picture)
        if counts is None:
            whole: Tensor = self.code(features.mean(dim=(2, 3)))
            return whole
        share = nn.functional.adaptive_avg_pool2d(counts, features.shape[-2:])
        total = share.sum(dim=(2, 3)).clamp(min=1e-6)
        code: Tensor = self.code((features * share).sum(dim=(2, 3)) / total)
        return code


class PlainDecoder(nn.Module):
    """Content code to picture, one look only: instance normalisation in its residual blocks."""

    def __init__(self, outputs: int, settings: CodeSettings) -> None:
        super().__init__()
        self.widen = _widen(settings)
        self.blocks = nn.Sequential(
            *(ResidualBlock(settings.widest) for _ in range(settings.blocks))
        )
        self.rise = _Rise(outputs, settings)

    def forward(
        self, content: Float[Tensor, "batch codes rows columns"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return pictures in [-1, 1]."""
        picture: Tensor = self.rise(self.blocks(self.widen(content)), content)
        return picture


class AdaptiveDecoder(nn.Module):
    """Content and style code to picture: the style sets the AdaIN of the residual blocks."""

    def __init__(self, outputs: int, settings: CodeSettings) -> None:
        super().__init__()
        self.widen = _widen(settings)
        self.blocks = nn.ModuleList(
            AdaptiveResidualBlock(settings.widest) for _ in range(settings.blocks)
        )
        self.rise = _Rise(outputs, settings)
        needed = 4 * settings.widest * settings.blocks
        self.mlp = Mlp(settings.style_size, settings.mlp_width, needed, settings.mlp_layers)

    def forward(
        self,
        content: Float[Tensor, "batch codes rows columns"],
        style: Float[Tensor, "batch style"],
    ) -> Float[Tensor, "batch channels height width"]:
        """Return pictures in [-1, 1]."""
        features = self.widen(content)
        if len(self.blocks):
            told = self.mlp(style).chunk(len(self.blocks), dim=1)
            for block, numbers in zip(self.blocks, told, strict=True):
                features = block(features, numbers)
        picture: Tensor = self.rise(features, content)
        return picture


def fine_detail(
    picture: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch 1 height width"]:
    """Return the mean over channels less its mean over 5 px by 5 px, taken twice."""
    bright = picture.mean(dim=1, keepdim=True)
    smooth = bright
    for _ in range(2):
        smooth = functional.avg_pool2d(smooth, 5, 1, 2, count_include_pad=False)
    return bright - smooth


def with_noise(
    picture: Float[Tensor, "batch channels height width"], deviation: float
) -> Float[Tensor, "batch channels height width"]:
    """Add Gaussian noise, so that no faint pattern can carry the input through a cycle.

    Source:
        Pfeiffer et al., 2019: N(0, 0.1²) before every encoder.
    """
    return picture + deviation * torch.randn_like(picture) if deviation else picture


def _widen(settings: CodeSettings) -> nn.Module:
    """Bring a narrow content code back to the width of the blocks."""
    if not settings.content_channels and not settings.detail:
        return nn.Identity()
    codes = (settings.content_channels or settings.widest) + settings.details
    return ConvBlock(codes, settings.widest, 3, finish=Finish("none"))


class _Rise(nn.Module):
    """Doublings to full resolution and the last layer, which sees the detail in the content."""

    def __init__(self, outputs: int, settings: CodeSettings) -> None:
        super().__init__()
        width = settings.widest
        parts: list[nn.Module] = []
        for _ in range(settings.halvings):
            parts.append(upsampling_block(width, width // 2, "resize", Finish("layer"), 5))
            width //= 2
        self.doublings = nn.Sequential(*parts)
        self._details, self._larger = settings.details, 2**settings.halvings
        inputs = width + int(settings.detail)
        self.last = ConvBlock(inputs, outputs, 7, finish=Finish("none", "tanh"))

    def forward(self, features: Tensor, content: Tensor) -> Tensor:
        found = self.doublings(features)
        if self._details:
            detail = functional.pixel_shuffle(content[:, -self._details :], self._larger)
            found = torch.cat([found, detail.to(found.dtype)], dim=1)
        picture: Tensor = self.last(found)
        return picture

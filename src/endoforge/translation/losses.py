# SPDX-License-Identifier: Apache-2.0
"""Losses between pictures: absolute difference and similarity of structure, over what counts.

Pixels that do not count (a dark surround, burnt-in text) have exactly no influence.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

#: Exponents of the five scales, finest first; Wang et al., 2003, section 3.2.
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _DEVIATION = 11, 1.5
_K1, _K2 = 0.01, 0.03


def counted_together(
    source_counts: Float[Tensor, "batch 1 height width"],
    target_counts: Float[Tensor, "batch 1 height width"],
) -> Float[Tensor, "batch 1 height width"]:
    """Return the mask to `hide` both a true and a made picture with before a judge sees them.

    If each were hidden by its own mask, the mask's outline would tell them apart.
    """
    return source_counts * target_counts


def hide(
    picture: Float[Tensor, "batch channels height width"],
    counts: Float[Tensor, "batch 1 height width"],
) -> Float[Tensor, "batch channels height width"]:
    """Return pictures that are 0, mid-grey, wherever they do not count."""
    return picture * counts


def masked_l1(
    found: Float[Tensor, "batch channels height width"],
    wanted: Float[Tensor, "batch channels height width"],
    counts: Float[Tensor, "batch 1 height width"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean absolute difference over all pixels that count, 0 if none does."""
    difference = (found.float() - wanted.float()).abs()
    if counts is None:
        return difference.mean()
    kept = torch.where(counts > 0, difference, 0.0) * counts
    return kept.sum() / (counts.sum() * found.shape[1]).clamp(min=1.0)


def brightness(
    picture: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch 1 height width"]:
    """Return the plain mean over channels, as Pfeiffer et al., 2019, compare it."""
    return picture.mean(dim=1, keepdim=True)


def ms_ssim(
    one: Float[Tensor, "batch channels height width"],
    other: Float[Tensor, "batch channels height width"],
    counts: Float[Tensor, "batch 1 height width"] | None = None,
    *,
    normalised: bool = True,
    value_range: float = 2.0,
) -> Float[Tensor, ""]:
    """Return how alike two pictures are in structure over five scales; 1 for equal ones.

    A window that is partly masked takes its statistics from what counts in it and weighs as much as
    counts in it. On pictures under 176 px the window is as large as the smaller scales.

    Args:
        one: Pictures.
        other: Pictures of the same shape.
        counts: 1 where a pixel counts; None if all do.
        normalised: Map terms from [-1, 1] to [0, 1] before the product, so that opposite structure
            has a slope; else negative terms become 0.
        value_range: Largest minus smallest possible value.

    Source:
        Wang et al., *Multi-scale structural similarity*, 2003, equation 7. The normalised form is
        that of Pfeiffer et al., 2019.
    """
    with torch.autocast(one.device.type, enabled=False):
        one, other = one.float(), other.float()
        mask = torch.ones_like(one[:, :1]) if counts is None else counts.float()
        one, other = torch.where(mask > 0, one, 0.0), torch.where(mask > 0, other, 0.0)
        terms: list[Tensor] = []
        for scale, weight in enumerate(MS_SSIM_WEIGHTS):
            if scale:
                one, other, mask = _halved(one, other, mask)
            similarity, contrast = _ssim(one, other, mask, value_range)
            term = similarity if scale == len(MS_SSIM_WEIGHTS) - 1 else contrast
            term = (term + 1) / 2 if normalised else functional.relu(term)
            terms.append(term.clamp(min=1e-8) ** weight)
        return torch.stack(terms).prod(dim=0).mean()


def _ssim(one: Tensor, other: Tensor, mask: Tensor, value_range: float) -> tuple[Tensor, Tensor]:
    """Return mean similarity and mean contrast-structure of each picture."""
    c1, c2 = (_K1 * value_range) ** 2, (_K2 * value_range) ** 2
    stack = torch.cat([one, other, one * one, other * other, one * other], dim=1) * mask
    blurred = _blurred(torch.cat([stack, mask], dim=1))
    share = blurred[:, -1:]
    means = blurred[:, :-1] / share.clamp(min=1e-6)
    mean_1, mean_2, square_1, square_2, product = means.chunk(5, dim=1)
    variances = square_1 - mean_1.square() + square_2 - mean_2.square()
    covariance = product - mean_1 * mean_2
    contrast = (2 * covariance + c2) / (variances + c2)
    luminance = (2 * mean_1 * mean_2 + c1) / (mean_1.square() + mean_2.square() + c1)
    return _weighted(luminance * contrast, share), _weighted(contrast, share)


def _weighted(values: Tensor, share: Tensor) -> Tensor:
    """Return each picture's mean by what counts; 1 where nothing does."""
    total = share.sum(dim=(1, 2, 3))
    mean = (values.mean(dim=1, keepdim=True) * share).sum(dim=(1, 2, 3)) / total.clamp(min=1e-6)
    return torch.where(total > 1e-6, mean, 1.0)


def _blurred(stack: Tensor) -> Tensor:
    """Blur with the part of a Gaussian of 11 px that fits, without leaving the picture."""
    channels, height, width = stack.shape[1:]
    for axis, side in ((2, height), (3, width)):
        size = min(_WINDOW, side)
        places = torch.arange(size, dtype=stack.dtype, device=stack.device) - (size - 1) / 2
        kernel = torch.exp(-places.square() / (2 * _DEVIATION**2))
        kernel = kernel / kernel.sum()
        shape = (channels, 1, size, 1) if axis == 2 else (channels, 1, 1, size)
        lined = kernel.reshape(shape[2:]).expand(shape).contiguous()
        stack = functional.conv2d(stack, lined, groups=channels)
    return stack


def _halved(one: Tensor, other: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Halve pictures by means over what counts; the mask becomes the share that counts."""
    pooled = functional.avg_pool2d(torch.cat([one * mask, other * mask, mask], dim=1), 2)
    share = pooled[:, -1:]
    means = pooled[:, :-1] / share.clamp(min=1e-6)
    one, other = means.chunk(2, dim=1)
    return one, other, share


def colour_difference(
    made: Float[Tensor, "batch channels height width"],
    wanted: Float[Tensor, "batch channels height width"],
    counts: Float[Tensor, "batch 1 height width"],
) -> Float[Tensor, ""]:
    """Return how far apart the colours of two domains are: in their means and mean products.

    Each half of the batch gives an estimate of the difference, and the product of two independent
    ones is on average the squared difference of the domains, however small the batch; the square
    of one would shrink the contrast too. A single batch's value may therefore be negative.

    Args:
        made: Pictures of one domain, two or more.
        wanted: Pictures of the other, that show something else.
        counts: Pixels that count, on both sides.
    """
    half = len(made) // 2
    first, second = (
        _moments(made[part], counts[part]) - _moments(wanted[part], counts[part])
        for part in (slice(None, half), slice(half, None))
    )
    return (first * second).sum()


def _moments(
    pictures: Float[Tensor, "batch channels height width"],
    counts: Float[Tensor, "batch 1 height width"],
) -> Float[Tensor, "channels columns"]:
    """Return the mean of every channel beside those of all products of two."""
    pixels = pictures.transpose(0, 1).flatten(1)
    weights = counts.flatten() / counts.sum().clamp(min=1.0)
    weighted = pixels * weights
    return torch.cat([weighted.sum(dim=1, keepdim=True), weighted @ pixels.T], dim=1)

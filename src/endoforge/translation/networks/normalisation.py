# SPDX-License-Identifier: Apache-2.0
"""Normalisations of feature maps: per picture, per batch, over all channels, or told by a style."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from endoforge.translation.networks.equivalents import InstanceNorm
from endoforge.translation.networks.settings import NormName

EPSILON = 1e-5


def normalisation(name: NormName, width: int) -> nn.Module:
    """Build the normalisation of that name for feature maps of so many channels.

    ``layer`` is over all channels and pixels of a picture, so it keeps the ratios between channels
    that an AdaIN before it has set; its scales start uniform in [0, 1] as in MUNIT.
    """
    match name:
        case "instance":
            return InstanceNorm(width, eps=EPSILON)
        case "instance-affine":
            return InstanceNorm(width, eps=EPSILON, affine=True)
        case "batch":
            return nn.BatchNorm2d(width, eps=EPSILON)
        case "layer":
            norm = nn.GroupNorm(1, width, eps=EPSILON)
            nn.init.uniform_(norm.weight)
            return norm
        case "none":
            return nn.Identity()


def forgets_bias(name: NormName) -> bool:
    """Say whether a constant added to a channel before this normalisation has no effect."""
    return name in {"instance", "instance-affine", "batch"}


def adaptive_instance_norm(
    features: Float[Tensor, "batch channels height width"],
    scale: Float[Tensor, "batch channels"],
    shift: Float[Tensor, "batch channels"],
) -> Float[Tensor, "batch channels height width"]:
    """Give each channel of each picture the mean `shift` and the standard deviation `scale`.

    Source:
        Huang & Belongie, *Arbitrary style transfer in real-time*, 2017, equation 8.
    """
    batch, channels, height, width = features.shape
    flat = features.reshape(1, batch * channels, height, width)
    with torch.autocast(features.device.type, enabled=False):
        weight, bias = scale.reshape(-1).float(), shift.reshape(-1).float()
        normed = functional.batch_norm(
            flat.float(), None, None, weight, bias, training=True, eps=EPSILON
        )
    return normed.reshape(batch, channels, height, width).to(features.dtype)


def spectral(layer: nn.Module, wanted: bool) -> nn.Module:
    """Divide a layer's weight by its largest singular value, if wanted.

    Source:
        Miyato et al., *Spectral normalization for GANs*, 2018, algorithm 1.
    """
    return parametrizations.spectral_norm(layer) if wanted else layer

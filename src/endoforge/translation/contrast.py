# SPDX-License-Identifier: Apache-2.0
"""Patch-wise contrast: each patch of a translation must resemble its own place of the input.

More than it resembles other places of the same picture, that is.

Source: Park et al., *Contrastive learning for unpaired image-to-image translation*, 2020,
section 3.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from endoforge.translation.networks.blocks import Mlp

_WHOLE = 0.999  # share of a cell that must count for it to be chosen


class PatchProjector(nn.Module):
    """Brings the features of each layer to vectors of length 1, with two matrices per layer."""

    def __init__(self, widths: Sequence[int], size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Mlp(width, size, size, 2) for width in widths)

    def forward(
        self, features: Sequence[Tensor], places: Sequence[Tensor]
    ) -> list[Float[Tensor, "batch places size"]]:
        """Return one vector for each chosen place, layer by layer.

        Args:
            features: Of each layer, ``batch channels rows columns``.
            places: Of each layer, from `choose_places`.
        """
        found = []
        for layer, feature, place in zip(self.layers, features, places, strict=True):
            index = place[:, None].expand(-1, feature.shape[1], -1)
            chosen = feature.flatten(2).gather(2, index).transpose(1, 2)
            found.append(functional.normalize(layer(chosen).float(), dim=2, eps=1e-7))
        return found


def choose_places(
    counts: Float[Tensor, "batch 1 height width"], shape: tuple[int, int], number: int
) -> Int64[Tensor, "batch places"]:
    """Choose different places of a feature map at random, only where every pixel counts.

    Args:
        counts: 1 where a pixel counts.
        shape: Rows and columns of the feature map.
        number: How many to choose; fewer if a picture has not as many.

    Returns:
        Indices into the flattened feature map; none if nothing counts in one of the pictures.
    """
    share = functional.adaptive_avg_pool2d(counts, shape).flatten(1)
    whole = share > _WHOLE
    available = int(whole.sum(dim=1).min())
    order = torch.rand(whole.shape).to(counts.device)  # drawn on the CPU: one state to keep
    return torch.where(whole, order, -1.0).topk(min(number, available), dim=1).indices


def patch_contrast(
    queries: Float[Tensor, "batch places size"],
    keys: Float[Tensor, "batch places size"],
    temperature: float,
) -> Float[Tensor, ""]:
    """Return the cross-entropy of finding each query's own key among all keys of its picture.

    Keys get no gradient. 0 if there are no places.

    Source:
        Park et al., 2020, equation 3.
    """
    if not queries.shape[1]:
        return queries.sum()
    alike = queries @ keys.detach().transpose(1, 2) / temperature
    own = torch.arange(queries.shape[1], device=queries.device).expand(len(queries), -1)
    return functional.cross_entropy(alike.flatten(0, 1), own.flatten())

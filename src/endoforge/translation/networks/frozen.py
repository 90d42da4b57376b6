# SPDX-License-Identifier: Apache-2.0
"""Features of a trained U-Net that does not learn any more."""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from endoforge.errors import CheckpointError
from endoforge.settings import validate
from endoforge.training.model_folder import NAME, fill_network, find_model
from endoforge.training.networks.shape import UNetShape
from endoforge.training.networks.unet import ResidualUNet
from endoforge.training.sealed import read_sealed

_DEPTH_MODEL, _VERSION = "depth-model", 1


class FrozenFeatures(nn.Module):
    """The first levels of a depth network on the way down, each place's features of length 1.

    It is kept out of checkpoints: whoever trains with it reads it again.
    """

    def __init__(self, model: str | Path, levels: int) -> None:
        super().__init__()
        folder = find_model(model)
        tensors, card = read_sealed(folder, NAME, _DEPTH_MODEL, _VERSION)
        try:
            given = {name: card["network"][name] for name in UNetShape.model_fields}
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"{folder}/{NAME}.json does not say {error} of its network; train it again"
            ) from None
        network = ResidualUNet(validate(UNetShape, given), outputs=1, start=0.0)
        fill_network(network, tensors, folder)
        if levels > len(network.settings.widths):
            raise CheckpointError(
                f"{folder} has {len(network.settings.widths)} levels but feature_levels is "
                f"{levels}; ask for fewer"
            )
        self._levels = levels
        self.network = network.eval().requires_grad_(False)

    def forward(self, picture: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Return the features of pictures in [-1, 1], finest level first."""
        found = self.network.encoded((picture + 1) / 2)[: self._levels]
        return [functional.normalize(features.float(), dim=1) for features in found]

    def train(self, mode: bool = True) -> "FrozenFeatures":
        """Stay in evaluation mode."""
        return super().train(False)

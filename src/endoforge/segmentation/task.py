# SPDX-License-Identifier: Apache-2.0
"""Supervised segmentation as a task for the trainer: one player, two losses."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from endoforge.segmentation.losses import cross_entropy, overlap_loss
from endoforge.segmentation.networks.unet import SegmentationUNet
from endoforge.segmentation.settings import SegmentationLossSettings
from endoforge.training.optimiser import adamw
from endoforge.training.settings import TrainerSettings
from endoforge.training.task import Batch, Player

PLAYER = "segmentation"


class SegmentationTask:
    """Learns classes from batches of ``image`` and ``label`` (int64, 255 does not count)."""

    def __init__(
        self,
        network: SegmentationUNet,
        loss: SegmentationLossSettings,
        trainer: TrainerSettings,
        weights: Float[Tensor, " classes"],
    ) -> None:
        self.network = network
        self._loss, self._weights = loss, weights
        self.players = {PLAYER: Player(nn.ModuleList([network]), adamw(network, trainer))}

    def forward(self, batch: Batch) -> Batch:
        """Return ``scores`` of the batch's pictures."""
        return {"scores": self.network(batch["image"])}

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        """Return the weighted losses; those of weight 0 are left out."""
        settings, label = self._loss, batch["label"]
        scores = outputs["scores"].float()
        found: dict[str, Tensor] = {}
        if settings.cross_entropy:
            value = cross_entropy(scores, label, self._weights)
            found["cross_entropy"] = settings.cross_entropy * value
        if settings.overlap:
            value = overlap_loss(scores, label, settings.overlap_kind)
            found[settings.overlap_kind] = settings.overlap * value
        return found

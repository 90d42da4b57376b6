# SPDX-License-Identifier: Apache-2.0
"""Supervised depth as a task for the trainer: one player, three losses on log depth."""

from collections.abc import Mapping

from torch import Tensor, nn

from endoforge.depth.losses import absolute_loss, gradient_loss, log_error, scale_invariant_loss
from endoforge.depth.networks.build import DepthNetwork
from endoforge.depth.settings import DepthLossSettings
from endoforge.training.optimiser import adamw
from endoforge.training.settings import TrainerSettings
from endoforge.training.task import Batch, Player

PLAYER = "depth"


class DepthTask:
    """Learns log depth from batches of ``image``, ``depth_mm`` and ``valid``."""

    def __init__(
        self, network: DepthNetwork, loss: DepthLossSettings, trainer: TrainerSettings
    ) -> None:
        self.network = network
        self._loss = loss
        self.players = {PLAYER: Player(nn.ModuleList([network]), adamw(network, trainer))}

    def forward(self, batch: Batch) -> Batch:
        """Return ``log_depth`` of the batch's pictures."""
        return {"log_depth": self.network(batch["image"])}

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        """Return the weighted losses; those of weight 0 are left out."""
        settings, valid = self._loss, batch["valid"]
        error = log_error(outputs["log_depth"].float(), batch["depth_mm"], valid)
        found: dict[str, Tensor] = {}
        if settings.scale_invariant:
            value = scale_invariant_loss(error, valid, settings.variance_focus)
            found["scale_invariant"] = settings.scale_invariant * value
        if settings.absolute:
            found["absolute"] = settings.absolute * absolute_loss(error, valid)
        if settings.gradient:
            value = gradient_loss(error, valid, settings.gradient_scales)
            found["gradient"] = settings.gradient * value
        return found

# SPDX-License-Identifier: Apache-2.0
"""What unpaired methods share: judges that see only what counts, and refusals."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from endoforge.errors import SettingsError, ShapeError
from endoforge.training.task import Batch
from endoforge.translation.losses import counted_together, hide
from endoforge.translation.networks.discriminators import PatchDiscriminator
from endoforge.translation.networks.initial import start_normal
from endoforge.translation.networks.settings import PatchSettings
from endoforge.translation.objectives import generator_loss, judge_losses
from endoforge.translation.settings import ObjectiveName
from endoforge.translation.translator import Channels


class Judge(torch.nn.Module):
    """A patch discriminator with its objective; pixels that do not count are hidden from it."""

    def __init__(self, channels: int, settings: PatchSettings, objective: ObjectiveName) -> None:
        super().__init__()
        if objective == "wasserstein":
            raise SettingsError(
                "the unpaired methods have no gradient penalty, so objective must be "
                "non-saturating, least-squares or hinge, got wasserstein"
            )
        self.network = PatchDiscriminator(channels, settings)
        start_normal(self.network)
        self._objective: ObjectiveName = objective
        self._together = settings.norm != "batch"

    def deceived(
        self,
        made: Float[Tensor, "batch channels height width"],
        counts: Float[Tensor, "batch 1 height width"],
    ) -> Float[Tensor, ""]:
        """Return the loss of who made a picture."""
        return generator_loss(self._objective, self.network(hide(made, counts)))

    def learns(
        self,
        true: Float[Tensor, "batch channels height width"],
        made: Float[Tensor, "batch channels height width"],
        counts: Float[Tensor, "batch 1 height width"],
    ) -> Mapping[str, Tensor]:
        """Return the judge's own losses, ``true`` and ``made``, from pictures under one mask."""
        shown, faked = hide(true, counts), hide(made.detach().to(true.dtype), counts)
        if not self._together:
            return judge_losses(self._objective, self.network(shown), self.network(faked))
        halves = [scores.chunk(2) for scores in self.network(torch.cat([shown, faked]))]
        return judge_losses(
            self._objective, tuple(half[0] for half in halves), tuple(half[1] for half in halves)
        )


def counts_of(batch: Batch, channels: Channels) -> Float[Tensor, "batch 1 height width"]:
    """Return the mask that both sides of an unpaired batch are judged under.

    Raises:
        ShapeError: The pictures have other channels than the networks, or the sides differ in size.
    """
    source, target = batch["source"].shape, batch["target"].shape
    if (source[1], target[1]) != (channels.source, channels.target):
        raise ShapeError(
            f"expected source and target of {channels.source} and {channels.target} channels, got "
            f"{source[1]} and {target[1]}; build the method for these domains"
        )
    if (source[0], *source[2:]) != (target[0], *target[2:]):
        raise ShapeError(
            "expected as many pictures of one size on both sides, got source "
            f"{tuple(source)} and target {tuple(target)} (batch, channels, height, width)"
        )
    return counted_together(batch["source_counts"], batch["target_counts"])


def refuse_different(channels: Channels, why: str, remedy: str) -> None:
    """Refuse domains of different channel counts for a method that cannot do with them.

    Raises:
        SettingsError: Says why, both counts and a remedy.
    """
    if channels.source != channels.target:
        raise SettingsError(
            f"{why} needs as many channels on both sides, got {channels.source} of the source and "
            f"{channels.target} of the target; {remedy}"
        )

# SPDX-License-Identifier: Apache-2.0
"""Pictures from pictures of the same scene: label maps to looks, or a picture to its depth."""

from collections.abc import Mapping

import torch
from torch import Tensor

from endoforge.training.task import Batch, Player
from endoforge.translation.losses import counted_together, hide, masked_l1
from endoforge.translation.networks.build import build_generator
from endoforge.translation.networks.discriminators import PatchDiscriminator
from endoforge.translation.networks.initial import start_normal
from endoforge.translation.objectives import generator_loss, gradient_penalty, judge_losses
from endoforge.translation.players import OneLook, player_of
from endoforge.translation.tasks.pix2pix_settings import Pix2pixSettings
from endoforge.translation.translator import Channels, Translator


class Pix2pixTask:
    """Two players, ``generator`` and ``judge``; the judge sees source and picture together.

    Dropout is the source's only noise; it is off once the translator is in evaluation mode.
    """

    def __init__(self, settings: Pix2pixSettings, channels: Channels) -> None:
        generator = build_generator(channels.source, channels.target, settings.generator)
        self._judge = PatchDiscriminator(channels.source + channels.target, settings.judge)
        start_normal(generator)
        start_normal(self._judge)
        self._settings = settings
        self._translator = OneLook(generator, channels, settings.generator.divisor)
        self.players: Mapping[str, Player] = {
            "generator": player_of([self._translator], settings),
            "judge": player_of([self._judge], settings, averaged=False),
        }

    @property
    def translator(self) -> Translator:
        """The generator, with whatever weights it carries."""
        return self._translator

    def forward(self, batch: Batch) -> Batch:
        """Return ``made``: what the generator makes of the sources."""
        return {"made": self._translator(batch["source"])}

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        """Return the weighted losses; those of weight 0 are left out."""
        settings = self._settings
        counts = counted_together(batch["source_counts"], batch["target_counts"])
        source, made = hide(batch["source"], counts), hide(outputs["made"], counts)
        if player == "generator":
            return self._generator_losses(source, made, hide(batch["target"], counts), counts)
        if not settings.fool_weight:
            return {}
        true = torch.cat([source, hide(batch["target"], counts)], dim=1)
        false = torch.cat([source, made.detach().to(source.dtype)], dim=1)
        terms = judge_losses(settings.objective, self._judge(true), self._judge(false))
        found = {key: settings.judge_weight * value for key, value in terms.items()}
        if settings.objective == "wasserstein":
            found["slope"] = settings.penalty * gradient_penalty(self._judge, true, false)
        return found

    def _generator_losses(
        self, source: Tensor, made: Tensor, target: Tensor, counts: Tensor
    ) -> Mapping[str, Tensor]:
        settings = self._settings
        found: dict[str, Tensor] = {}
        if settings.fool_weight:
            scores = self._judge(torch.cat([source, made], dim=1))
            found["fool"] = settings.fool_weight * generator_loss(settings.objective, scores)
        if settings.l1_weight:
            found["l1"] = settings.l1_weight * masked_l1(made, target, counts)
        return found

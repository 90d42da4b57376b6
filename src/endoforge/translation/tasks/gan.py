# SPDX-License-Identifier: Apache-2.0
"""Pictures from noise: where all of this began, and the smallest test of the trainer."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from endoforge.training.task import Batch, Player
from endoforge.translation.losses import hide
from endoforge.translation.networks.discriminators import DcganDiscriminator, MlpDiscriminator
from endoforge.translation.networks.generators import DcganGenerator, MlpGenerator
from endoforge.translation.networks.initial import start_normal
from endoforge.translation.objectives import generator_loss, gradient_penalty, judge_losses
from endoforge.translation.players import FromNoise, player_of
from endoforge.translation.tasks.gan_settings import DcganTaskSettings, GanSettings, NoiseSettings
from endoforge.translation.translator import Channels, Translator


class NoiseTask:
    """Two players, ``generator`` and ``judge``; learns from ``target`` alone.

    Masks hide the same pixels of true and made pictures.

    Attributes:
        players: The judge moves second, on the pictures that the generator made before it moved.
    """

    def __init__(self, translator: FromNoise, judge: nn.Module, settings: NoiseSettings) -> None:
        self._translator, self._judge, self._settings = translator, judge, settings
        self.players: Mapping[str, Player] = {
            "generator": player_of([translator], settings),
            "judge": player_of([judge], settings, settings.judge_rate, averaged=False),
        }

    @property
    def translator(self) -> Translator:
        """The generator, with whatever weights it carries."""
        return self._translator

    def forward(self, batch: Batch) -> Batch:
        """Return ``made``: one picture for each target."""
        target = batch["target"]
        noise = torch.randn(len(target), self._translator.style_size).to(target.device)
        return {"made": self._translator(target[:, :0], noise)}

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        """Return the adversarial losses of one player."""
        settings, counts = self._settings, batch["target_counts"]
        made = hide(outputs["made"], counts)
        if player == "generator":
            return {"fool": generator_loss(settings.objective, self._judge(made))}
        true, made = hide(batch["target"], counts), made.detach()
        found = dict(judge_losses(settings.objective, self._judge(true), self._judge(made)))
        if settings.objective == "wasserstein":
            found["slope"] = settings.penalty * gradient_penalty(self._judge, true, made)
        return found


def gan_task(settings: GanSettings, channels: Channels) -> NoiseTask:
    """Build the networks of `gan`; matrices keep torch's own first weights."""
    side, network = settings.pictures.crop, settings.network
    generator = MlpGenerator(channels.target, side, network)
    judge = MlpDiscriminator(channels.target, side, network)
    return NoiseTask(FromNoise(generator, channels, network.noise, side), judge, settings)


def dcgan_task(settings: DcganTaskSettings, channels: Channels) -> NoiseTask:
    """Build the networks of `dcgan`, with its first weights."""
    side, network = settings.pictures.crop, settings.network
    generator = DcganGenerator(channels.target, side, network)
    judge = DcganDiscriminator(channels.target, side, network)
    start_normal(generator)
    start_normal(judge)
    return NoiseTask(FromNoise(generator, channels, network.noise, side), judge, settings)

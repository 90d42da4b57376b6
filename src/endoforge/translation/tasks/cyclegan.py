# SPDX-License-Identifier: Apache-2.0
"""Two translators that undo one another, so that content is kept without pairs."""

from collections.abc import Mapping

import torch
from torch import Tensor

from endoforge.training.task import Batch, Player
from endoforge.translation.history import PictureHistory
from endoforge.translation.judging import Judge, counts_of, refuse_different
from endoforge.translation.losses import masked_l1
from endoforge.translation.networks.generators import ResNetGenerator
from endoforge.translation.networks.initial import start_normal
from endoforge.translation.pairs import on_both
from endoforge.translation.players import OneLook, player_of
from endoforge.translation.tasks.cyclegan_settings import CycleGanSettings
from endoforge.translation.translator import Channels, Translator


class CycleGanTask:
    """Two players, ``generators`` and ``judges``; each holds a pair of networks.

    The judges' turn takes the pictures that the generators' turn has made.

    Source:
        Zhu et al., 2017, equations 1 to 3; the identity loss of section 5.2.
    """

    def __init__(self, settings: CycleGanSettings, channels: Channels) -> None:
        if settings.identity:
            refuse_different(
                channels, "the identity loss of cyclegan", "convert the pictures or set identity=0"
            )
        self._settings, self._channels = settings, channels
        there = ResNetGenerator(channels.source, channels.target, settings.generator)
        self._back = ResNetGenerator(channels.target, channels.source, settings.generator)
        self._judge_target = Judge(channels.target, settings.judge, settings.objective)
        self._judge_source = Judge(channels.source, settings.judge, settings.objective)
        for generator in (there, self._back):
            start_normal(generator)
        self._there = OneLook(there, channels, settings.generator.divisor)
        self._history = {
            "target": PictureHistory(settings.history),
            "source": PictureHistory(settings.history),
        }
        self.players: Mapping[str, Player] = {
            "generators": player_of([self._there, self._back], settings),
            "judges": player_of([self._judge_target, self._judge_source], settings, averaged=False),
        }

    @property
    def translator(self) -> Translator:
        """The generator from source to target, with whatever weights it carries."""
        return self._there

    def forward(self, batch: Batch) -> Batch:
        """Return both translations, both cycles, and if asked for both identities."""
        counts = counts_of(batch, self._channels)
        source, target = batch["source"], batch["target"]
        found = {"counts": counts}
        if self._settings.identity:
            found["made_target"], found["same_target"] = on_both(self._there, (source, target))
            found["made_source"], found["same_source"] = on_both(self._back, (target, source))
        else:
            found["made_target"], found["made_source"] = self._there(source), self._back(target)
        found["cycle_source"] = self._back(found["made_target"])
        found["cycle_target"] = self._there(found["made_source"])
        return found

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        """Return the weighted losses; those of weight 0 are left out."""
        if player == "generators":
            return self._generators_losses(batch, outputs)
        found = {}
        for side, judge in (("target", self._judge_target), ("source", self._judge_source)):
            made, counts = self._remembered(side, outputs)
            for key, value in judge.learns(batch[side], made, counts).items():
                found[f"{key}_{side}"] = self._settings.judge_weight * value
        return found

    # ---- state beyond weights ----

    def state(self) -> Mapping[str, Tensor]:
        """Return both histories, for a checkpoint."""
        return {
            f"{side}_{key}": value
            for side, history in self._history.items()
            for key, value in history.state().items()
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` returned."""
        device = next(self._back.parameters()).device
        for side, history in self._history.items():
            own = {k.removeprefix(f"{side}_"): v for k, v in state.items() if k.startswith(side)}
            history.load_state(own, device)

    def settle(self, kept: bool) -> None:
        """Remember the step's pictures, or forget them."""
        for history in self._history.values():
            history.settle(kept)

    # ---- inside ----

    def _remembered(self, side: str, outputs: Batch) -> tuple[Tensor, Tensor]:
        """Return new or remembered pictures, and where they and today's both count."""
        made, counts = outputs[f"made_{side}"], outputs["counts"]
        mixed = self._history[side].mixed(torch.cat([made.float(), counts.float()], dim=1))
        return mixed[:, :-1], mixed[:, -1:] * counts

    def _generators_losses(self, batch: Batch, outputs: Batch) -> dict[str, Tensor]:
        settings = self._settings
        found: dict[str, Tensor] = {}
        for side, judge, cycle in (
            ("target", self._judge_target, settings.cycle_target),
            ("source", self._judge_source, settings.cycle_source),
        ):
            true, counts = batch[side], batch[f"{side}_counts"]
            fooled = judge.deceived(outputs[f"made_{side}"], outputs["counts"])
            found[f"fool_{side}"] = settings.fool_weight * fooled
            if cycle:
                found[f"cycle_{side}"] = cycle * masked_l1(outputs[f"cycle_{side}"], true, counts)
            if cycle and settings.identity:
                alone = masked_l1(outputs[f"same_{side}"], true, counts)
                found[f"identity_{side}"] = cycle * settings.identity * alone
        return found

# SPDX-License-Identifier: Apache-2.0
"""Content and style codes in both domains; a translation keeps one and draws the other."""

from collections.abc import Mapping

from torch import Tensor

from endoforge.training.task import Batch, Player
from endoforge.translation.codes import CodeTranslator, random_styles, recoding_losses
from endoforge.translation.judging import Judge, counts_of
from endoforge.translation.networks.initial import start_kaiming
from endoforge.translation.pairs import on_both
from endoforge.translation.players import player_of
from endoforge.translation.tasks.munit_settings import MunitSettings
from endoforge.translation.translator import Channels, Translator


class MunitTask:
    """Two players, ``translators`` and ``judges``; the domains may differ in channels.

    Both players' turns use the same translations: the judges see those that the translators were
    judged by, so nothing is encoded twice.

    Source:
        Huang et al., 2018, equations 1 to 6.
    """

    def __init__(self, settings: MunitSettings, channels: Channels) -> None:
        self._settings, self._channels = settings, channels
        self._there = CodeTranslator(channels, settings.codes)
        back = Channels(channels.target, channels.source)
        self._back = CodeTranslator(back, settings.codes)
        for network in (self._there, self._back):
            start_kaiming(network)
        self._judge_target = Judge(channels.target, settings.judge, settings.objective)
        self._judge_source = Judge(channels.source, settings.judge, settings.objective)
        self.players: Mapping[str, Player] = {
            "translators": player_of([self._there, self._back], settings),
            "judges": player_of([self._judge_target, self._judge_source], settings, averaged=False),
        }

    @property
    def translator(self) -> Translator:
        """From source to target, with whatever weights it carries."""
        return self._there

    def forward(self, batch: Batch) -> Batch:
        """Return pictures made of their own codes, translations, and the codes found in those."""
        there, back = self._there, self._back
        source, target, found = batch["source"], batch["target"], {}
        found["counts"] = counts_of(batch, self._channels)
        # ---- own codes ----
        content_source, content_target = there.content_encoder(source), back.content_encoder(target)
        style_source = back.style_encoder(source, batch["source_counts"])
        style_target = there.style_encoder(target, batch["target_counts"])
        drawn_source, drawn_target = random_styles(style_source), random_styles(style_target)
        # ---- own pictures and translations ----
        found["own_target"], found["made_target"] = on_both(
            there.decoder, (content_target, content_source), (style_target, drawn_target)
        )
        found["own_source"], found["made_source"] = on_both(
            back.decoder, (content_source, content_target), (style_source, drawn_source)
        )
        # ---- codes of translations ----
        found["again_source"] = back.content_encoder(found["made_target"])
        found["again_target"] = there.content_encoder(found["made_source"])
        found["drawn_again_target"] = there.style_encoder(found["made_target"])
        found["drawn_again_source"] = back.style_encoder(found["made_source"])
        if self._settings.cycle:
            found["cycle_source"] = back.decoder(found["again_source"], style_source)
            found["cycle_target"] = there.decoder(found["again_target"], style_target)
        return found | {
            "content_source": content_source,
            "content_target": content_target,
            "drawn_source": drawn_source,
            "drawn_target": drawn_target,
        }

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        """Return the weighted losses; those of weight 0 are left out."""
        found: dict[str, Tensor] = {}
        for side, judge in (("target", self._judge_target), ("source", self._judge_source)):
            made, counts = outputs[f"made_{side}"], outputs["counts"]
            if player == "judges":
                for key, value in judge.learns(batch[side], made, counts).items():
                    found[f"{key}_{side}"] = self._settings.fool_weight * value
            else:
                fooled = judge.deceived(made, counts)
                found[f"fool_{side}"] = self._settings.fool_weight * fooled
                found |= self._recoding(side, batch, outputs)
        return found

    def _recoding(self, side: str, batch: Batch, outputs: Batch) -> dict[str, Tensor]:
        settings, counts = self._settings, batch[f"{side}_counts"]
        pairs = {"image": (outputs[f"own_{side}"], batch[side])}
        pairs["content"] = (outputs[f"again_{side}"], outputs[f"content_{side}"])
        weights = {"image": settings.image, "content": settings.content, "cycle": settings.cycle}
        if settings.cycle:
            pairs["cycle"] = (outputs[f"cycle_{side}"], batch[side])
        values = recoding_losses(pairs, dict.fromkeys(pairs, counts))
        found = {f"{k}_{side}": weights[k] * v for k, v in values.items() if weights[k]}
        if settings.style:
            again, drawn = outputs[f"drawn_again_{side}"], outputs[f"drawn_{side}"]
            found[f"style_{side}"] = settings.style * (again.float() - drawn).abs().mean()
        return found

# SPDX-License-Identifier: Apache-2.0
"""Many looks for simulated scenes whose content stays: MUNIT with a simulated side without style.

Its extensions hold content in place: a narrow content code, noise before the encoders so that
no hidden pattern carries the input through a cycle, and the structure of brightness.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from endoforge.training.task import Batch, Player
from endoforge.translation.codes import CodeTranslator, random_styles, recoding_losses
from endoforge.translation.judging import Judge, counts_of
from endoforge.translation.losses import brightness, ms_ssim
from endoforge.translation.networks.encoders import ContentEncoder, PlainDecoder, with_noise
from endoforge.translation.networks.initial import start_kaiming
from endoforge.translation.pairs import on_both
from endoforge.translation.players import player_of
from endoforge.translation.tasks.content_munit_settings import ContentMunitSettings
from endoforge.translation.translator import Channels, Translator


class ContentMunitTask:
    """Two players, ``translators`` and ``judges``; source is simulated and may have label planes.

    Planes beside the picture are encoded and decoded like it; brightness is that of the picture,
    the source's first channels.

    Source:
        Pfeiffer et al., 2019; its loss as in `ContentMunitSettings`.
    """

    def __init__(self, settings: ContentMunitSettings, channels: Channels) -> None:
        self._settings, self._channels = settings, channels
        whole = settings.pictures.source_planes == ("image",)
        self._shown = channels.source if whole else min(channels.source, channels.target)
        self._there = CodeTranslator(channels, settings.codes)
        self._encoder_target = ContentEncoder(channels.target, settings.codes)
        self._decoder_source = PlainDecoder(channels.source, settings.codes)
        networks = [self._there, self._encoder_target, self._decoder_source]
        for network in networks:
            start_kaiming(network)
        self._judge_target = Judge(channels.target, settings.judge, settings.objective)
        self._judge_source = Judge(channels.source, settings.judge, settings.objective)
        self.players: Mapping[str, Player] = {
            "translators": player_of(networks, settings),
            "judges": player_of([self._judge_target, self._judge_source], settings, averaged=False),
        }

    @property
    def translator(self) -> Translator:
        """From simulated to real, with whatever weights it carries."""
        return self._there

    def forward(self, batch: Batch) -> Batch:
        """Return pictures made of their own codes, translations, and the codes found in those."""
        there, source, target = self._there, batch["source"], batch["target"]
        found = {"counts": counts_of(batch, self._channels)}
        # ---- own codes ----
        content_source = self._encoded(there.content_encoder, source)
        content_target = self._encoded(self._encoder_target, target)
        style = there.style_encoder(self._noisy(target), batch["target_counts"])
        wanted = self._random_or_borrowed(style)
        # ---- own pictures and translations ----
        found["own_source"], found["made_source"] = on_both(
            self._decoder_source, (content_source, content_target)
        )
        found["own_target"], found["made_target"] = on_both(
            there.decoder, (content_target, content_source), (style, wanted)
        )
        # ---- codes of translations ----
        found["again_source"] = self._encoded(self._encoder_target, found["made_target"])
        found["again_target"] = self._encoded(there.content_encoder, found["made_source"])
        found["style_again"] = there.style_encoder(self._noisy(found["made_target"]))
        if self._settings.cycle:
            found["cycle_source"] = self._decoder_source(found["again_source"])
            found["cycle_target"] = there.decoder(found["again_target"], style)
        found["content_source"], found["content_target"] = content_source, content_target
        return found | {"style_wanted": wanted}

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
        return found if player == "judges" else found | self._kept(batch, outputs)

    # ---- inside ----

    def _noisy(self, picture: Tensor) -> Tensor:
        return with_noise(picture, self._settings.noise)

    def _encoded(self, encoder: nn.Module, picture: Tensor) -> Tensor:
        content: Tensor = encoder(self._noisy(picture))
        return content

    def _random_or_borrowed(self, style: Tensor) -> Tensor:
        borrowed = torch.rand(len(style), 1).to(style.device) < self._settings.borrowed
        return torch.where(borrowed, style.detach().float(), random_styles(style))

    def _recoding(self, side: str, batch: Batch, outputs: Batch) -> dict[str, Tensor]:
        settings, counts = self._settings, batch[f"{side}_counts"]
        pairs = {"image": (outputs[f"own_{side}"], batch[side])}
        pairs["content"] = (outputs[f"again_{side}"], outputs[f"content_{side}"])
        weights = {"image": settings.image, "content": settings.content, "cycle": settings.cycle}
        if settings.cycle:
            pairs["cycle"] = (outputs[f"cycle_{side}"], batch[side])
        values = recoding_losses(pairs, dict.fromkeys(pairs, counts))
        return {f"{k}_{side}": weights[k] * v for k, v in values.items() if weights[k]}

    def _kept(self, batch: Batch, outputs: Batch) -> dict[str, Tensor]:
        """Return what holds the drawn style and the structure of brightness in place."""
        settings, found = self._settings, {}
        if settings.style:
            difference = outputs["style_again"].float() - outputs["style_wanted"]
            found["style"] = settings.style * difference.abs().mean()
        source, made_source = batch["source"], outputs["made_source"]
        pairs = {
            "brightness_there": (source[:, : self._shown], outputs["made_target"], "source_counts"),
            "brightness_back": (batch["target"], made_source[:, : self._shown], "target_counts"),
        }
        for name, (given, made, counts) in pairs.items():
            if weight := getattr(settings, name):
                alike = ms_ssim(brightness(given), brightness(made), batch[counts])
                found[name] = weight * (1.0 - alike)
        return found

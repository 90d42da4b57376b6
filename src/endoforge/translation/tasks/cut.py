# SPDX-License-Identifier: Apache-2.0
"""One translator whose patches must resemble their own place of the input most of all."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from endoforge.training.task import Batch, Player
from endoforge.translation.contrast import PatchProjector, choose_places, patch_contrast
from endoforge.translation.judging import Judge, counts_of, refuse_different
from endoforge.translation.networks.generators import ResNetGenerator
from endoforge.translation.networks.initial import start_xavier
from endoforge.translation.players import OneLook, player_of
from endoforge.translation.tasks.cut_settings import CutSettings
from endoforge.translation.translator import Channels, Translator

_MIRROR = 0.5  # chance of a mirrored input where `flip_alike` is set


class CutTask:
    """Two players, ``generator`` (with the projector of its features) and ``judge``.

    The features of the input come from the pass that translates it. Patches are taken only where
    pixels count.

    Source:
        Park et al., 2020, equations 1 to 5.
    """

    def __init__(self, settings: CutSettings, channels: Channels) -> None:
        refuse_different(
            channels,
            "cut, which looks at input and translation with one encoder,",
            "convert the pictures or take munit",
        )
        self._settings, self._channels = settings, channels
        generator = ResNetGenerator(channels.source, channels.target, settings.generator)
        widths = generator.tap_widths(channels.source, settings.taps)
        self._projector = PatchProjector(widths, settings.features)
        self._judge = Judge(channels.target, settings.judge, settings.objective)
        for network in (generator, self._projector, self._judge):
            start_xavier(network)
        self._generator = generator
        self._translator = OneLook(generator, channels, settings.generator.divisor)
        self.players: Mapping[str, Player] = {
            "generator": player_of([self._translator, self._projector], settings),
            "judge": player_of([self._judge], settings, averaged=False),
        }

    @property
    def translator(self) -> Translator:
        """The generator, with whatever weights it carries."""
        return self._translator

    def forward(self, batch: Batch) -> Batch:
        """Return ``made``, and for each tap the features of input and translation."""
        settings = self._settings
        counts = counts_of(batch, self._channels)
        given, given_counts = batch["source"], batch["source_counts"]
        if settings.identity:
            given = torch.cat([given, batch["target"]])
            given_counts = torch.cat([given_counts, batch["target_counts"]])
        mirrored = settings.flip_alike and float(torch.rand(())) < _MIRROR
        shown = given.flip(3) if mirrored else given
        made, keys = self._generator.with_features(shown, settings.taps)
        if mirrored:
            with torch.no_grad():
                keys = self._generator.features(given, settings.taps)
        queries = self._generator.features(made, settings.taps)
        if mirrored:
            queries = [query.flip(3) for query in queries]
            counts = counts.flip(3)
        found = {"made": made[: len(counts)], "counts": counts, "given_counts": given_counts}
        return found | _numbered("key", keys) | _numbered("query", queries)

    def losses(self, player: str, batch: Batch, outputs: Batch) -> Mapping[str, Tensor]:
        """Return the weighted losses."""
        settings, counts = self._settings, outputs["counts"]
        if player == "generator":
            fooled = self._judge.deceived(outputs["made"], counts)
            return {"fool": settings.fool_weight * fooled, **self._contrast(batch, outputs)}
        terms = self._judge.learns(batch["target"], outputs["made"], counts)
        return {key: settings.judge_weight * value for key, value in terms.items()}

    # ---- inside ----

    def _contrast(self, batch: Batch, outputs: Batch) -> dict[str, Tensor]:
        """Return the contrast of translated sources, and of translated targets if asked for."""
        settings, number = self._settings, len(batch["source"])
        taps = range(len(settings.taps))
        keys = [outputs[f"key_{k}"] for k in taps]
        queries = [outputs[f"query_{k}"] for k in taps]
        parts = {"contrast": slice(0, number)}
        if settings.identity:
            parts["contrast_identity"] = slice(number, None)
        found = {}
        for name, part in parts.items():
            value = self._contrast_of(
                [k[part] for k in keys], [q[part] for q in queries], outputs["given_counts"][part]
            )
            found[name] = settings.contrast / len(parts) * value
        return found

    def _contrast_of(
        self, keys: Sequence[Tensor], queries: Sequence[Tensor], counts: Tensor
    ) -> Tensor:
        settings = self._settings
        places = [choose_places(counts, _sides(key), settings.patches) for key in keys]
        with torch.no_grad():
            wanted = self._projector(keys, places)
        found = self._projector(queries, places)
        terms = [
            patch_contrast(query, key, settings.temperature)
            for query, key in zip(found, wanted, strict=True)
        ]
        return torch.stack(terms).mean()


def _sides(features: Tensor) -> tuple[int, int]:
    return features.shape[-2], features.shape[-1]


def _numbered(name: str, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return {f"{name}_{k}": tensor for k, tensor in enumerate(tensors)}

# SPDX-License-Identifier: Apache-2.0
"""A translator that needs no training: a style code is a colour that the picture is tinted with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from endoforge.frames.audit_file import FrameScores
from endoforge.translation.planes import PlaneStack
from endoforge.translation.ready import ReadyTranslator
from endoforge.translation.translator import Channels, Translator


class TintingTranslator(Translator):
    """Adds a tenth of the style code to each colour; a picture's style is its mean colour."""

    divisor = 8

    def __init__(self, channels: int = 3, style_size: int = 3) -> None:
        super().__init__()
        self.channels = Channels(channels, 3)
        self.style_size = style_size
        self.gain = nn.Parameter(torch.tensor(0.9))
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, source, style=None):
        assert source.shape[-1] % self.divisor == source.shape[-2] % self.divisor == 0
        self.sizes.append(tuple(source.shape))
        made = source[:, :3] * self.gain
        return made if style is None else made + 0.1 * style[:, :, None, None]

    def style_of(self, picture, counts=None):
        counts = torch.ones_like(picture[:, :1]) if counts is None else counts
        return (picture * counts).sum(dim=(2, 3)) / counts.sum(dim=(2, 3)).clamp(min=1) * 3


def tinting() -> ReadyTranslator:
    return ReadyTranslator(TintingTranslator(), "munit", "ab" * 32, PlaneStack(("image",)))


def one_look() -> ReadyTranslator:
    return ReadyTranslator(
        TintingTranslator(style_size=0), "cut", "cd" * 32, PlaneStack(("image",))
    )


def many_planes() -> ReadyTranslator:
    stack = PlaneStack(("image", "depth", "labels"), classes=(0, 1, 2, 3))
    return ReadyTranslator(TintingTranslator(8), "content-munit", "ef" * 32, stack)


class BrightnessJudge:
    """The larger the change of brightness, the larger the damage."""

    def __init__(self, threshold: float = 0.5) -> None:
        self._threshold = threshold

    @property
    def about(self) -> Mapping[str, Any]:
        return {"threshold": self._threshold, "meaning": "change of brightness"}

    def __call__(self, source, translated) -> FrameScores:
        change = abs(float(source.image.mean()) - float(translated.mean())) / 255
        return FrameScores(min(1.0, change), {"change": change})


def main(dataset: str, out: str, workers: str) -> None:
    """Translate slowly enough to be killed."""
    import sys
    import time

    from endoforge.translation.translate import Translation, translate_dataset
    from endoforge.translation.translate_settings import TranslateSettings

    settings = TranslateSettings(styles=3, batch=2, device="cpu")
    task = Translation(tinting, Path(dataset), Path(out), settings, BrightnessJudge, int(workers))

    def slowly(done: int, total: int) -> None:
        time.sleep(0.01)

    report = translate_dataset(task, slowly)
    sys.exit(0 if report.complete else 4)


if __name__ == "__main__":
    import sys

    from translation.tinting import main as entry  # under its own name, so that workers find it

    entry(*sys.argv[1:])

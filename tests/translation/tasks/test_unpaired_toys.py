# SPDX-License-Identifier: Apache-2.0
"""Each unpaired method reaches the known answer of its toy domains."""

import torch
from torch import Tensor

from endoforge.streams import stream
from endoforge.training.task import train_step
from endoforge.translation.methods import find_method
from endoforge.translation.translator import Channels, TranslationTask
from translation.toys import (
    hue_of,
    hues_batch,
    in_hue,
    palettes_answer,
    palettes_batch,
    pattern,
)

SMALL = {"width": 8, "blocks": 1, "halvings": 1}
PLAIN_JUDGE = {"width": 16, "layers": 1, "norm": "none"}
SMALL_CODES = {
    "codes": {**SMALL, "style_halvings": 2, "style_size": 2, "mlp_width": 16, "mlp_layers": 2},
    "judge": {"width": 16, "layers": 2, "scales": 1},
    "learning_rate": 2e-3,
    "weight_decay": 0.0,
    "fool_weight": 2.0,
    "pictures": {"height": 32, "crop": 32},
}


def trained(method: str, seed: int, steps: int, batches, **settings) -> TranslationTask:
    torch.manual_seed(seed)
    found = find_method(method)
    task = found.build(found.settings().model_validate(settings), Channels(3, 3))
    for step in range(steps):
        report = train_step(task, batches(step))
        assert report.trouble == ""
    return task


def palette_errors(task: TranslationTask) -> tuple[float, float]:
    """Mean absolute difference from the answer, before and after translation."""
    source, answer = palettes_answer()
    with torch.no_grad():
        found = task.translator(source)
    return (source - answer).abs().mean().item(), (found - answer).abs().mean().item()


def correlation(one: Tensor, other: Tensor) -> float:
    return torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1].item()


def hues_and_contents(task: TranslationTask) -> tuple[Tensor, Tensor, list[float]]:
    """Wanted and found hues of translations in the style of pictures, likeness of contents."""
    source = hues_batch(99_999, 16)["source"]
    wanted = torch.linspace(-1, 1, 16)
    shown = in_hue(pattern(stream(21, "toy", 0), 16), wanted)
    with torch.no_grad():
        found = task.translator(source, task.translator.style_of(shown))
    alike = [correlation(found[k].mean(0), source[k].mean(0)) for k in range(16)]
    return wanted, hue_of(found), alike


def test_cyclegan_finds_the_other_palette():
    settings = {
        "generator": SMALL,
        "judge": PLAIN_JUDGE,
        "identity": 0,
        "fool_weight": 4,
        "learning_rate": 1e-3,
        "schedule": "constant",
        "history": 16,
    }
    task = trained("cyclegan", 0, 120, palettes_batch, **settings)
    before, after = palette_errors(task)
    assert before > 0.2
    assert after < 0.4 * before


def test_cut_finds_the_other_palette():
    settings = {
        "generator": {**SMALL, "upsampling": "resize", "antialias": False},
        "judge": {**PLAIN_JUDGE, "norm": "instance"},
        "taps": (0, 2, 3),
        "patches": 64,
        "features": 32,
        "identity": False,
        "learning_rate": 1e-3,
    }
    task = trained("cut", 0, 170, palettes_batch, **settings)
    before, after = palette_errors(task)
    assert after < 0.55 * before


def test_munit_takes_the_hue_of_a_picture_and_keeps_the_content():
    """Its losses allow an inverted content, to which some first weights lead; these do not."""
    task = trained("munit", 2, 95, hues_batch, **SMALL_CODES)
    wanted, found, alike = hues_and_contents(task)
    assert correlation(wanted, found) > 0.95
    assert (wanted - found).abs().mean() < 0.3
    assert min(alike) > 0.8


def test_content_munit_takes_the_hue_too_and_keeps_bright_bright():
    """Its losses of brightness forbid the inverted content that those of munit allow."""
    codes = {**SMALL_CODES["codes"], "content_channels": 4}
    task = trained("content-munit", 0, 85, hues_batch, **(SMALL_CODES | {"codes": codes}))
    wanted, found, alike = hues_and_contents(task)
    assert correlation(wanted, found) > 0.95
    assert (wanted - found).abs().mean() < 0.3
    assert min(alike) > 0.8

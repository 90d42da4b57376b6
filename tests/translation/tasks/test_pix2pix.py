# SPDX-License-Identifier: Apache-2.0
"""From pairs a known map is learned: of colours, from depth to light, and from light to depth."""

import pytest
import torch
from torch.nn import functional

from endoforge.errors import SettingsError
from endoforge.settings import validate
from endoforge.training.average import WeightsAverage
from endoforge.training.task import train_step
from endoforge.translation.tasks.pix2pix import Pix2pixTask
from endoforge.translation.tasks.pix2pix_settings import Pix2pixSettings
from endoforge.translation.translator import Channels

SIDE = 16
SMALL = {
    "batch": 8,
    "learning_rate": 2e-3,
    "generator": {"levels": 2, "width": 16, "dropout": 0, "norm": "none"},
    "judge": {"width": 8, "layers": 1},
    "pictures": {"height": SIDE, "crop": SIDE},
}
COLOURS = torch.tensor([[0.0, 0.6, -0.3], [0.5, 0.2, 0.2], [-0.7, 0.0, 0.2]])


def smooth(count, channels, generator):
    coarse = torch.randn(count, channels, 4, 4, generator=generator)
    fine = functional.interpolate(coarse, size=SIDE, mode="bicubic", align_corners=False)
    return (fine / 1.5).clamp(-1, 1)


def colours(count, generator):
    source = smooth(count, 3, generator)
    return source, torch.einsum("ij,njhw->nihw", COLOURS, source)


def depth_to_light(count, generator):
    """Log depth from 10 to 100 mm becomes the light of a lamp at the lens, 1 / depth²."""
    log_depth = smooth(count, 1, generator)
    depth_mm = 10 ** (1.5 + 0.5 * log_depth)
    display = (10 / depth_mm).square() ** (1 / 2.2)
    return log_depth, 2 * display - 1


def light_to_depth(count, generator):
    return depth_to_light(count, generator)[::-1]


def batch_of(source, target):
    counts = torch.ones(len(source), 1, SIDE, SIDE)
    return {"source": source, "target": target, "source_counts": counts, "target_counts": counts}


def small_task(channels=(3, 3), **changes):
    torch.manual_seed(0)
    settings = validate(Pix2pixSettings, SMALL | changes)
    return Pix2pixTask(settings, Channels(*channels)), settings


@pytest.mark.parametrize(
    ("pairs", "largest"), [(colours, 0.05), (depth_to_light, 0.07), (light_to_depth, 0.09)]
)
def test_a_known_map_is_learned(pairs, largest):
    """The mean error on pictures not seen before, of a range of 2."""
    source, target = pairs(64, torch.Generator().manual_seed(9))
    task, settings = small_task((source.shape[1], target.shape[1]))
    average = WeightsAverage(task.players["generator"].networks, 0.98)
    generator = torch.Generator().manual_seed(1)
    for _ in range(180):
        train_step(task, batch_of(*pairs(settings.batch, generator)))
        average.update()
    with average.applied(), torch.no_grad():
        error = (task.translator(source) - target).abs().mean()
    assert float(error) < largest
    assert float(target.std()) > 4 * largest  # a constant would not do


@pytest.mark.parametrize("objective", ["non-saturating", "least-squares", "hinge", "wasserstein"])
def test_every_objective_trains(objective):
    task, _ = small_task(objective=objective)
    report = train_step(task, batch_of(*colours(4, torch.Generator().manual_seed(0))))
    assert report.trouble == ""
    assert ("judge/slope" in report.losses) == (objective == "wasserstein")


def test_the_l1_alone_needs_no_judge():
    task, _ = small_task(fool_weight=0)
    report = train_step(task, batch_of(*colours(4, torch.Generator().manual_seed(0))))
    assert set(report.losses) == {"generator/l1"}


def test_masked_pixels_have_no_influence_on_losses():
    source, target = colours(4, torch.Generator().manual_seed(0))
    losses = []
    for value in (0.0, 5.0):
        task, _ = small_task()
        batch = batch_of(source, torch.cat([torch.full_like(target[..., :5], value),
                                            target[..., 5:]], dim=-1))  # fmt: skip
        counts = batch["target_counts"].clone()
        counts[..., :5] = 0
        losses.append(train_step(task, batch | {"target_counts": counts}).losses)
    assert losses[0] == losses[1]


def test_a_residual_generator_may_be_chosen():
    task, _ = small_task(generator={"kind": "resnet", "width": 4, "blocks": 1})
    assert task.translator.divisor == 4
    assert task.translator(torch.zeros(1, 3, 20, 24)).shape == (1, 3, 20, 24)


def test_a_crop_that_the_generator_cannot_take_is_refused():
    with pytest.raises(SettingsError, match=r"multiple of 256 for this generator, got 128"):
        validate(Pix2pixSettings, {"pictures": {"height": 128, "crop": 128}})


def test_the_defaults_are_those_of_the_paper():
    settings = Pix2pixSettings()
    assert (settings.l1_weight, settings.judge_weight, settings.batch) == (100.0, 0.5, 1)
    assert (settings.learning_rate, settings.betas) == (2e-4, (0.5, 0.999))
    assert (settings.pictures.height, settings.pictures.crop) == (286, 256)
    assert settings.generator.divisor == 256

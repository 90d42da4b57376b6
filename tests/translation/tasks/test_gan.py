# SPDX-License-Identifier: Apache-2.0
"""From noise both methods learn the distribution of colours that they are shown."""

import pytest
import torch

from endoforge.errors import SettingsError
from endoforge.settings import validate
from endoforge.training.average import WeightsAverage
from endoforge.training.task import KeepsState, Task, train_step
from endoforge.translation.methods import METHODS
from endoforge.translation.tasks.gan_settings import DcganTaskSettings, GanSettings
from endoforge.translation.translator import Channels, TranslationTask

MEAN, DEVIATION, SIDE = 0.3, 0.25, 16
PICTURES = {"height": SIDE, "crop": SIDE}
GAN = {
    "objective": "wasserstein", "penalty": 1.0, "batch": 64, "learning_rate": 1e-3,
    "judge_rate": 3.0, "betas": (0.0, 0.9), "pictures": PICTURES,
    "network": {
        "noise": 1, "generator_width": 64, "judge_width": 32, "pieces": 3, "layers": 1
    },
}  # fmt: skip
DCGAN = {
    "batch": 32, "learning_rate": 1e-3, "network": {"noise": 4, "width": 8}, "pictures": PICTURES
}  # fmt: skip


def grey_pictures(count, generator):
    values = MEAN + DEVIATION * torch.randn(count, 1, 1, 1, generator=generator)
    return {
        "target": values.expand(-1, -1, SIDE, SIDE).contiguous(),
        "target_counts": torch.ones(count, 1, SIDE, SIDE),
    }


def small_task(name, **changes):
    method = METHODS[name]
    settings = validate(method.settings(), (GAN if name == "gan" else DCGAN) | changes)
    torch.manual_seed(0)
    return method.build(settings, Channels(0, 1)), settings


@pytest.mark.parametrize(("name", "steps"), [("gan", 600), ("dcgan", 250)])
def test_mean_and_deviation_of_the_colours_are_learned(name, steps):
    task, settings = small_task(name)
    average = WeightsAverage(task.players["generator"].networks, 0.99)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        assert not train_step(task, grey_pictures(settings.batch, generator)).trouble
        average.update()
    with average.applied(), torch.no_grad():
        styles = task.translator.draw_styles(2000, torch.Generator().manual_seed(2))
        made = task.translator(torch.zeros(2000, 0, SIDE, SIDE), styles)
    found = made.mean(dim=(1, 2, 3))
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.05)
    assert float(found.std()) == pytest.approx(DEVIATION, rel=0.25)
    assert float(made.std(dim=(2, 3)).mean()) < 0.1  # and each picture is of one colour


@pytest.mark.parametrize("name", ["gan", "dcgan"])
def test_a_task_is_a_task_whose_judge_is_not_averaged(name):
    task, _ = small_task(name)
    assert isinstance(task, Task)
    assert isinstance(task, TranslationTask)
    assert not isinstance(task, KeepsState)
    assert task.players["generator"].averaged
    assert not task.players["judge"].averaged


def test_masked_pixels_have_no_influence():
    losses = []
    for value in (0.0, 7.0):
        task, settings = small_task("gan")
        batch = grey_pictures(settings.batch, torch.Generator().manual_seed(1))
        batch["target_counts"][..., :4] = 0
        batch["target"][..., :4] = value
        losses.append(train_step(task, batch).losses)
    assert losses[0] == losses[1]


def test_the_same_noise_gives_the_same_picture():
    task, _ = small_task("gan")
    styles = torch.randn(2, task.translator.style_size)
    empty = torch.zeros(2, 0, SIDE, SIDE)
    assert torch.equal(task.translator(empty, styles), task.translator(empty, styles))


def test_a_side_that_dcgan_cannot_reach_is_refused():
    with pytest.raises(SettingsError, match=r"pictures\.crop must be 16, 32, 64"):
        validate(DcganTaskSettings, {"pictures": {"height": 48, "crop": 48}})


def test_dcgan_refuses_the_objective_that_its_judge_cannot_have():
    with pytest.raises(SettingsError, match="batch normalisation"):
        validate(DcganTaskSettings, {"objective": "wasserstein"})


def test_the_defaults_are_those_of_the_papers():
    dcgan, gan = DcganTaskSettings(), GanSettings()
    assert (dcgan.batch, dcgan.learning_rate, dcgan.betas) == (128, 2e-4, (0.5, 0.999))
    assert (dcgan.network.noise, dcgan.pictures.crop) == (100, 64)
    assert (gan.objective, gan.network.noise) == ("non-saturating", 100)

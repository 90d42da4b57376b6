# SPDX-License-Identifier: Apache-2.0
"""A translator before a depth network: sizes, values, and which translators are refused."""

import numpy as np
import pytest
import torch

from endoforge.errors import CheckpointError
from endoforge.translation.adapting import AdaptedEstimator, Adapter
from endoforge.translation.translator import Channels, Translator

RGB = Channels(3, 3)


class Inverted(Translator):
    """Turns dark into bright."""

    def __init__(self, channels: Channels = RGB, divisor: int = 4) -> None:
        super().__init__()
        self.channels, self.divisor = channels, divisor
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, source, style=None):
        self.sizes.append(tuple(source.shape))
        return -source


class Brightness:
    def predict(self, image):
        return image.mean(axis=2).astype(np.float32)


FACTS = {"name": "toy", "method": "reverse"}


def picture(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_values_make_the_round_trip_exactly():
    image = picture(16, 24)
    assert np.array_equal(Adapter(Inverted(), 16, FACTS, "cpu").adapted(image), 255 - image)


@pytest.mark.parametrize("size", [(480, 854), (854, 480), (17, 90), (16, 16)])
def test_the_translator_works_at_its_own_size_and_answers_at_the_pictures(size):
    translator = Inverted()
    found = Adapter(translator, 32, FACTS, "cpu").adapted(picture(*size))
    assert found.shape == (*size, 3)
    _, _, height, width = translator.sizes[0]
    assert height % 4 == width % 4 == 0
    assert min(height, width) == 32
    assert width / height == pytest.approx(size[1] / size[0], rel=0.05)


def test_the_estimator_sees_what_the_translator_made():
    image = picture(16, 24)
    estimator = AdaptedEstimator(Brightness(), Adapter(Inverted(), 16, FACTS, "cpu"))
    assert np.array_equal(estimator.predict(image), Brightness().predict(255 - image))


def test_it_runs_without_gradients_and_in_evaluation_mode():
    translator = Inverted().train()
    Adapter(translator, 16, FACTS, "cpu").adapted(picture(16, 16))
    assert not translator.training
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("translator", "facts", "words"),
    [
        (Inverted(Channels(4, 3)), FACTS, "with 4 to 3"),
        (Inverted(Channels(3, 1)), FACTS, "with 3 to 1"),
        (Inverted(), FACTS | {"method": "cyclegan"}, "'toy' of method cyclegan"),
    ],
)
def test_other_methods_and_channels_are_refused(translator, facts, words):
    with pytest.raises(CheckpointError, match=words):
        Adapter(translator, 16, facts, "cpu")

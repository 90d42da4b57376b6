# SPDX-License-Identifier: Apache-2.0
"""The small parts do what their papers say of them."""

import pytest
import torch
from torch import nn

from endoforge.translation.networks.blocks import (
    AdaptiveResidualBlock,
    Blur,
    ConvBlock,
    Finish,
    ResidualBlock,
    upsampling_block,
)
from endoforge.translation.networks.initial import start_kaiming, start_normal, start_xavier
from endoforge.translation.networks.normalisation import (
    adaptive_instance_norm,
    forgets_bias,
    normalisation,
)


def test_adaptive_normalisation_sets_mean_and_deviation():
    torch.manual_seed(0)
    scale, shift = torch.rand(2, 3) + 0.5, torch.randn(2, 3)
    found = adaptive_instance_norm(5 + 2 * torch.randn(2, 3, 16, 16), scale, shift)
    torch.testing.assert_close(found.mean(dim=(2, 3)), shift, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.std(dim=(2, 3), correction=0), scale, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["instance", "instance-affine", "batch", "layer", "none"])
def test_only_some_normalisations_forget_a_bias(name):
    norm = normalisation(name, 4)
    features = torch.randn(2, 4, 8, 8)
    bias = torch.randn(1, 4, 1, 1)
    same = torch.allclose(norm(features), norm(features + bias), atol=1e-4)
    assert same == forgets_bias(name)


def test_layer_normalisation_keeps_ratios_between_channels():
    features = torch.randn(1, 2, 8, 8)
    features[:, 1] *= 10
    norm = normalisation("layer", 2)
    nn.init.ones_(norm.weight)
    found = norm(features)
    before = features[:, 1].std() / features[:, 0].std()
    torch.testing.assert_close(found[:, 1].std() / found[:, 0].std(), before, rtol=1e-3, atol=0)


def test_one_picture_does_not_see_the_others_of_its_batch():
    torch.manual_seed(0)
    block = nn.Sequential(ConvBlock(3, 4, 3), ResidualBlock(4))
    pictures = torch.randn(3, 3, 8, 8)
    alone = torch.cat([block(picture[None]) for picture in pictures])
    torch.testing.assert_close(block(pictures), alone, atol=1e-5, rtol=1e-4)


def test_a_style_changes_a_residual_block():
    torch.manual_seed(0)
    block = AdaptiveResidualBlock(4)
    features, styles = torch.randn(2, 4, 8, 8), torch.randn(2, block.parameters_needed)
    found = block(features, styles)
    assert found.shape == features.shape
    assert not torch.allclose(found, block(features, styles.flip(0)))
    torch.testing.assert_close(found[:1], block(features[:1], styles[:1]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("kind", "kernel"), [("transposed", 3), ("transposed", 4), ("resize", 5)])
def test_sides_are_doubled(kind, kernel):
    block = upsampling_block(3, 5, kind, Finish(), kernel)
    assert block(torch.randn(1, 3, 6, 8)).shape == (1, 5, 12, 16)


@pytest.mark.parametrize("direction", ["halve", "double"])
def test_a_blur_leaves_constants_alone(direction):
    flat = torch.full((1, 2, 8, 10), 0.7)
    found = Blur(direction)(flat)
    assert found.shape[-2:] == ((4, 5) if direction == "halve" else (16, 20))
    torch.testing.assert_close(found, torch.full_like(found, 0.7))


def test_blurring_while_halving_hides_a_checkerboard():
    board = (torch.arange(8)[:, None] + torch.arange(8)).remainder(2).float()[None, None]
    inside = Blur("halve")(board)
    torch.testing.assert_close(inside, torch.full_like(inside, 0.5))


def test_a_spectrally_normalised_kernel_has_gain_one():
    torch.manual_seed(0)
    block = ConvBlock(3, 6, 3, finish=Finish("none", spectral=True))
    start_normal(block)
    for _ in range(30):
        block(torch.randn(1, 3, 8, 8))
    matrix = block[0].weight.detach().flatten(1)
    assert float(torch.linalg.matrix_norm(matrix, ord=2)) == pytest.approx(1.0, rel=1e-2)


def test_first_weights_have_the_stated_spread():
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 64, 3)
    start_normal(layer)
    assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert float(layer.bias.detach().abs().max()) == 0
    start_kaiming(layer)
    assert float(layer.weight.detach().std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)


def test_xavier_weights_have_the_deviation_of_both_fans():
    layer = torch.nn.Conv2d(32, 64, 5)
    start_xavier(layer, gain=0.5)
    expected = 0.5 * (2 / (25 * (32 + 64))) ** 0.5
    assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.02)
    assert not layer.bias.any()

# SPDX-License-Identifier: Apache-2.0
"""Layers computed in another way give what plain layers give, slopes included."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from endoforge.translation.networks.equivalents import (
    DoublingConv,
    FewOutputsConv,
    InstanceNorm,
    ReflectedConv,
    reflected,
)
from endoforge.translation.networks.initial import start_normal


def compared(layer, plain, features):
    """Values and slopes (of input, kernel, bias) of a layer and of its plain form."""
    results = []
    for form in (layer, plain):
        given = features.clone().requires_grad_(True)
        found = form(given)
        weights = [p for p in (layer.weight, layer.bias) if p is not None]
        slopes = torch.autograd.grad(found.square().sum(), [given, *weights])
        results.append([found, *slopes])
    return zip(*results, strict=True)


@pytest.mark.parametrize("bias", [False, True])
def test_doubling_shares_multiplications_but_changes_nothing(bias):
    torch.manual_seed(0)
    layer = DoublingConv(5, 3, bias)

    def plain(features):
        doubled = functional.interpolate(features, scale_factor=2, mode="nearest")
        padded = functional.pad(doubled, (2, 2, 2, 2), mode="replicate")
        return functional.conv2d(padded, layer.weight, layer.bias)

    for one, other in compared(layer, plain, torch.randn(2, 5, 6, 9)):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("sides", [(8, 12), (9, 12), (8, 11)])
@pytest.mark.parametrize("outputs", [1, 3, 5])
def test_few_outputs_in_blocks_of_pixels_are_those_of_the_plain_layer(sides, outputs):
    torch.manual_seed(0)
    layer = FewOutputsConv(4, outputs, 7)
    plain = nn.Conv2d(4, outputs, 7, padding=3, padding_mode="reflect")
    plain.weight, plain.bias = layer.weight, layer.bias
    for one, other in compared(layer, plain, torch.randn(2, 4, *sides)):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-4)


def test_first_weights_reach_them_like_plain_layers():
    torch.manual_seed(0)
    for layer in (DoublingConv(32, 32, True), FewOutputsConv(32, 3, 7)):
        start_normal(layer)
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert set(layer.state_dict()) == {"weight", "bias"}


@pytest.mark.parametrize("border", [1, 2, 3])
def test_reflection_folds_slopes_back_to_where_they_belong(border):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 2, 5, 7, generator=generator, dtype=torch.float64)
    features.requires_grad_(True)
    plain = functional.pad(features, (border,) * 4, mode="reflect")
    assert torch.equal(reflected(features, border), plain)
    assert torch.autograd.gradcheck(lambda x: reflected(x, border), features)
    assert torch.autograd.gradgradcheck(lambda x: reflected(x, border).square(), features)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 2), (7, 1)])
def test_reflected_borders_are_those_of_the_plain_layer(kernel, stride):
    torch.manual_seed(0)
    layer = ReflectedConv(3, 4, kernel, stride)
    border = (kernel - 1) // 2
    plain = nn.Conv2d(3, 4, kernel, stride, padding=border, padding_mode="reflect")
    plain.weight, plain.bias = layer.weight, layer.bias
    for one, other in compared(layer, plain, torch.randn(2, 3, 8, 10)):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("affine", [False, True])
def test_instance_normalisation_is_the_plain_one(affine):
    torch.manual_seed(0)
    layer, plain = InstanceNorm(4, affine=affine), nn.InstanceNorm2d(4, affine=affine)
    if affine:
        layer.weight.data, layer.bias.data = torch.randn(4), torch.randn(4)
        plain.weight, plain.bias = layer.weight, layer.bias
    features = 3 * torch.randn(2, 4, 6, 5) + 2
    for one, other in compared(layer, plain, features):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-4)

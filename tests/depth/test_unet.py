# SPDX-License-Identifier: Apache-2.0
"""The U-Net: sizes, context, start, and what it refuses."""

import pytest
import torch

from endoforge.depth.networks.build import build_depth_network
from endoforge.depth.settings import UNetSettings
from endoforge.errors import SettingsError, ShapeError
from endoforge.settings import validate

SMALL = UNetSettings(widths=(8, 8, 12), blocks=(0, 1, 1))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_depth_network(SMALL)


@pytest.mark.parametrize("size", [(8, 8), (48, 64), (40, 8), (128, 160)])
def test_any_size_that_divides_gives_depth_of_that_size(network, size):
    with torch.no_grad():
        log_depth = network(torch.rand(2, 3, *size))
    assert log_depth.shape == (2, 1, *size)
    assert log_depth.dtype == torch.float32


def test_a_size_that_does_not_divide_is_refused_with_the_nearest_that_does(network):
    with pytest.raises(ShapeError, match=r"multiples of 8, got 60 x 45 .* resize to 64 x 48"):
        network(torch.rand(1, 3, 45, 60))


def test_the_shipped_size_fits_ten_megabytes():
    network = build_depth_network(UNetSettings())
    assert sum(v.numel() for v in network.state_dict().values()) * 4 < 10_000_000


def test_before_training_everything_lies_at_the_typical_depth(network):
    network.eval()
    with torch.no_grad():
        depth = network.depth_mm(network(torch.rand(1, 3, 32, 32)))
    assert depth.mean().item() == pytest.approx(SMALL.typical_depth_mm, rel=0.05)
    assert depth.std().item() < 1.0


def test_depth_stays_in_its_range(network):
    depth = network.depth_mm(torch.tensor([-50.0, 0.0, 50.0]).view(1, 1, 1, 3))
    assert depth.flatten().tolist() == pytest.approx([0.5, 1.0, 500.0])


def test_every_pixel_is_seen_by_the_centre_of_the_shipped_network():
    torch.manual_seed(0)
    network = build_depth_network(UNetSettings()).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(module.weight, 1.0)
    image = torch.rand(1, 3, 128, 160, requires_grad=True)
    network(image)[0, 0, 64, 80].backward()
    assert (image.grad.abs().sum(dim=1) > 0).float().mean() > 0.95


def test_a_batch_gives_what_its_pictures_give_one_by_one(network):
    network.eval()
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        alone = torch.cat([network(image[None]) for image in images])
        torch.testing.assert_close(network(images), alone, rtol=1e-4, atol=1e-5)


def test_without_log_features_it_works_too():
    network = build_depth_network(SMALL.model_copy(update={"log_features": False}))
    assert network(torch.zeros(1, 3, 16, 16)).isfinite().all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"widths": (8, 8), "blocks": (1, 1, 1)}, "differ in length"),
        ({"widths": (8, 2), "blocks": (1, 1)}, "below 4"),
        ({"min_depth_mm": 10, "max_depth_mm": 5}, "not below"),
        ({"witdhs": (8, 8)}, "did you mean 'widths'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values, words):
    with pytest.raises(SettingsError, match=words):
        validate(UNetSettings, values)

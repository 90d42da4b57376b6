# SPDX-License-Identifier: Apache-2.0
"""Linear colours: moments agree afterwards, and no colour moves further than it must."""

import pytest
import torch

from endoforge.translation.networks.colours import LinearColours, transport


def covariance(seed, channels=3):
    mixed = torch.randn(channels, channels, generator=torch.Generator().manual_seed(seed)).double()
    return 0.05 * mixed @ mixed.T


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_matrix_takes_one_covariance_to_the_other_and_is_symmetric(channels):
    one, other = covariance(1, channels), covariance(2, channels)
    matrix = transport(one, other, least=0.0)
    torch.testing.assert_close(matrix @ one @ matrix.T, other)
    torch.testing.assert_close(matrix, matrix.T)
    assert float(torch.linalg.eigvalsh(matrix).min()) > 0


def test_channels_alone_are_only_stretched():
    one, other = torch.diag(torch.tensor([4.0, 1.0, 9.0])), torch.eye(3)
    expected = torch.diag(torch.tensor([0.5, 1.0, 1 / 3]))
    torch.testing.assert_close(transport(one, other, least=0.0), expected)


def test_pixels_get_the_mean_and_covariance_of_the_other_domain():
    rng = torch.Generator().manual_seed(3)
    source = (
        0.1
        * torch.randn(4000, 3, generator=rng)
        @ (torch.eye(3) + 0.3 * torch.rand(3, 3, generator=rng))
        + 0.2
    )
    target = (
        0.1
        * torch.randn(4000, 3, generator=rng)
        @ (torch.eye(3) + 0.3 * torch.rand(3, 3, generator=rng))
        - 0.1
    )
    colours = LinearColours(3)
    before = source.T.reshape(1, 3, 40, 100)
    torch.testing.assert_close(colours(before), before)
    colours.set_between(source, target)
    after = colours(before)[0].flatten(1).T
    torch.testing.assert_close(after.mean(dim=0), target.mean(dim=0), atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.cov(after.T), torch.cov(target.T), atol=1e-4, rtol=0)


def test_a_channel_that_never_changes_has_a_map_too():
    source = torch.rand(100, 3)
    source[:, 1] = 0.3
    colours = LinearColours(3)
    colours.set_between(source, torch.rand(100, 3))
    assert torch.isfinite(colours.matrix).all()

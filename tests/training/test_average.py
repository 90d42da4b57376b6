# SPDX-License-Identifier: Apache-2.0
"""The running average of weights: its formula, and that applying it changes nothing for good."""

import pytest
import torch
from torch import nn

from endoforge.training.average import WeightsAverage


def test_the_average_follows_its_formula():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    average = WeightsAverage(network, decay=0.15)
    nn.init.constant_(network.weight, 2.0)
    average.update()  # early on the decay is updates / (updates + 9) = 0.1
    assert average.values["weight"].item() == pytest.approx(0.1 * 1.0 + 0.9 * 2.0)
    average.update()  # 2 / 11 is above 0.15, so 0.15 it is
    assert average.values["weight"].item() == pytest.approx(0.15 * 1.9 + 0.85 * 2.0)


def test_applying_the_average_is_undone_afterwards():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = WeightsAverage(network, decay=0.9)
    network(torch.randn(8, 2))
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with average.applied():
        assert not network.training
        assert torch.equal(network[1].running_mean, torch.zeros(2))
    assert network.training
    assert network[1].training
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_counts_are_copied_not_averaged():
    network = nn.BatchNorm1d(2)
    average = WeightsAverage(network, decay=0.9)
    for _ in range(3):
        network(torch.randn(8, 2))
    average.update()
    assert average.values["num_batches_tracked"].item() == 3

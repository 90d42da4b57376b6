# SPDX-License-Identifier: Apache-2.0
"""Two batches through one network."""

import torch
from torch import nn

from endoforge.translation.pairs import on_both


class Mix(nn.Module):
    def forward(self, picture, style):
        return picture * style[:, :, None, None]


def test_each_batch_meets_its_own_arguments():
    pictures = torch.ones(2, 1, 2, 2), 2 * torch.ones(2, 1, 2, 2)
    styles = torch.full((2, 1), 3.0), torch.full((2, 1), 5.0)
    first, second = on_both(Mix(), pictures, styles)
    assert torch.equal(first, torch.full((2, 1, 2, 2), 3.0))
    assert torch.equal(second, torch.full((2, 1, 2, 2), 10.0))

# SPDX-License-Identifier: Apache-2.0
"""One network on two batches: at once on a graphics card, one after the other on a processor.

There a batch of two gains nothing, and its maps are so large that memory is fetched anew for each.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

Picture = Float[Tensor, "batch channels height width"]


def on_both(network: nn.Module, *inputs: tuple[Tensor, Tensor]) -> tuple[Picture, Picture]:
    """Run a network on two batches of as many pictures that have nothing to do with each other.

    Args:
        network: With batch normalisation, which would mix them, it runs twice everywhere.
        inputs: Each argument of the network as a pair, for the first batch and for the second.
    """
    mixes = any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    if inputs[0][0].is_cuda and not mixes:
        first, second = network(*(torch.cat(pair) for pair in inputs)).chunk(2)
    else:
        first, second = (network(*(pair[k] for pair in inputs)) for k in (0, 1))
    return first, second

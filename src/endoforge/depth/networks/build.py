# SPDX-License-Identifier: Apache-2.0
"""From settings to a network; the only place that lists the networks."""

import torch

from endoforge.depth.networks.unet import UNet
from endoforge.depth.settings import DepthNetworkSettings, UNetSettings

DepthNetwork = UNet


def build_depth_network(settings: DepthNetworkSettings) -> DepthNetwork:
    """Build the network that the settings name, with weights from torch's global seed."""
    match settings:
        case UNetSettings():
            return UNet(settings)


def on_device(network: DepthNetwork, device: torch.device) -> DepthNetwork:
    """Move a network to a device and store its kernels channels last, which is faster."""
    network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network

# SPDX-License-Identifier: Apache-2.0
"""From settings to a network; the only place that lists the networks."""

from endoforge.depth.networks.unet import UNet
from endoforge.depth.settings import DepthNetworkSettings, UNetSettings

DepthNetwork = UNet


def build_depth_network(settings: DepthNetworkSettings) -> DepthNetwork:
    """Build the network that the settings name, with weights from torch's global seed."""
    match settings:
        case UNetSettings():
            return UNet(settings)

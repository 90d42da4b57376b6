# SPDX-License-Identifier: Apache-2.0
"""A residual U-Net that answers with the logarithm of depth."""

import math

from jaxtyping import Float
from torch import Tensor

from endoforge.depth.settings import UNetSettings
from endoforge.training.networks.unet import ResidualUNet


class UNet(ResidualUNet):
    """Log depth of every pixel of a picture whose sides are multiples of `settings.divisor`."""

    settings: UNetSettings

    def __init__(self, settings: UNetSettings) -> None:
        super().__init__(settings, outputs=1, start=math.log(settings.typical_depth_mm))

    def depth_mm(
        self, log_depth: Float[Tensor, "batch 1 height width"]
    ) -> Float[Tensor, "batch 1 height width"]:
        """Turn what `forward` returns (log of depth in mm) into mm, inside the stated range."""
        low, high = math.log(self.settings.min_depth_mm), math.log(self.settings.max_depth_mm)
        return log_depth.clamp(low, high).exp()

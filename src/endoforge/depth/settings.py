# SPDX-License-Identifier: Apache-2.0
"""What training a depth network can be told: network, losses, augmentation, schedule.

Imports no tensor library, so that the command line can build settings fast.
"""

from typing import Literal

from pydantic import Field, model_validator

from endoforge.settings import Settings
from endoforge.training.augment_settings import AugmentSettings
from endoforge.training.networks.shape import UNetShape
from endoforge.training.settings import TrainerSettings


class UNetSettings(UNetShape):
    """A residual U-Net that answers with the depth of every pixel."""

    kind: Literal["unet"] = "unet"
    min_depth_mm: float = Field(0.5, gt=0, description="predictions are clamped to above this, mm")
    max_depth_mm: float = Field(
        500.0, gt=0, description="predictions are clamped to below this, mm"
    )
    typical_depth_mm: float = Field(30.0, gt=0, description="prediction before any training, mm")

    @model_validator(mode="after")
    def _range_has_room(self) -> "UNetSettings":
        if self.min_depth_mm >= self.max_depth_mm:
            raise ValueError(
                f"min_depth_mm {self.min_depth_mm} is not below max_depth_mm {self.max_depth_mm}"
            )
        return self


#: Every depth network; one more is one more class here and one more case in `depth.networks.build`.
DepthNetworkSettings = UNetSettings


class DepthLossSettings(Settings):
    """Weights of the losses, all of them on the logarithm of depth; 0 leaves one out."""

    scale_invariant: float = Field(1.0, ge=0, description="weight of Eigen's scale-invariant loss")
    variance_focus: float = Field(
        0.5, ge=0, le=1, description="1 forgives a wrong scale entirely, 0 does not at all"
    )
    absolute: float = Field(1.0, ge=0, description="weight of the mean absolute log error")
    gradient: float = Field(0.5, ge=0, description="weight of the multi-scale gradient loss")
    gradient_scales: int = Field(4, ge=1, le=6, description="halvings over which gradients agree")


class DepthSettings(TrainerSettings):
    """Everything that `endoforge train depth-unet` can be told."""

    network: DepthNetworkSettings = UNetSettings()
    loss: DepthLossSettings = DepthLossSettings()
    augment: AugmentSettings = AugmentSettings()
    width: int = Field(160, ge=16, le=2048, description="width of training pictures, px")
    height: int = Field(128, ge=16, le=2048, description="height of training pictures, px")
    max_depth_mm: float = Field(300.0, gt=0, description="farther pixels do not count, mm")
    validation_share: float = Field(0.1, ge=0, lt=1, description="sequences held out, share")
    validation_frames: int = Field(512, ge=1, description="frames per validation, at most")
    with_rejected: bool = Field(
        False, description="learn from frames too that the audit of a translation rejected"
    )
    cache: str = Field(
        "", description="folder to keep decoded frames in; empty: in the run, removed at its end"
    )
    start_from: str = Field("", description="model to fine-tune: a name or a path; empty for none")

    @model_validator(mode="after")
    def _size_divides(self) -> "DepthSettings":
        divisor = self.network.divisor
        if self.width % divisor or self.height % divisor:
            raise ValueError(
                f"width {self.width} and height {self.height} must be multiples of {divisor}"
            )
        return self

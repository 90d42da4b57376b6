# SPDX-License-Identifier: Apache-2.0
"""What training a depth network can be told: network, losses, augmentation, schedule.

Imports no tensor library, so that the command line can build settings fast.
"""

from typing import Literal

from pydantic import Field, model_validator

from endoforge.settings import Interval, Settings
from endoforge.training.settings import TrainerSettings


class UNetSettings(Settings):
    """A residual U-Net; level k works at 1 / 2^(k+1) of the input's width and height."""

    kind: Literal["unet"] = "unet"
    widths: tuple[int, ...] = Field(
        (32, 64, 96, 160),
        min_length=2,
        max_length=6,
        description="channels per level, finest first",
    )
    blocks: tuple[int, ...] = Field(
        (0, 1, 2, 3), description="residual blocks per level on the way down"
    )
    log_features: bool = Field(
        True, description="show the network log brightness too: in near-field light log depth"
    )
    min_depth_mm: float = Field(0.5, gt=0, description="predictions are clamped to above this, mm")
    max_depth_mm: float = Field(
        500.0, gt=0, description="predictions are clamped to below this, mm"
    )
    typical_depth_mm: float = Field(30.0, gt=0, description="prediction before any training, mm")

    @model_validator(mode="after")
    def _levels_agree(self) -> "UNetSettings":
        if len(self.blocks) != len(self.widths):
            raise ValueError(f"widths {self.widths} and blocks {self.blocks} differ in length")
        if min(self.widths) < 4 or min(self.blocks) < 0:
            raise ValueError(f"widths {self.widths} below 4, or blocks {self.blocks} below 0")
        if self.min_depth_mm >= self.max_depth_mm:
            raise ValueError(
                f"min_depth_mm {self.min_depth_mm} is not below max_depth_mm {self.max_depth_mm}"
            )
        return self

    @property
    def divisor(self) -> int:
        """Width and height of the input must be multiples of this."""
        return int(2 ** len(self.widths))


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


class AugmentSettings(Settings):
    """How training pictures are varied; real frames must look like one more variation.

    Depth and picture are flipped together; nothing else moves a pixel. What a content mask or a box
    covers does not count in the losses.
    """

    strength: float = Field(1.0, ge=0, le=2, description="scales all ranges; 0 only flips")
    clean: float = Field(0.15, ge=0, le=1, description="share of pictures only flipped")
    flip: bool = Field(True, description="mirror left-right and up-down at random")
    exposure: float = Field(0.25, ge=0, description="brightness, +- stops; it is a cue of depth")
    white_balance: float = Field(0.15, ge=0, description="red and blue gain, +- stops")
    gamma: float = Field(0.2, ge=0, description="exponent, +- octaves")
    saturation: float = Field(0.3, ge=0, description="colourfulness, +- share")
    vignetting: Interval = Field((0.0, 0.5), description="darkening of the corners, share")
    vignetting_share: float = Field(0.3, ge=0, le=1, description="share of pictures vignetted")
    blur_px: Interval = Field((0.3, 1.3), description="standard deviation of the blur, px")
    blur_share: float = Field(0.3, ge=0, le=1, description="share of pictures blurred")
    noise: Interval = Field((0.0, 0.04), description="standard deviation of noise, of full scale")
    blocks: Interval = Field((0.01, 0.06), description="step of the 8 x 8 block coding, share")
    blocks_share: float = Field(0.15, ge=0, le=1, description="share of pictures block coded")
    highlights: Interval = Field((0.001, 0.02), description="area of added reflections, share")
    highlights_share: float = Field(0.3, ge=0, le=1, description="share of pictures with them")
    mask_share: float = Field(0.5, ge=0, le=1, description="share in an octagon or a circle")
    text_share: float = Field(0.25, ge=0, le=1, description="share with lines of text")
    box_share: float = Field(0.2, ge=0, le=1, description="share with a box in a corner")


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

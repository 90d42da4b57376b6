# SPDX-License-Identifier: Apache-2.0
"""What the networks of translation can be told; the defaults are those of the papers named.

Imports no tensor library, so that the command line can build settings fast.
"""

from typing import Annotated, Literal

from pydantic import Field

from endoforge.settings import Settings

#: ``instance`` has no weights of its own, ``instance-affine`` scales and shifts each channel.
NormName = Literal["instance", "instance-affine", "batch", "layer", "none"]
Activation = Literal["relu", "leaky", "tanh", "none"]
Padding = Literal["reflect", "zeros"]

#: ``transposed``: a transposed convolution; ``resize``: nearest neighbour, then a convolution,
#: which leaves no checkerboard.
Upsampling = Literal["transposed", "resize"]


class ResNetSettings(Settings):
    """A residual generator; Zhu et al., *CycleGAN*, 2017, appendix 7.2 (after Johnson 2016)."""

    kind: Literal["resnet"] = "resnet"
    width: int = Field(64, ge=4, le=512, description="channels at full resolution; Zhu 2017")
    blocks: int = Field(
        9, ge=1, le=32, description="residual blocks; Zhu 2017: 6 at 128 px, else 9"
    )
    halvings: int = Field(2, ge=1, le=4, description="halvings before the blocks; Zhu 2017")
    norm: NormName = Field("instance", description="normalisation; Zhu 2017")
    upsampling: Upsampling = Field("transposed", description="on the way up; Zhu 2017")
    antialias: bool = Field(
        False, description="blur while halving and doubling; Park et al., CUT, 2020, has it on"
    )
    from_input: bool = Field(
        False,
        description="answer with a change to the input; own choice for short trainings, the papers "
        "answer anew",
    )

    @property
    def divisor(self) -> int:
        """Width and height of the input must be multiples of this."""
        return int(2**self.halvings)


class UNetGeneratorSettings(Settings):
    """A generator with skips at all levels; Isola et al., *pix2pix*, 2017, appendix 6.1.1."""

    kind: Literal["unet"] = "unet"
    width: int = Field(64, ge=4, le=512, description="channels of the finest level; Isola 2017")
    levels: int = Field(8, ge=2, le=10, description="halvings; Isola 2017: 8 at 256 px, to 1 x 1")
    norm: NormName = Field(
        "instance-affine",
        description="what batch normalisation is at the source's batch of 1; Isola 2017, 3.4",
    )
    dropout: float = Field(
        0.5, ge=0, lt=1, description="share dropped in three of the coarse levels; Isola 2017"
    )
    upsampling: Upsampling = Field("transposed", description="on the way up; Isola 2017")

    @property
    def divisor(self) -> int:
        """Width and height of the input must be multiples of this."""
        return int(2**self.levels)


#: Every generator of pictures from pictures; see `networks.build`.
GeneratorSettings = Annotated[ResNetSettings | UNetGeneratorSettings, Field(discriminator="kind")]


class PatchSettings(Settings):
    """A discriminator that judges overlapping patches; Isola et al., *pix2pix*, 2017, 6.1.2."""

    width: int = Field(64, ge=4, le=512, description="channels of the first layer; Isola 2017")
    layers: int = Field(
        3, ge=1, le=6, description="halvings; 3 sees 70 px; Isola 2017 and Zhu 2017"
    )
    scales: int = Field(1, ge=1, le=5, description="copies on ever smaller pictures; MUNIT has 3")
    norm: NormName = Field("instance", description="after all but the first layer; Zhu 2017")
    head: Literal["patch", "point"] = Field(
        "patch", description="last layers: two 4 x 4 convolutions (Isola 2017) or one 1 x 1 (MUNIT)"
    )
    spectral: bool = Field(False, description="spectral normalisation; Miyato et al., 2018")
    padding: Padding = Field("zeros", description="zeros: Isola 2017; reflect: MUNIT")


class MunitPatchSettings(PatchSettings):
    """The discriminator of Huang et al., *MUNIT*, 2018, appendix B.2."""

    layers: int = Field(4, ge=1, le=6, description="halvings; MUNIT 2018, B.2")
    scales: int = Field(3, ge=1, le=5, description="copies on halved pictures; MUNIT 2018, B.2")
    norm: NormName = Field("none", description="MUNIT 2018, B.2")
    head: Literal["patch", "point"] = Field("point", description="MUNIT 2018, B.2")
    padding: Padding = Field("reflect", description="MUNIT 2018, its published configuration")


class CodeSettings(Settings):
    """Content and style encoders with their decoder; Huang et al., *MUNIT*, 2018, appendix B.2."""

    width: int = Field(64, ge=4, le=512, description="channels at full resolution; MUNIT 2018")
    halvings: int = Field(2, ge=1, le=4, description="halvings of the content; MUNIT 2018")
    blocks: int = Field(4, ge=0, le=16, description="residual blocks on each side; MUNIT 2018")
    content_channels: int = Field(
        0,
        ge=0,
        le=1024,
        description="channels of the content code; 0 keeps all (MUNIT: 256); Pfeiffer 2019: 8",
    )
    detail: bool = Field(
        False,
        description="fine detail of brightness is part of the content, as it is, and the decoder's "
        "last layer sees it; own choice for short trainings, the papers learn all of the content",
    )
    style_halvings: int = Field(4, ge=1, le=6, description="of the style encoder; MUNIT 2018")
    style_size: int = Field(8, ge=1, le=256, description="numbers in a style code; MUNIT 2018")
    mlp_width: int = Field(256, ge=4, le=2048, description="of the style's network; MUNIT 2018")
    mlp_layers: int = Field(3, ge=1, le=8, description="of the style's network; MUNIT 2018")

    @property
    def details(self) -> int:
        """Channels of the content that are fine detail: a pixel's neighbours lie side by side."""
        return int(4**self.halvings) if self.detail else 0

    @property
    def widest(self) -> int:
        """Channels after the last halving."""
        return int(self.width * 2**self.halvings)

    @property
    def divisor(self) -> int:
        """Width and height of the input must be multiples of this."""
        return int(2 ** max(self.halvings, self.style_halvings))


class DcganSettings(Settings):
    """Pictures from noise by convolutions; Radford et al., *DCGAN*, 2016, section 3 and figure 1.

    A side of 64 px has four doublings from 4 px; the coarsest level has 8 times the width there.
    """

    noise: int = Field(100, ge=1, le=4096, description="numbers of noise; Radford 2016, figure 1")
    width: int = Field(128, ge=4, le=512, description="channels of the finest level; Radford 2016")


class MlpSettings(Settings):
    """Pictures from noise by matrices; Goodfellow et al., *GAN*, 2014, section 5."""

    noise: int = Field(100, ge=1, le=4096, description="numbers of noise; published configuration")
    generator_width: int = Field(
        1200, ge=4, le=8192, description="hidden units; published for MNIST"
    )
    judge_width: int = Field(240, ge=4, le=8192, description="hidden units; published for MNIST")
    pieces: int = Field(5, ge=1, le=16, description="of each maxout unit; published for MNIST")
    layers: int = Field(2, ge=1, le=8, description="hidden layers")

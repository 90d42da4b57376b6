# SPDX-License-Identifier: Apache-2.0
"""How training pictures are varied. Imports nothing heavy."""

from pydantic import Field

from endoforge.settings import Interval, Settings


class AugmentSettings(Settings):
    """How training pictures are varied; real frames must look like one more variation.

    Labels and picture are flipped together; nothing else moves a pixel. What a content mask or a
    box covers does not count in the losses.
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

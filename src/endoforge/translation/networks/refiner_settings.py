# SPDX-License-Identifier: Apache-2.0
"""What SimGAN's two networks can be told. Imports no tensor library."""

from typing import Literal

from pydantic import Field

from endoforge.settings import Settings
from endoforge.translation.networks.settings import NormName
from endoforge.translation.settings import ObjectiveName


class RefinerSettings(Settings):
    """Residual blocks at full resolution, so that no fold can move far; SimGAN 2017, section 2.4.

    It has no normalisation by default: one per picture would take away overall brightness, which
    in near-field light tells depth.
    """

    width: int = Field(64, ge=4, le=512, description="channels; SimGAN 2017")
    blocks: int = Field(4, ge=1, le=32, description="residual blocks; SimGAN 2017")
    norm: NormName = Field("none", description="normalisation; own choice")
    from_input: bool = Field(
        True,
        description="answer with a change to the input, at first none; SimGAN answers anew",
    )
    colours: bool = Field(
        True,
        description="before all else take mean and covariance of the colours to those of the other "
        "domain with one matrix; Pitie & Kokaram 2007, own choice, SimGAN has grey pictures",
    )


class LocalJudgeSettings(Settings):
    """A judge of small patches: about 30 px each; SimGAN 2017, section 2.3 and a public port."""

    width: int = Field(96, ge=4, le=512, description="channels of the first layer; SimGAN 2017")
    norm: NormName = Field("none", description="normalisation; own choice, the port has batch")
    answer: Literal["softmax", "sigmoid"] = Field(
        "softmax",
        description="two numbers per place whose difference is the score (SimGAN 2017), or one",
    )
    spectral: bool = Field(False, description="spectral normalisation; Miyato et al., 2018")
    objective: ObjectiveName = Field(
        "non-saturating", description="SimGAN 2017: the cross entropy at every place"
    )

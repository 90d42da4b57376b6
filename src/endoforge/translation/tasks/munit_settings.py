# SPDX-License-Identifier: Apache-2.0
"""What `munit` and `content-munit` can be told: content kept, style exchanged.

Imports no tensor library, so that the command line can build settings fast.
"""

from pydantic import Field, model_validator

from endoforge.translation.networks.settings import CodeSettings, MunitPatchSettings
from endoforge.translation.settings import (
    ObjectiveName,
    PictureSettings,
    ScheduleName,
    TranslationSettings,
)


class MunitSettings(TranslationSettings):
    """Everything that `endoforge train munit` can be told.

    The perceptual loss of the paper's section 5.1 is left out: it needs the weights of a VGG
    network, and the published configurations for pictures of 256 px have it off.

    Source:
        Huang et al., *Multimodal unsupervised image-to-image translation*, 2018, equations 1 to 6,
        appendix B, and the published configuration for summer and winter.
    """

    learning_rate: float = Field(1e-4, gt=0, description="highest step size; Huang 2018, B.1")
    betas: tuple[float, float] = Field((0.5, 0.999), description="Adam's memory; Huang 2018, B.1")
    weight_decay: float = Field(1e-4, ge=0, description="Adam's L2 decay; published configuration")
    schedule: ScheduleName = Field(
        "halving", description="by half every 100,000 steps; Huang 2018, B.1"
    )
    codes: CodeSettings = CodeSettings()
    judge: MunitPatchSettings = MunitPatchSettings()
    objective: ObjectiveName = Field(
        "least-squares", description="what judges and translators want; Huang 2018, B.2"
    )
    fool_weight: float = Field(1.0, gt=0, description="of deceiving the judges; Huang 2018, eq. 5")
    image: float = Field(
        10.0, ge=0, description="weight of pictures made again of their codes; Huang 2018, B.1"
    )
    content: float = Field(
        1.0, ge=0, description="weight of contents found again in translations; Huang 2018, B.1"
    )
    style: float = Field(
        1.0, ge=0, description="weight of styles found again in translations; Huang 2018, B.1"
    )
    cycle: float = Field(
        10.0,
        ge=0,
        description="weight of pictures, there and back; Huang 2018, section 5.1; published "
        "configurations: summer and winter 10, edges and shoes 0",
    )
    pictures: PictureSettings = PictureSettings(height=256, crop=256)

    @model_validator(mode="after")
    def _divides(self) -> "MunitSettings":
        divisor, crop = 2**self.codes.halvings, self.pictures.crop
        smallest = 2 ** (self.judge.layers + self.judge.scales - 1)
        if crop % divisor or crop < smallest:
            raise ValueError(
                f"pictures.crop must be a multiple of {divisor} for these encoders and at least "
                f"{smallest} for these judges, got {crop}; change it, or codes.halvings, "
                "judge.layers and judge.scales"
            )
        return self

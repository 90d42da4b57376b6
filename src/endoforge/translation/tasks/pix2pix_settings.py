# SPDX-License-Identifier: Apache-2.0
"""What `pix2pix` can be told: pictures from pictures of the same scene.

Imports no tensor library, so that the command line can build settings fast.
"""

from typing import Any

from pydantic import Field, field_validator, model_validator

from endoforge.translation.networks.settings import (
    GeneratorSettings,
    PatchSettings,
    UNetGeneratorSettings,
)
from endoforge.translation.settings import (
    ObjectiveName,
    PictureSettings,
    ScheduleName,
    TranslationSettings,
)


class Pix2pixSettings(TranslationSettings):
    """Everything that `endoforge train pix2pix` can be told.

    Source:
        Isola et al., *Image-to-image translation with conditional adversarial networks*, 2017,
        sections 3 and 6.
    """

    schedule: ScheduleName = Field(
        "linear", description="how the step size falls; published configuration"
    )
    generator: GeneratorSettings = UNetGeneratorSettings()
    judge: PatchSettings = PatchSettings(norm="instance-affine")
    objective: ObjectiveName = Field(
        "non-saturating", description="what judge and generator want; Isola 2017, section 3.3"
    )
    fool_weight: float = Field(1.0, ge=0, description="of deceiving the judge; Isola 2017")
    l1_weight: float = Field(
        100.0, ge=0, description="of the mean absolute difference; Isola 2017, equation 4"
    )
    judge_weight: float = Field(
        0.5, gt=0, description="of the judge's objective, to slow it down; Isola 2017, section 3.3"
    )
    penalty: float = Field(
        10.0, ge=0, description="weight of the gradient penalty, wasserstein only; Gulrajani 2017"
    )
    pictures: PictureSettings = PictureSettings(height=286, crop=256)

    @field_validator("generator", mode="before")
    @classmethod
    def _is_a_unet_unless_named(cls, value: Any) -> Any:
        return {"kind": "unet", **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _divides(self) -> "Pix2pixSettings":
        divisor, crop = self.generator.divisor, self.pictures.crop
        if crop % divisor:
            raise ValueError(
                f"pictures.crop must be a multiple of {divisor} for this generator, got {crop}; "
                "change it, or generator.levels"
            )
        if not self.fool_weight and not self.l1_weight:
            raise ValueError(
                "fool_weight and l1_weight are both 0; there would be nothing to learn"
            )
        return self

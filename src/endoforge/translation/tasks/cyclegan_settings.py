# SPDX-License-Identifier: Apache-2.0
"""What `cyclegan` can be told: two translators that undo one another.

Imports no tensor library, so that the command line can build settings fast.
"""

from pydantic import Field

from endoforge.translation.networks.settings import PatchSettings, ResNetSettings
from endoforge.translation.settings import (
    ObjectiveName,
    PictureSettings,
    ScheduleName,
    TranslationSettings,
)


class CycleGanSettings(TranslationSettings):
    """Everything that `endoforge train cyclegan` can be told.

    Source:
        Zhu et al., *Unpaired image-to-image translation using cycle-consistent adversarial
        networks*, 2017, sections 3 and 4, appendix 7.
    """

    learning_rate: float = Field(2e-4, gt=0, description="highest step size; Zhu 2017, section 4")
    betas: tuple[float, float] = Field(
        (0.5, 0.999), description="Adam's memory; published configuration"
    )
    schedule: ScheduleName = Field(
        "linear", description="held for half of the steps, then to 0; Zhu 2017, appendix 7.1"
    )
    generator: ResNetSettings = ResNetSettings()
    judge: PatchSettings = PatchSettings()
    objective: ObjectiveName = Field(
        "least-squares", description="what judges and generators want; Zhu 2017, section 4"
    )
    fool_weight: float = Field(1.0, gt=0, description="of deceiving the judges; Zhu 2017")
    cycle_source: float = Field(
        10.0, ge=0, description="weight of source, there and back; Zhu 2017, section 4"
    )
    cycle_target: float = Field(
        10.0, ge=0, description="weight of target, back and there; Zhu 2017, section 4"
    )
    identity: float = Field(
        0.5,
        ge=0,
        description="of leaving a picture of the own domain alone, times the weight of the cycle; "
        "Zhu 2017, section 5.2; 0 for domains of different channel counts",
    )
    judge_weight: float = Field(
        0.5, gt=0, description="of the judges' objective, to slow them down; Zhu 2017, section 4"
    )
    history: int = Field(
        50, ge=0, description="made pictures remembered for the judges; Zhu 2017, section 4"
    )
    pictures: PictureSettings = PictureSettings(height=286, crop=256)

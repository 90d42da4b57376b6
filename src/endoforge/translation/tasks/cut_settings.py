# SPDX-License-Identifier: Apache-2.0
"""What `cut` can be told: one translator held to its input by contrast between patches.

Imports no tensor library, so that the command line can build settings fast.
"""

from pydantic import Field, model_validator

from endoforge.translation.networks.settings import PatchSettings, ResNetSettings
from endoforge.translation.settings import (
    ObjectiveName,
    PictureSettings,
    ScheduleName,
    TranslationSettings,
)


class CutSettings(TranslationSettings):
    """Everything that `endoforge train cut` can be told.

    FastCUT, the faster variant, is ``contrast=10 identity=false flip_alike=true hold=0.75``.

    Source:
        Park et al., *Contrastive learning for unpaired image-to-image translation*, 2020, sections
        3 and 4, appendix C, and its published configuration.
    """

    learning_rate: float = Field(
        2e-4,
        gt=0,
        description="highest step size; published configuration, CycleGAN's; Park 2020 prints 2e-3",
    )
    betas: tuple[float, float] = Field(
        (0.5, 0.999), description="Adam's memory; published configuration"
    )
    schedule: ScheduleName = Field(
        "linear", description="held for half of the steps, then to 0; Park 2020, C.1"
    )
    generator: ResNetSettings = ResNetSettings(antialias=True)
    judge: PatchSettings = PatchSettings()
    objective: ObjectiveName = Field(
        "least-squares", description="what judge and generator want; Park 2020, C.1"
    )
    fool_weight: float = Field(1.0, gt=0, description="of deceiving the judge; Park 2020, eq. 5")
    contrast: float = Field(
        1.0, gt=0, description="weight of the patch contrast; Park 2020: CUT 1, FastCUT 10"
    )
    identity: bool = Field(
        True,
        description="contrast of translated target pictures too, at half the weight each; Park "
        "2020: CUT on, FastCUT off",
    )
    flip_alike: bool = Field(
        False,
        description="mirror the input half of the time and its features back; published "
        "configuration: FastCUT on",
    )
    temperature: float = Field(0.07, gt=0, description="of the contrast; Park 2020, section 3")
    patches: int = Field(256, ge=2, description="patches per layer and picture; Park 2020, C.1")
    taps: tuple[int, ...] = Field(
        (0, 2, 3, 4, 8),
        min_length=1,
        description="stages of the generator that are compared: the pixels, both halvings, first "
        "and fifth block; Park 2020, C.1",
    )
    features: int = Field(256, ge=2, description="numbers of a patch's vector; Park 2020, C.1")
    judge_weight: float = Field(
        0.5, gt=0, description="of the judge's objective; published configuration"
    )
    pictures: PictureSettings = PictureSettings(height=286, crop=256)

    @model_validator(mode="after")
    def _taps_exist(self) -> "CutSettings":
        last = 1 + self.generator.halvings + self.generator.blocks
        if not all(0 <= tap <= last for tap in self.taps):
            raise ValueError(
                f"taps must be stages 0 to {last} of this generator (picture, stem, halvings, "
                f"blocks), got {self.taps}"
            )
        return self

# SPDX-License-Identifier: Apache-2.0
"""What the methods from noise can be told: `gan` with matrices, `dcgan` with convolutions.

Imports no tensor library, so that the command line can build settings fast.
"""

from pydantic import Field, model_validator

from endoforge.translation.networks.settings import DcganSettings, MlpSettings
from endoforge.translation.settings import ObjectiveName, PictureSettings, TranslationSettings


class NoiseSettings(TranslationSettings):
    """What both methods share.

    The noise is drawn from N(0, 1), the prior of all style codes here; the papers' is uniform.
    """

    objective: ObjectiveName = Field(
        "non-saturating", description="what judge and generator want; Goodfellow 2014, section 3"
    )
    penalty: float = Field(
        10.0, ge=0, description="weight of the gradient penalty, wasserstein only; Gulrajani 2017"
    )
    judge_rate: float = Field(
        1.0, gt=0, description="the judge's step size as a multiple of the generator's; own choice"
    )


class GanSettings(NoiseSettings):
    """Everything that `endoforge train gan` can be told.

    Source:
        Goodfellow et al., *Generative adversarial nets*, 2014, section 5; its momentum is replaced
        by Adam.
    """

    batch: int = Field(100, ge=1, description="pictures per batch; published for MNIST")
    network: MlpSettings = MlpSettings()
    pictures: PictureSettings = PictureSettings(height=32, crop=32)


class DcganTaskSettings(NoiseSettings):
    """Everything that `endoforge train dcgan` can be told.

    Source:
        Radford et al., *Unsupervised representation learning with DCGAN*, 2016, sections 3 and 4.
    """

    batch: int = Field(128, ge=2, description="pictures per batch; DCGAN 2016, section 4")
    network: DcganSettings = DcganSettings()
    pictures: PictureSettings = PictureSettings(height=64, crop=64)

    @model_validator(mode="after")
    def _doubles(self) -> "DcganTaskSettings":
        side = self.pictures.crop
        if side & (side - 1):
            raise ValueError(
                f"dcgan doubles from 4 px, so pictures.crop must be 16, 32, 64 ..., got {side}"
            )
        if self.objective == "wasserstein":
            raise ValueError(
                "dcgan's judge has batch normalisation, so it has no slope per "
                "picture and the wasserstein objective cannot be used; take gan"
            )
        return self

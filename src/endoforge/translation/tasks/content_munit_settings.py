# SPDX-License-Identifier: Apache-2.0
"""What `content-munit` can be told: many looks for simulated scenes whose labels stay true.

Imports no tensor library, so that the command line can build settings fast.
"""

from pydantic import Field, model_validator

from endoforge.translation.networks.settings import CodeSettings
from endoforge.translation.tasks.munit_settings import MunitSettings


class ContentMunitSettings(MunitSettings):
    """Everything that `endoforge train content-munit` can be told.

    Weights that the paper does not print are those of its published successor, which kept its
    networks: Rivoir et al., *Long-term temporally consistent unpaired video translation*, 2021.

    Source:
        Pfeiffer et al., *Generating large labeled data sets for laparoscopic image processing
        tasks using unpaired image-to-image translation*, 2019.
    """

    codes: CodeSettings = CodeSettings(content_channels=8)
    noise: float = Field(
        0.1, ge=0, le=1, description="deviation of the noise before encoders; Pfeiffer 2019"
    )
    borrowed: float = Field(
        0.5,
        ge=0,
        le=1,
        description="chance that a translation takes the style of the real picture beside it "
        "instead of a random one; Pfeiffer 2019",
    )
    brightness_there: float = Field(
        5.0,
        ge=0,
        description="weight of keeping the structure of brightness, simulated to real; Rivoir "
        "2021's configuration",
    )
    brightness_back: float = Field(
        3.0,
        ge=0,
        description="weight of keeping the structure of brightness, real to simulated; Rivoir "
        "2021's configuration",
    )

    @model_validator(mode="after")
    def _has_brightness(self) -> "ContentMunitSettings":
        planes = self.pictures.source_planes
        if (self.brightness_there or self.brightness_back) and planes[0] != "image":
            raise ValueError(
                "brightness is compared, so pictures.source_planes must begin with image, got "
                f"{', '.join(planes)}; or set brightness_there and brightness_back to 0"
            )
        return self

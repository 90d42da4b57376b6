# SPDX-License-Identifier: Apache-2.0
"""What the reverse method can be told: real pictures get the look of simulated ones.

Imports no tensor library, so that the command line can build settings fast.
"""

from typing import Literal

from pydantic import Field, model_validator

from endoforge.settings import Settings
from endoforge.translation.networks.refiner_settings import LocalJudgeSettings, RefinerSettings
from endoforge.translation.settings import TranslationSettings


class TurnSettings(Settings):
    """Who learns when: each batch teaches one of the two, as in SimGAN's algorithm 1."""

    refiner_alone: int = Field(
        1000, ge=0, description="first batches: the transformer learns to keep its input; port"
    )
    judge_alone: int = Field(200, ge=0, description="next batches: the judge alone; port")
    refiner: int = Field(
        2, ge=1, le=1000, description="then in turn so many for the transformer; the port has 50"
    )
    judge: int = Field(1, ge=1, le=1000, description="and so many for the judge; SimGAN 2017")


class ReverseSettings(TranslationSettings):
    """Everything that `endoforge train reverse` can be told.

    Source:
        Mahmood, Chen & Durr, *Unsupervised reverse domain adaptation*, 2018 (the idea); its layers
        and weights are not public, so those of Shrivastava et al., *SimGAN*, 2017, and of the port
        AlexHex7/SimGAN_pytorch stand here.
    """

    batch: int = Field(8, ge=1, description="pictures per batch; SimGAN 2017 has 512 of 35 x 55 px")
    learning_rate: float = Field(1e-3, gt=0, description="highest step size, transformer; port")
    judge_rate: float = Field(1e-3, gt=0, description="highest step size, judge; port")
    judge_optimiser: Literal["sgd", "adam"] = Field("sgd", description="of the judge; SimGAN 2017")
    refiner: RefinerSettings = RefinerSettings()
    judge: LocalJudgeSettings = LocalJudgeSettings()
    turns: TurnSettings = TurnSettings()
    keep: Literal["colour", "luminance", "gradient", "features"] = Field(
        "luminance",
        description="what of a picture must stay: all (SimGAN), its luminance, the steps of its "
        "luminance, or features of a frozen network; own choice, the paper does not say",
    )
    keep_weight: float = Field(
        25.0, gt=0, description="weight of what must stay, on a mean over pixels; as in the port"
    )
    colour_weight: float = Field(
        0.0,
        ge=0,
        description="weight of agreement in the means and mean products of colours, which small "
        "judges learn slowly; 0 for none, own choice",
    )
    features_of: str = Field(
        "depth", description="model whose first levels are those features: a name or a path"
    )
    feature_levels: int = Field(2, ge=1, le=6, description="levels of it, finest first")
    history: int = Field(
        64, ge=0, description="remembered pictures; 0 for none. SimGAN 2017: 25 batches; own choice"
    )

    @model_validator(mode="after")
    def _half_of_a_batch(self) -> "ReverseSettings":
        if (self.history or self.colour_weight) and self.batch < 2:
            raise ValueError(
                f"history and colour_weight halve each batch, so batch must be 2 or more, got "
                f"{self.batch}; or set both to 0"
            )
        return self

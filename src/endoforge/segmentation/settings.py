# SPDX-License-Identifier: Apache-2.0
"""What training a segmentation network can be told: network, classes, loss, augmentation, schedule.

Imports no tensor library, so that the command line can build settings fast.
"""

from typing import Literal

from pydantic import Field, model_validator

from endoforge.settings import Interval, Settings, check_ranges
from endoforge.training.augment_settings import AugmentSettings
from endoforge.training.networks.shape import UNetShape
from endoforge.training.settings import TrainerSettings

#: What a class is merged into when its pixels shall not count.
IGNORED = "ignore"

#: Classes of a drawn abdomen that a small network need not tell apart; own choice.
ABDOMEN_MERGES = {
    "outside": IGNORED,
    "tool tip": "instrument",
    "tool wrist": "instrument",
    "tool shaft": "instrument",
    "clip": "instrument",
    "cystic plate": "liver",
    "ligament": "fat",
    "hepatocystic triangle": "cystic structures",
    "cystic duct": "cystic structures",
    "cystic artery": "cystic structures",
    "vessel": "cystic structures",
    "diaphragm": "abdominal wall",
    "stomach": "stomach and bowel",
    "bowel": "stomach and bowel",
    "spleen": "other organ",
    "kidney": "other organ",
    "pancreas": "other organ",
}


class SegmentationUNetSettings(UNetShape):
    """A residual U-Net that answers with a score per class."""

    kind: Literal["unet"] = "unet"
    widths: tuple[int, ...] = Field(
        (24, 48, 72, 112),
        min_length=2,
        max_length=6,
        description="channels per level, finest first",
    )


class SegmentationLossSettings(Settings):
    """Weights of the losses; 0 leaves one out."""

    cross_entropy: float = Field(1.0, ge=0, description="weight of the cross entropy")
    overlap: float = Field(1.0, ge=0, description="weight of the soft overlap of each class")
    overlap_kind: Literal["dice", "jaccard"] = Field(
        "dice", description="which overlap; jaccard is intersection over union"
    )
    balance: float = Field(
        0.5,
        ge=0,
        le=1,
        description="cross entropy weighs a class by its share of pixels to the minus this power",
    )


class SegmentationSettings(TrainerSettings):
    """Everything that `endoforge train segmentation-unet` can be told."""

    steps: int = Field(6000, ge=1, description="batches to train on")
    batch: int = Field(8, ge=1, description="items per batch")
    network: SegmentationUNetSettings = SegmentationUNetSettings()
    loss: SegmentationLossSettings = SegmentationLossSettings()
    augment: AugmentSettings = AugmentSettings()
    upside_down: bool = Field(
        False, description="mirror up-down too; scopes keep the horizon, so up means something"
    )
    zoom: Interval = Field(
        (1.0, 1.7), description="enlargement of a window of each picture; fills round pictures"
    )
    merge: dict[str, str] = Field(
        default_factory=lambda: dict(ABDOMEN_MERGES),
        description="classes that count as another one, by name; 'ignore' leaves their pixels out",
    )
    classes: tuple[str, ...] = Field(
        (), description="classes to learn, after merging; empty for all that the data sets know"
    )
    width: int = Field(224, ge=16, le=2048, description="width of training pictures, px")
    height: int = Field(128, ge=16, le=2048, description="height of training pictures, px")
    validation_share: float = Field(0.1, ge=0, lt=1, description="sequences held out, share")
    validation_frames: int = Field(256, ge=1, description="frames per validation, at most")
    with_rejected: bool = Field(
        False, description="learn from frames too that the audit of a translation rejected"
    )
    cache: str = Field(
        "", description="folder to keep decoded frames in; empty: in the run, removed at its end"
    )
    start_from: str = Field("", description="model to fine-tune: a name or a path; empty for none")

    @model_validator(mode="after")
    def _fits(self) -> "SegmentationSettings":
        divisor = self.network.divisor
        if self.width % divisor or self.height % divisor:
            raise ValueError(
                f"width {self.width} and height {self.height} must be multiples of {divisor} for "
                f"a network of {len(self.network.widths)} levels"
            )
        check_ranges(self, {"zoom": (1.0, 8.0)})
        chained = [name for name in self.merge.values() if name in self.merge]
        if chained:
            raise ValueError(
                f"merge says what {chained[0]!r} counts as, so nothing may be merged into it"
            )
        if len(set(self.classes)) != len(self.classes) or IGNORED in self.classes:
            raise ValueError(f"classes must differ and not be {IGNORED!r}, got {self.classes}")
        return self

# SPDX-License-Identifier: Apache-2.0
"""What translating a data set can be told. Imports no tensor library."""

from typing import Literal

from pydantic import Field, model_validator

from endoforge.settings import Settings
from endoforge.translation.settings import PictureSettings


class TranslateSettings(Settings):
    """Which looks a data set gets, and how the network runs."""

    styles: int = Field(
        1,
        ge=1,
        le=1000,
        description="looks per sequence of the source: so many sequences come out of each",
    )
    seed: int = Field(0, ge=0, description="of the random styles")
    vary: Literal["sequence", "dataset"] = Field(
        "sequence",
        description="sequence draws new random styles for each sequence, dataset the same for all",
    )
    style_from: tuple[str, ...] = Field(
        (), description="pictures of any size whose looks are borrowed, one after the other"
    )
    style_bank: str | None = Field(None, description="folder that endoforge styles wrote")
    style_group: int | None = Field(
        None, ge=0, description="borrow looks of this group of the bank's pictures"
    )
    style_between: tuple[str, ...] = Field(
        (), description="two pictures between whose looks `styles` steps are taken, ends included"
    )
    height: int | None = Field(
        None,
        ge=16,
        le=2048,
        description="short side at which the network sees a picture, px; null leaves its own",
    )
    batch: int = Field(8, ge=1, le=256, description="pictures that the network sees at once")
    keep_surround: bool = Field(
        True, description="leave the dark surround of round and cut pictures as it is"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the convolutions; bfloat16 is faster on GPUs"
    )

    @model_validator(mode="after")
    def _is_one_choice(self) -> "TranslateSettings":
        ways = {
            "style_from": bool(self.style_from),
            "style_group": self.style_group is not None,
            "style_between": bool(self.style_between),
        }
        chosen = [name for name, there in ways.items() if there]
        if len(chosen) > 1:
            raise ValueError(f"only one of {', '.join(ways)} can choose styles, got {chosen}")
        if self.style_group is not None and self.style_bank is None:
            raise ValueError("style_group needs style_bank, the folder that endoforge styles wrote")
        if self.style_between and len(self.style_between) != 2:
            raise ValueError(f"style_between needs two pictures, got {len(self.style_between)}")
        if self.style_between and self.styles < 2:
            raise ValueError("style_between needs styles of 2 or more: both ends are steps")
        return self


class StyleBankSettings(Settings):
    """How pictures are put on a map of looks."""

    groups: int = Field(6, ge=1, le=50, description="groups of similar looks (k-means)")
    most: int = Field(2000, ge=2, description="pictures at most, evenly spread over all")
    seed: int = Field(0, ge=0, description="of the first guess of the groups")
    height: int = Field(128, ge=16, le=1024, description="short side of the pictures, px")
    batch: int = Field(8, ge=1, le=256, description="pictures that the network sees at once")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU")
    every: int = Field(1, ge=1, description="of a video take every n-th frame")
    value_range: tuple[float, float] = Field(
        (0.0, 1.0), description="values of floating-point files that become -1 and 1"
    )
    exclude: tuple[tuple[float, float, float, float], ...] = Field(
        (), description="rectangles that hold no tissue: left, top, right, bottom as shares"
    )
    skip_damaged: bool = Field(False, description="leave damaged files out instead of stopping")

    def pictures(self) -> PictureSettings:
        """The same for `domains.open_domain`."""
        return PictureSettings(
            height=self.height,
            crop=self.height,
            every=self.every,
            value_range=self.value_range,
            exclude=self.exclude,
            skip_damaged=self.skip_damaged,
        )

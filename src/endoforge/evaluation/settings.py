# SPDX-License-Identifier: Apache-2.0
"""The protocol of an evaluation: what a figure means depends on it, so it stays with it."""

from typing import Literal

from pydantic import Field, model_validator

from endoforge.settings import Settings


class DepthProtocol(Settings):
    """Which pixels and frames count when depth is measured."""

    min_depth_mm: float = Field(1.0, gt=0, description="nearer pixels do not count, mm")
    max_depth_mm: float = Field(200.0, gt=0, description="farther pixels do not count, mm")
    crop: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="share of the picture's width and height cut off at each side",
    )
    every: int = Field(1, ge=1, description="take every n-th frame")
    limit: int | None = Field(None, ge=1, description="most frames, spread evenly; none takes all")
    error_maps: int = Field(6, ge=0, le=50, description="frames whose error maps are kept")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the network runs: auto, cpu or cuda"
    )

    @model_validator(mode="after")
    def _range_has_room(self) -> "DepthProtocol":
        if self.min_depth_mm >= self.max_depth_mm:
            raise ValueError(
                f"min_depth_mm {self.min_depth_mm} is not below max_depth_mm {self.max_depth_mm}"
            )
        return self

    def sentence(self) -> str:
        """The protocol in one sentence, for tables and reports."""
        crop = f", {self.crop:.0%} cut off at each side" if self.crop else ""
        return (
            f"pixels with true depth (z) from {self.min_depth_mm:g} to {self.max_depth_mm:g} mm"
            f"{crop}; every frame counts the same"
        )

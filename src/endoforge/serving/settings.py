# SPDX-License-Identifier: Apache-2.0
"""What a run on pictures or video can be told."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from endoforge.settings import Interval, Settings


class RunSettings(Settings):
    """What `serving.depth.run_depth` writes, and with which lens."""

    camera: Path | None = Field(
        None, description="camera file (JSON) of the scope; without one the lens below is assumed"
    )
    assumed_diagonal_deg: float = Field(
        140.0, gt=10, lt=220, description="field of the assumed equidistant fisheye, degrees"
    )
    range_mm: Interval = Field(
        (4.0, 128.0), description="depths at the two ends of the colour scale (logarithmic), mm"
    )
    stills: int = Field(
        500,
        ge=0,
        description="most side-by-side pictures; spread evenly when there are more frames",
    )
    point_clouds: int = Field(12, ge=0, description="most point clouds; spread evenly")
    points: int = Field(150_000, ge=100, le=4_000_000, description="most points in one cloud")
    panel_px: int = Field(
        640, ge=64, le=2048, description="longer side of each panel in pictures and video, px"
    )
    frames_per_second: float = Field(
        10.0, gt=0, le=120, description="rate of the video that is made of a folder of pictures"
    )
    adapt: str | None = Field(
        None,
        description="translator of method reverse that stands before the depth network: a RUN "
        "folder or a shipped name",
    )
    limit: int | None = Field(None, ge=1, description="stop after so many frames")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the network runs: auto, cpu or cuda"
    )


class MaskSettings(Settings):
    """What `serving.masks.run_masks` writes."""

    stills: int = Field(
        500, ge=0, description="most drawings; spread evenly when there are more frames"
    )
    opacity: float = Field(
        0.45, ge=0, le=1, description="share of the class colour over the picture"
    )
    panel_px: int = Field(
        640, ge=64, le=2048, description="longer side of each panel in pictures and video, px"
    )
    frames_per_second: float = Field(
        10.0, gt=0, le=120, description="rate of the video that is made of a folder of pictures"
    )
    limit: int | None = Field(None, ge=1, description="stop after so many frames")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the network runs: auto, cpu or cuda"
    )

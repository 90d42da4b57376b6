# SPDX-License-Identifier: Apache-2.0
"""How large the experiment of reverse adaptation is. Imports nothing heavy."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from endoforge.settings import Settings

Keep = Literal["colour", "luminance", "gradient", "features"]


class ReverseExperiment(Settings):
    """Does a depth network err less on foreign pictures once they look like its simulated ones?

    The foreign domain has known depth: cinematic pictures of CT, path-traced with other lamps,
    materials and looks. One network is trained here without any variation of looks, as in the
    paper; the shipped one has learnt to pass over many of them.

    Source:
        Mahmood, Chen & Durr, *Unsupervised reverse domain adaptation*, 2018: SSIM of depth on a
        porcine colon +78.7 %.
    """

    width: int = Field(160, ge=32, le=2048, description="width of all pictures, px")
    height: int = Field(128, ge=32, le=2048, description="height of all pictures, px")
    simulated: str = Field("colon-depth", description="recipe of the simulated pictures")
    simulated_frames: int = Field(1000, ge=2, description="simulated pictures")
    foreign: str = Field("cinematic", description="recipe of the foreign pictures")
    foreign_frames: int = Field(400, ge=2, description="foreign pictures, without depth, to adapt")
    foreign_data: Path | None = Field(
        None, description="pictures in place of that recipe: a data set, folder or video"
    )
    test_frames: int = Field(120, ge=1, description="foreign pictures with depth to measure on")
    test_data: Path | None = Field(None, description="a data set with depth in place of those")
    volumes: int = Field(6, ge=1, le=1000, description="synthetic patients to adapt on")
    unseen_volumes: int = Field(3, ge=1, le=1000, description="other ones to measure on")
    sequence_frames: int = Field(5, ge=1, le=1000, description="poses per path")
    samples: int = Field(16, ge=1, description="light paths per pixel, before denoising")
    shipped: str = Field("depth", description="network that saw many looks; empty leaves it out")
    plain_steps: int = Field(
        2500, ge=0, description="steps of the network that saw one look; 0 leaves it out"
    )
    keeps: tuple[Keep, ...] = Field(
        ("luminance", "gradient", "features"),
        min_length=1,
        description="what translators keep of a picture, one translator for each",
    )
    steps: int = Field(2000, ge=1, description="steps of each translator")
    batch: int = Field(4, ge=2, description="pictures per batch of a translator")
    crop: int = Field(96, ge=16, description="side of a translator's training crops, px")
    refiner_width: int = Field(24, ge=4, description="channels of the translator; SimGAN has 64")
    judge_width: int = Field(48, ge=4, description="channels of its judge; SimGAN has 96")
    keep_weight: float = Field(10.0, gt=0, description="weight of what a translator keeps")
    goal: float = Field(25.0, ge=0, le=100, description="fall of the error aimed at, per cent")
    seed: int = Field(0, ge=0, description="of all data and trainings")
    workers: int = Field(1, ge=1, le=256, description="processes that simulate")


def reverse_experiment(scale: str) -> dict[str, Any]:
    """Plain values of the experiment at a scale: an hour on two cores, or a GPU's night."""
    if scale == "quick":
        return {}
    return {
        "width": 320,
        "height": 256,
        "simulated_frames": 10_000,
        "foreign_frames": 4000,
        "test_frames": 1000,
        "volumes": 40,
        "unseen_volumes": 10,
        "sequence_frames": 20,
        "samples": 64,
        "plain_steps": 12_000,
        "steps": 20_000,
        "batch": 16,
        "crop": 192,
        "refiner_width": 64,
        "judge_width": 96,
    }

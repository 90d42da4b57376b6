# SPDX-License-Identifier: Apache-2.0
"""How large the experiment of reverse adaptation is. Imports nothing heavy."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from endoforge.evaluation.experiments.reverse_looks import ONE_LOOK
from endoforge.settings import Settings
from endoforge.training.networks.shape import UNetShape

Keep = Literal["colour", "luminance", "gradient", "features"]


class ReverseExperiment(Settings):
    """Does a depth network err less on foreign pictures once they look like its simulated ones?

    The foreign domain has known depth: the same kind of colons with other tissue, lamp and camera,
    or cinematic pictures of CT. One network is trained here on one look, as in the paper; the
    shipped one has learnt to pass over many of them.

    Source:
        Mahmood, Chen & Durr, *Unsupervised reverse domain adaptation*, 2018: SSIM of depth on a
        porcine colon +78.7 %.
    """

    width: int = Field(160, ge=32, le=2048, description="width of all pictures, px")
    height: int = Field(128, ge=32, le=2048, description="height of all pictures, px")
    simulated: str = Field("colon-depth", description="recipe of the simulated pictures")
    simulated_look: tuple[str, ...] = Field(
        ONE_LOOK, description="how all simulated pictures look: changes to that recipe"
    )
    simulated_frames: int = Field(800, ge=2, description="simulated pictures")
    foreign: Literal["retextured", "cinematic"] = Field(
        "retextured",
        description="foreign pictures: that recipe's colons in another look, or CT path-traced",
    )
    foreign_frames: int = Field(400, ge=2, description="foreign pictures, without depth, to adapt")
    foreign_data: Path | None = Field(
        None, description="pictures in place of those: a data set, folder or video"
    )
    test_frames: int = Field(120, ge=1, description="foreign pictures with depth to measure on")
    test_data: Path | None = Field(None, description="a data set with depth in place of those")
    volumes: int = Field(6, ge=1, le=1000, description="cinematic: synthetic patients to adapt on")
    unseen_volumes: int = Field(3, ge=1, le=1000, description="cinematic: other ones to measure on")
    sequence_frames: int = Field(5, ge=1, le=1000, description="poses per path")
    samples: int = Field(16, ge=1, description="cinematic: light paths per pixel, before denoising")
    shipped: str = Field("depth", description="network that saw many looks; empty leaves it out")
    plain_steps: int = Field(
        1500, ge=0, description="steps of the network that saw one look; 0 leaves it out"
    )
    plain_batch: int = Field(8, ge=1, description="pictures per batch of that network")
    plain_rate: float = Field(2e-3, gt=0, description="highest step size of that network")
    plain_network: UNetShape = Field(
        UNetShape(widths=(16, 32, 64, 96), blocks=(0, 1, 1, 2)), description="its size"
    )
    keeps: tuple[Keep, ...] = Field(
        ("luminance", "gradient", "features"),
        min_length=1,
        description="what translators keep of a picture, one translator for each",
    )
    steps: int = Field(600, ge=1, description="batches of each translator")
    alone: int = Field(
        300, ge=0, description="of these, before there is a judge: colours and what must stay"
    )
    judge_alone: int = Field(50, ge=0, description="the next ones, for the judge alone")
    batch: int = Field(16, ge=2, description="pictures per batch of a translator")
    crop: int = Field(32, ge=16, description="side of a translator's training crops, px")
    learning_rate: float = Field(2e-3, gt=0, description="highest step size of the translator")
    judge_rate: float = Field(1e-3, gt=0, description="highest step size of its judge")
    refiner_width: int = Field(16, ge=4, description="channels of the translator; SimGAN has 64")
    judge_width: int = Field(48, ge=4, description="channels of its judge; SimGAN has 96")
    keep_weight: float = Field(2.0, gt=0, description="weight of what a translator keeps")
    colour_weight: float = Field(40.0, ge=0, description="weight of its colour statistics")
    average: float = Field(0.995, ge=0, lt=1, description="decay of the average of its weights")
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
        "plain_batch": 16,
        "plain_rate": 1e-3,
        "plain_network": UNetShape().model_dump(),
        "steps": 20_000,
        "alone": 1000,
        "crop": 96,
        "judge_alone": 500,
        "learning_rate": 1e-3,
        "refiner_width": 64,
        "judge_width": 96,
    }

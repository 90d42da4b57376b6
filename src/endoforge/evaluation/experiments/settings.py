# SPDX-License-Identifier: Apache-2.0
"""How large an experiment is. Imports nothing heavy."""

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from endoforge.settings import Settings

SCALES = ("quick", "full")


class CinematicExperiment(Settings):
    """Does fine-tuning on cinematic pictures of CT help a depth network that saw only surfaces?

    Source:
        Mahmood et al., *Deep learning with cinematic rendering*, Phys. Med. Biol. 2018: error on
        cinematic pictures -56.87 %, on porcine colons -27.49 %.
    """

    width: int = Field(160, ge=32, le=2048, description="width of all pictures, px")
    height: int = Field(128, ge=32, le=2048, description="height of all pictures, px")
    counts: tuple[int, ...] = Field(
        (40, 120, 400), min_length=1, description="numbers of cinematic pictures to fine-tune on"
    )
    conditions: int = Field(4, ge=2, le=50, description="rendering conditions of each pose")
    sequence_frames: int = Field(5, ge=1, le=1000, description="poses per path")
    volumes: int = Field(6, ge=1, le=1000, description="synthetic patients to fine-tune on")
    unseen_volumes: int = Field(3, ge=1, le=1000, description="other ones to measure on")
    test_frames: int = Field(120, ge=1, description="pictures of either test set")
    samples: int = Field(16, ge=1, description="light paths per pixel, before denoising")
    start: str = Field(
        "depth", description="network that saw surfaces only: the shipped one, or a RUN folder"
    )
    surface_frames: int = Field(
        0, ge=0, description="surface pictures to train that network on instead; 0 takes `start`"
    )
    surface_steps: int = Field(12_000, ge=1, description="steps of that training")
    steps: int = Field(600, ge=1, description="steps of each fine-tuning, whatever the number")
    learning_rate: float = Field(3e-4, gt=0, description="highest step size of fine-tuning")
    repeats: int = Field(1, ge=1, le=20, description="fine-tunings of each kind, of other seeds")
    recipe: str = Field("cinematic", description="recipe of the cinematic pictures")
    independent: str = Field(
        "colon-unprepared",
        description="recipe of a domain that neither training saw: other renderer, lens and looks",
    )
    independent_data: Path | None = Field(
        None, description="a data set with depth in place of that recipe, best a real one"
    )
    seed: int = Field(0, ge=0, description="of all data and trainings")
    workers: int = Field(1, ge=1, le=256, description="processes that simulate")

    @model_validator(mode="after")
    def _whole_groups(self) -> "CinematicExperiment":
        group = self.conditions * self.sequence_frames
        if list(self.counts) != sorted(set(self.counts)) or any(n % group for n in self.counts):
            raise ValueError(
                f"counts must rise and be multiples of conditions times sequence_frames, {group}, "
                f"so that every pose has all its conditions; got {self.counts}"
            )
        return self


def cinematic_experiment(scale: str) -> dict[str, Any]:
    """Plain values of the experiment at a scale: minutes on two cores, or a day on a GPU."""
    if scale == "quick":
        return {}
    return {
        "width": 320,
        "height": 256,
        "counts": [200, 1000, 4000, 12_000],
        "conditions": 10,
        "sequence_frames": 20,
        "volumes": 40,
        "unseen_volumes": 10,
        "test_frames": 1000,
        "samples": 64,
        "surface_frames": 20_000,
        "steps": 8000,
        "repeats": 3,
    }

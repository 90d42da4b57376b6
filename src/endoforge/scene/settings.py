# SPDX-License-Identifier: Apache-2.0
"""What can be told about the camera's path through an anatomy."""

from typing import Literal

from pydantic import Field, model_validator

from endoforge.distributions import Distribution, Option, check_ends
from endoforge.settings import Settings


class TrajectorySettings(Settings):
    """A hand-held scope on its way through the lumen."""

    path: Literal["tube"] = "tube"
    direction: Option[Literal["insertion", "withdrawal", "either"]] = Field(
        "either", description="which way the tip moves; it looks towards the caecum in both"
    )
    start: Distribution = Field(
        (0.0, 1.0), description="where the path may begin, as a share of the passable stretch"
    )
    speed_mm: Distribution = Field(
        (0.3, 1.2),
        description="mean way per frame, mm, drawn once per path; 10 mm/s at 15 frames/s is 0.7",
    )
    clearance_mm: float = Field(
        4.0, ge=0.5, le=15, description="least distance from the lens to the wall, mm"
    )
    sway: Distribution = Field(
        (0.1, 0.6), description="how far off the centre line, as a share of the free way"
    )
    view_angle_deg: Distribution = Field(
        (8.0, 35.0), description="how far the view turns away from the course, degrees"
    )
    tremor_mm: Distribution = Field((0.0, 0.12), description="fast unsteadiness of the tip, mm")
    tremor_deg: Distribution = Field((0.0, 0.4), description="fast turning of the view, degrees")
    roll_deg: Distribution = Field((0.0, 40.0), description="slow rotation about the view, degrees")

    wall_hits: Distribution = Field(
        (0.0, 0.0),
        description="how often per 100 frames the tip runs into the wall and sees red; own choice",
    )
    touch_mm: Distribution = Field(
        (1.0, 2.5), description="how near the lens comes to the wall then, mm; own choice"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "TrajectorySettings":
        check_ends(self, _PLAUSIBLE)
        return self


_PLAUSIBLE: dict[str, tuple[float, float]] = {
    "start": (0.0, 1.0),
    "speed_mm": (0.0, 10.0),
    "sway": (0.0, 1.0),
    "view_angle_deg": (0.0, 80.0),
    "tremor_mm": (0.0, 1.0),
    "tremor_deg": (0.0, 5.0),
    "roll_deg": (0.0, 180.0),
    "wall_hits": (0.0, 20.0),
    "touch_mm": (0.5, 5.0),
}

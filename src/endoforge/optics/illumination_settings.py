# SPDX-License-Identifier: Apache-2.0
"""What can be told about light that stands in the world instead of riding with the lens."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from endoforge.distributions import Count, Distribution, Option, Spread, check_ends
from endoforge.settings import Settings

SurroundingsKind = Literal["dark", "even", "sky", "studio"]

_LIMITS = {
    "level": (0.0, 100.0),
    "kelvin": (2000.0, 20_000.0),
    "white_kelvin": (2000.0, 20_000.0),
    "power": (0.0, 1000.0),
    "distance": (1.05, 20.0),
    "radius": (0.01, 5.0),
    "azimuth_deg": (-360.0, 360.0),
    "elevation_deg": (-90.0, 90.0),
    "turn_deg": (-360.0, 360.0),
}


class IlluminationSettings(Settings):
    """Surroundings, and round lamps about the patient; dark, as inside a body, unless told so."""

    surroundings: Option[SurroundingsKind] = Field(
        "dark",
        description="light from far away: none, the same from everywhere, a bright top, or the "
        "soft boxes of a studio",
    )
    picture: Path | None = Field(
        None, description="a high-dynamic-range panorama (.hdr) in place of the drawn surroundings"
    )
    level: Distribution = Field(
        (0.4, 0.8), description="mean radiance of the surroundings, sensor units; own choice"
    )
    turn_deg: Distribution = Field(
        (0.0, 360.0), description="rotation of the surroundings about the patient's length, degrees"
    )
    seen: bool = Field(False, description="rays that leave the scan show the surroundings")
    lamps: Count = Field((0, 0), description="round area lights that face the middle of the scan")
    power: Spread = Field(
        (2.0, 5.0),
        description="what a lamp would give at the middle of the scan, sensor units; own choice",
    )
    distance: Spread = Field(
        (1.5, 3.0), description="from the middle of the scan, times its half diagonal; own choice"
    )
    radius: Spread = Field(
        (0.2, 0.6), description="of a lamp, times the half diagonal; larger is softer; own choice"
    )
    azimuth_deg: Spread = Field(
        (0.0, 360.0), description="where a lamp stands, from the patient's right over the front"
    )
    elevation_deg: Spread = Field((-20.0, 70.0), description="towards the head, degrees")
    kelvin: Spread = Field((4500.0, 6500.0), description="colour temperature of a lamp, K")
    white_kelvin: Distribution = Field(
        (5500.0, 5500.0), description="colour temperature that the camera shows as white, K"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "IlluminationSettings":
        check_ends(self, _LIMITS)
        if not 0 <= self.lamps[0] <= self.lamps[1] <= 8:
            raise ValueError(f"lamps must be 0 to 8, got {self.lamps}")
        return self

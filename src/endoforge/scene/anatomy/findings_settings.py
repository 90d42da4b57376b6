# SPDX-License-Identifier: Apache-2.0
"""What can be told about what is found in a colon: polyps, diverticula, fluid, stool and stains."""

from typing import Literal

from pydantic import Field, model_validator

from endoforge.distributions import (
    Choice,
    Count,
    Distribution,
    LogUniform,
    Option,
    Spread,
    check_ends,
)
from endoforge.settings import Settings

Paris = Literal["Ip", "Isp", "Is", "IIa", "IIb", "IIc"]
Histology = Literal["adenoma", "hyperplastic", "serrated"]
Position = Literal["left-lateral", "supine", "right-lateral", "prone"]


def _check_count(name: str, ends: tuple[int, int], most: int) -> None:
    if not 0 <= ends[0] <= ends[1] <= most:
        raise ValueError(
            f"{name} must be two numbers from 0 to {most} in order, got {ends[0]}, {ends[1]}"
        )


class PolypSettings(Settings):
    """How many polyps there are and what they look like."""

    count: Count = Field((0, 4), description="fewest and most polyps on the piece")
    diameter_mm: Spread = Field(
        LogUniform(log_uniform=(3.0, 16.0)),
        description="largest width, mm; diminutive is up to 5, large from 10 (ESGE); polyps on or "
        "nearly on a stalk are at least 5",
    )
    paris: Choice[Paris] = Field(
        Choice[Paris](
            choice=("Ip", "Isp", "Is", "IIa", "IIb", "IIc"),
            weights=(0.10, 0.06, 0.40, 0.36, 0.05, 0.03),
        ),
        description="shape by the Paris classification and its weights; of 3207 polyps seen with "
        "high-definition scopes 53 % were IIa, 43 % Is and 4 % Ip, and below 1 % are depressed; "
        "the rare ones are raised here, own choice",
    )
    histology: Choice[Histology] = Field(
        Choice[Histology](choice=("adenoma", "hyperplastic", "serrated"), weights=(0.6, 0.3, 0.1)),
        description="tissue, which sets pits and colour; screening finds about 50 to 57 % "
        "adenomas, 30 % hyperplastic and 3 to 9 % sessile serrated polyps",
    )

    @model_validator(mode="after")
    def _plausible(self) -> "PolypSettings":
        _check_count("count", self.count, 200)
        check_ends(self, {"diameter_mm": (1.0, 30.0)})
        return self


class DiverticulumSettings(Settings):
    """Pouches through the wall."""

    count: Count = Field((0, 0), description="fewest and most diverticula on the piece")
    opening_mm: Spread = Field(
        (3.0, 7.0), description="width of the opening, mm; typically 3 to 10 mm in size (Merck)"
    )
    depth: Spread = Field((0.8, 1.6), description="depth as a share of the opening; own choice")

    @model_validator(mode="after")
    def _plausible(self) -> "DiverticulumSettings":
        _check_count("count", self.count, 100)
        check_ends(self, {"opening_mm": (2.5, 10.0), "depth": (0.4, 2.5)})
        return self


class FluidSettings(Settings):
    """Residual fluid that stands in the lowest pouches, its surface level."""

    pools: Count = Field((0, 0), description="fewest and most pools on the piece")
    depth_mm: Spread = Field(
        (2.0, 8.0),
        description="largest depth of a pool, mm; held back to leave the lumen free; own choice",
    )

    @model_validator(mode="after")
    def _plausible(self) -> "FluidSettings":
        _check_count("pools", self.pools, 30)
        check_ends(self, {"depth_mm": (1.0, 30.0)})
        return self


class StoolSettings(Settings):
    """What bowel preparation left behind."""

    clumps: Count = Field((0, 0), description="fewest and most clumps on the piece")
    clump_mm: Spread = Field(
        LogUniform(log_uniform=(2.0, 9.0)), description="width of a clump, mm; own choice"
    )
    specks: Count = Field((0, 0), description="fewest and most specks of debris on the piece")
    speck_mm: Spread = Field(
        LogUniform(log_uniform=(0.6, 2.0)), description="width of a speck, mm; own choice"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "StoolSettings":
        _check_count("clumps", self.clumps, 100)
        _check_count("specks", self.specks, 500)
        check_ends(self, {"clump_mm": (1.0, 25.0), "speck_mm": (0.3, 3.0)})
        return self


class StainSettings(Settings):
    """Blood and yellow mucus lying on the wall."""

    blood: Count = Field((0, 0), description="fewest and most spots of blood on the piece")
    mucus: Count = Field((0, 0), description="fewest and most patches of yellow mucus")
    width_mm: Spread = Field(
        LogUniform(log_uniform=(4.0, 18.0)), description="width of a patch, mm; own choice"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "StainSettings":
        _check_count("blood", self.blood, 100)
        _check_count("mucus", self.mucus, 100)
        check_ends(self, {"width_mm": (1.0, 60.0)})
        return self


class Additions(Settings):
    """What is put into an anatomy that came from a file."""

    polyps: PolypSettings = PolypSettings(count=(0, 0))
    diverticula: DiverticulumSettings = DiverticulumSettings()
    fluid: FluidSettings = FluidSettings()
    stool: StoolSettings = StoolSettings()
    stains: StainSettings = StainSettings()
    position: Option[Position] = Field(
        "left-lateral", description="how the patient lies; fluid gathers in the lowest place"
    )


class MotilitySettings(Settings):
    """How the colon moves by itself."""

    frames_per_second: Distribution = Field(
        (25.0, 30.0), description="of the video; turns speeds into movement per frame"
    )
    rings_per_metre: Distribution = Field(
        (1.0, 4.0), description="travelling rings of contraction along the colon; own choice"
    )
    ring_speed_mm: Distribution = Field(
        (5.0, 25.0),
        description="speed of a ring, mm/s; high-amplitude propagating contractions run at about "
        "10 mm/s, cyclic ones mostly backwards (Dinning et al. 2014)",
    )
    backward_share: Distribution = Field(
        (0.3, 0.7), description="share of rings that run towards the caecum; most cyclic ones do"
    )
    ring_width_mm: Distribution = Field(
        (12.0, 35.0), description="half length of a ring along the colon, mm; own choice"
    )
    ring_depth: Distribution = Field(
        (0.1, 0.5), description="narrowing by a ring, share of the radius; own choice"
    )
    haustral_depth: Distribution = Field(
        (0.02, 0.12), description="narrowing by single haustra, share of the radius; own choice"
    )
    haustral_per_minute: Distribution = Field(
        (2.0, 6.0), description="haustral and cyclic contractions come 2 to 6 times a minute"
    )
    inflation: Distribution = Field(
        (0.0, 0.08), description="change of calibre by gas in and out, share; own choice"
    )
    inflation_s: Distribution = Field(
        (6.0, 20.0), description="time of one change of calibre, s; own choice"
    )
    breathing_mm: Distribution = Field(
        (0.2, 1.5),
        description="sway by breathing against the scope, mm; the scope follows most of it; own "
        "choice",
    )
    breaths_per_minute: Distribution = Field((10.0, 20.0), description="adult at rest")
    heartbeat_mm: Distribution = Field((0.0, 0.3), description="sway by the pulse, mm; own choice")
    beats_per_minute: Distribution = Field((55.0, 100.0), description="adult at rest")
    least_calibre: float = Field(
        0.45, ge=0.3, le=0.95, description="the radius never falls below this share of rest"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "MotilitySettings":
        check_ends(self, _MOTILITY)
        return self


_MOTILITY: dict[str, tuple[float, float]] = {
    "frames_per_second": (1.0, 240.0),
    "rings_per_metre": (0.0, 12.0),
    "ring_speed_mm": (0.0, 60.0),
    "backward_share": (0.0, 1.0),
    "ring_width_mm": (8.0, 120.0),
    "ring_depth": (0.0, 0.7),
    "haustral_depth": (0.0, 0.3),
    "haustral_per_minute": (0.0, 12.0),
    "inflation": (0.0, 0.12),
    "inflation_s": (1.0, 600.0),
    "breathing_mm": (0.0, 4.0),
    "breaths_per_minute": (4.0, 40.0),
    "heartbeat_mm": (0.0, 1.0),
    "beats_per_minute": (30.0, 200.0),
}

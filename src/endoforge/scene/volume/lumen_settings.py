# SPDX-License-Identifier: Apache-2.0
"""What can be told about the search for a way through the gas of a CT."""

from typing import Literal

from pydantic import Field

from endoforge.settings import Settings


class LumenSettings(Settings):
    """Which gas-filled lumen is travelled, and how its centre line is found."""

    kind: Literal["colon", "airway", "stomach", "bowel"] = Field(
        "colon", description="which gas; see scene/volume/gas_rules.py for how it is told apart"
    )
    branch: Literal["deepest", "left", "right"] = Field(
        "deepest", description="of an airway: where the way from the trachea leads to"
    )
    least_confidence: float = Field(
        0.5, ge=0, le=1, description="gas whose kind is less sure is left out; own choice"
    )
    least_mm: float = Field(
        40.0, ge=10, le=1000, description="shorter pieces of lumen are left out, mm; own choice"
    )
    stitch_mm: float = Field(
        15.0,
        ge=0,
        le=60,
        description="collapsed gaps up to this length are bridged, mm; there the line has radius "
        "0, so that no camera passes; own choice",
    )
    loops: Literal["cut", "refuse"] = Field(
        "cut", description="where two loops' gas merges through a thin wall: close it, or refuse"
    )
    widest_window: float = Field(
        0.66,
        gt=0,
        le=1,
        description="a merger wider than this share of the lumen is refused: the way would be a "
        "guess; own choice",
    )
    wall_hu: int = Field(
        -500, ge=-900, le=-200, description="level of the wall, HU; half-way from gas to tissue"
    )

# SPDX-License-Identifier: Apache-2.0
"""What a measurement of realism can be told; imports no tensor library."""

from pydantic import Field

from endoforge.settings import Settings


class RealismSettings(Settings):
    """Which pictures are compared."""

    count: int = Field(
        250, ge=6, le=100_000, description="pictures of each set, evenly spread; both sets as many"
    )
    crop: float = Field(
        0.7,
        gt=0,
        le=1,
        description="side of the middle square that is looked at, share of the shorter side: "
        "borders, corners and dates are left out; own choice",
    )
    height: int = Field(
        0,
        ge=0,
        description="shorter side that larger pictures are reduced to before all else, px; 0 for "
        "none: pictures of different size then differ by their sharpness alone",
    )
    neighbours: int = Field(5, ge=1, description="k of density and coverage; Naeem et al. 2020")
    seed: int = Field(0, ge=0, description="of the kernel distance's subsets and of the halves")

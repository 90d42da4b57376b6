# SPDX-License-Identifier: Apache-2.0
"""What can be told to a transfer function: which one, mixed with which, and how far from it."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from endoforge.distributions import Distribution, LogUniform, Option, Spread, check_ends
from endoforge.settings import Settings

#: The shipped transfer functions; the files are in `endoforge/recipes/transfer`.
PresetName = Literal[
    "airway", "angiography", "bone", "colon-lumen", "liver-vessels", "skin", "soft-tissue"
]

_LIMITS = {
    "blend": (0.0, 1.0),
    "hu_shift": (-300.0, 300.0),
    "extinction": (0.01, 100.0),
    "brightness": (0.1, 3.0),
    "organ_brightness": (0.1, 3.0),
    "hue_deg": (-180.0, 180.0),
    "saturation": (0.0, 3.0),
    "roughness": (0.1, 10.0),
    "f0": (0.0, 20.0),
    "surfaces": (0.05, 20.0),
    "steepness": (0.05, 20.0),
}


class TransferSettings(Settings):
    """From Hounsfield units to light, and how much that differs from sequence to sequence.

    Factors of 1, shifts of 0 and a hue of 0 leave the chosen transfer function as it is.
    """

    preset: Option[PresetName] = Field("soft-tissue", description="a shipped transfer function")
    file: Path | None = Field(
        None, description="a JSON file with another one, in place of the preset"
    )
    blend_with: Option[PresetName] | None = Field(
        None, description="a second shipped one that is mixed in"
    )
    blend: Distribution = Field((0.0, 1.0), description="share of the second one, 0 to 1")
    organs: bool = Field(
        True, description="segmented organs have their own looks, as far as the function names them"
    )
    hu_shift: Distribution = Field(
        (-15.0, 15.0),
        description="moves the curve up the Hounsfield scale, HU; own choice within what tube "
        "voltage and contrast shift soft tissue by",
    )
    extinction: Distribution = Field(
        LogUniform(log_uniform=(0.7, 1.4)),
        description="factor of the extinction: below 1 tissue is clearer; own choice",
    )
    brightness: Distribution = Field((0.85, 1.1), description="factor of the albedo; own choice")
    organ_brightness: Spread = Field(
        (0.92, 1.08), description="further factor for each organ by itself; own choice"
    )
    hue_deg: Distribution = Field(
        (-8.0, 8.0), description="turns colours from red towards yellow, degrees; own choice"
    )
    saturation: Distribution = Field(
        (0.85, 1.15), description="distance of the albedo from grey, times this; own choice"
    )
    roughness: Distribution = Field(
        LogUniform(log_uniform=(0.7, 1.4)), description="factor of the roughness; own choice"
    )
    f0: Distribution = Field((0.9, 1.3), description="factor of the reflectance; own choice")
    anisotropy: Distribution | None = Field(
        None,
        description="mean cosine of scattering, in place of the transfer function's; tissue "
        "scatters forward, 0.7 to 0.95 (Cheong 1990), which costs time: many more scatterings",
    )
    surfaces: Distribution = Field(
        LogUniform(log_uniform=(0.7, 1.4)),
        description="factor of the steepness from which HU act as a surface; own choice",
    )

    steepness: Distribution = Field(
        LogUniform(log_uniform=(0.7, 1.4)),
        description="factor of the steepness from which HU stop light in full, for transfer "
        "functions with a ramp over the gradient; own choice",
    )
    gradient_floor: Distribution | None = Field(
        None,
        description="share of the extinction that is left where HU are even, 0 to 1, in place of "
        "the transfer function's; only for those with a ramp over the gradient",
    )

    @model_validator(mode="after")
    def _plausible(self) -> "TransferSettings":
        """Refuse what no tissue can be."""
        limits = dict(_LIMITS)
        if self.anisotropy is not None:
            limits["anisotropy"] = (-0.95, 0.95)
        if self.gradient_floor is not None:
            limits["gradient_floor"] = (0.0, 1.0)
        check_ends(self, limits)
        return self

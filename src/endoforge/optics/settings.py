# SPDX-License-Identifier: Apache-2.0
"""What can be told to light, tissue and sensor."""

from pydantic import Field

from endoforge.distributions import Distribution, Spread
from endoforge.settings import Settings


class LightSettings(Settings):
    """The small sources beside the lens of the scope."""

    sources: int = Field(3, ge=1, le=4, description="number of light sources around the lens")
    offset_mm: Spread = Field(
        (2.0, 4.0), description="distance of each source from the optical axis, mm"
    )
    mu: Distribution = Field(
        (1.0, 2.5), description="narrowness of the beam: exp(-mu (1 - cos angle)), no unit"
    )
    intensity: Distribution = Field(
        (2000.0, 3600.0),
        description="radiant intensity of all sources together, sensor units times mm² per sr",
    )
    balance: Spread = Field(
        (0.7, 1.3), description="strength of one source relative to an equal share, no unit"
    )
    warmth: Distribution = Field(
        (-0.08, 0.08), description="red gained and blue lost by a warmer lamp, as a fraction"
    )


class TissueSettings(Settings):
    """How mucosa looks. Colours are linear RGB fractions of the light that comes back."""

    red: Distribution = Field((0.56, 0.76), description="albedo of the mucosa in red")
    green_of_red: Distribution = Field((0.22, 0.42), description="green albedo, share of red")
    blue_of_green: Distribution = Field((0.38, 0.76), description="blue albedo, share of green")
    coarse_vessels: Distribution = Field(
        (0.15, 0.70), description="absorption of the deep, bluish vessels, 0 to 1"
    )
    fine_vessels: Distribution = Field(
        (0.35, 0.95), description="absorption of the shallow, red vessels, 0 to 1"
    )
    mottling: Distribution = Field((0.03, 0.14), description="depth of the blotches, 0 to 1")
    relief: Distribution = Field(
        (0.03, 0.12), description="root mean square slope of the fine relief, mm per mm"
    )
    roughness: Distribution = Field(
        (0.028, 0.075), description="GGX roughness (alpha) of the wet film, 0 to 1"
    )
    refraction: Distribution = Field((1.33, 1.45), description="refractive index of the wet film")
    softness: Distribution = Field(
        (0.35, 0.8), description="how far red light creeps past the terminator, cosine units"
    )
    edge_glow: Distribution = Field(
        (0.3, 1.0), description="how much brighter tissue is at grazing view, where light leaks out"
    )
    interreflection: Distribution = Field(
        (0.25, 0.5), description="share of once-reflected light that reaches the wall again"
    )
    tile_mm: Distribution = Field((52.0, 76.0), description="period of the vessel pattern, mm")
    textures: int = Field(
        8, ge=1, le=1024, description="number of different vessel patterns to choose from"
    )


class SensorSettings(Settings):
    """From scene-linear radiance to the picture on the screen."""

    gain: Distribution = Field((0.85, 1.2), description="sensor value per unit of radiance")
    gamma: Distribution = Field((2.1, 2.3), description="exponent of the display's response")
    shoulder: Distribution = Field(
        (0.5, 0.7), description="sensor value above which highlights are compressed, 0 to 1"
    )
    metering: Distribution = Field(
        (0.4, 0.8),
        description="how much of a brightness error automatic exposure corrects: 0 none, 1 all",
    )
    target: Distribution = Field(
        (0.22, 0.32), description="mean linear value that automatic exposure aims at, 0 to 1"
    )
    blur_px: Distribution = Field(
        (0.4, 0.8), description="standard deviation of the lens's point spread, px"
    )

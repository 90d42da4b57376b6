# SPDX-License-Identifier: Apache-2.0
"""What can be told to light, tissue and sensor."""

from typing import Literal

from pydantic import Field, model_validator

from endoforge.distributions import Distribution, Spread, check_ends
from endoforge.settings import Settings

_OFF = (0.0, 0.0)

#: What lies in a surface: its vessels, grain and relief; see `optics.patterns`.
Pattern = Literal[
    "mucosa",
    "liver",
    "fat",
    "serosa",
    "peritoneum",
    "fibrous",
    "round pits",
    "tubular pits",
    "gyrus pits",
    "stool",
    "fluid",
    "brushed",
    "plain",
]


class PlacedSource(Settings):
    """One source at a stated place, in the camera frame: x right, y down, z forward."""

    x_mm: Spread = Field(_OFF, description="to the right of the lens's centre, mm")
    y_mm: Spread = Field(_OFF, description="below the lens's centre, mm")
    z_mm: Spread = Field(_OFF, description="in front of the lens's centre, mm; negative is behind")
    axis: tuple[float, float, float] = Field(
        (0.0, 0.0, 1.0), description="direction of the beam; its length does not matter"
    )
    mu: Distribution | None = Field(
        None, description="narrowness of this beam; as for all sources if not given"
    )
    share: Spread = Field((1.0, 1.0), description="strength relative to an equal share, no unit")
    kelvin: Distribution | None = Field(
        None, description="colour temperature of this source, K; as for all if not given"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "PlacedSource":
        """Refuse a beam without a direction."""
        if not any(self.axis):
            raise ValueError(f"a beam's axis needs a direction, got {self.axis}")
        check_ends(self, {"share": (0, 100)} | {f"{k}_mm": (-500, 500) for k in "xyz"})
        return self


class LightSettings(Settings):
    """The small sources beside the lens of the scope: a ring, or a list of places."""

    sources: int = Field(3, ge=1, le=4, description="number of light sources around the lens")
    offset_mm: Spread = Field(
        (2.0, 4.0), description="distance of each source from the optical axis, mm"
    )
    behind_mm: Spread = Field(_OFF, description="how far behind the lens each source lies, mm")
    tilt_deg: Spread = Field(
        _OFF, description="how far each beam leans away from the optical axis, degrees"
    )
    placed: tuple[PlacedSource, ...] = Field(
        (), max_length=4, description="sources at stated places, instead of the ring"
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
    kelvin: Distribution = Field((6500.0, 6500.0), description="colour temperature of the lamp, K")
    white_kelvin: Distribution = Field(
        (6500.0, 6500.0), description="colour temperature that the camera is balanced for, K"
    )
    warmth: Distribution = Field(
        (-0.08, 0.08), description="red gained and blue lost by a warmer lamp, as a fraction"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "LightSettings":
        """Refuse lamps that cannot be."""
        check_ends(
            self,
            {"kelvin": (1500, 25_000), "white_kelvin": (1500, 25_000), "warmth": (-0.9, 0.9)}
            | {"mu": (0, 100), "intensity": (0, 1e9), "balance": (0, 100)}
            | {"offset_mm": (0, 500), "behind_mm": (-100, 500), "tilt_deg": (-90, 90)},
        )
        return self


class TissueSettings(Settings):
    """How a surface looks, mucosa unless told otherwise; other organs are in `optics.organs`.

    Colours are linear RGB fractions of the light that comes back.
    """

    pattern: Pattern = Field("mucosa", description="kind of vessels, grain and relief")
    red: Distribution = Field((0.56, 0.76), description="albedo in red")
    green_of_red: Distribution = Field(
        (0.19, 0.34),
        description="green albedo, share of red; HyperKvasir's mucosa has 0.19 to 0.35",
    )
    blue_of_green: Distribution = Field(
        (0.34, 0.65), description="blue albedo, share of green; HyperKvasir: 0.31 to 0.64"
    )
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
    wetness: Distribution = Field(
        (0.2, 0.6), description="how unevenly the film lies: 0 even, 1 from pools to dry patches"
    )
    refraction: Distribution = Field((1.33, 1.45), description="refractive index of the wet film")
    reflectance: Distribution | None = Field(
        None, description="share of light that the surface reflects when hit squarely, for metals"
    )
    film_colour: tuple[float, float, float] = Field(
        (1.0, 1.0, 1.0), description="colour of that reflection, linear RGB; white but for metals"
    )
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
        8, ge=1, le=1024, description="number of different patterns to choose from"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "TissueSettings":
        """Refuse what no surface can be."""
        shares = ("red", "coarse_vessels", "fine_vessels", "mottling", "wetness", "interreflection")
        check_ends(
            self,
            {name: (0, 1) for name in shares}
            | {"green_of_red": (0, 5), "blue_of_green": (0, 5), "relief": (0, 1)}
            | {"roughness": (0.005, 1), "refraction": (1, 3), "softness": (0, 1)}
            | {"edge_glow": (0, 5), "tile_mm": (1, 1000)}
            | ({} if self.reflectance is None else {"reflectance": (0, 1)}),
        )
        return self


class SensorSettings(Settings):
    """From scene-linear radiance to the picture on the screen. 0 switches a fault off."""

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
    corner_blur_px: Distribution = Field(
        _OFF, description="standard deviation of further blur in the corners, px"
    )
    vignetting: Distribution = Field(
        _OFF,
        description="power k of cos(angle to the axis) by which light falls off; 4 is a bare lens",
    )
    fringe_px: Distribution = Field(
        _OFF, description="distance of red and of blue from green in the corners, px"
    )
    edge_px: Distribution = Field(
        _OFF, description="width over which the edge of the lit area fades to black, px"
    )
    glare: Distribution = Field(
        _OFF, description="share of the light that the optics scatter over the picture, 0 to 1"
    )
    dirt: Distribution = Field(_OFF, description="opacity of smears on the lens, 0 to 1")
    fog: Distribution = Field(_OFF, description="opacity of condensation on the lens, 0 to 1")
    smoke: Distribution = Field(_OFF, description="opacity of cautery smoke, 0 to 1")
    shot_noise: Distribution = Field(
        _OFF, description="noise of the light at white, standard deviation in sensor values"
    )
    read_noise: Distribution = Field(
        _OFF, description="noise of the read-out, standard deviation in sensor values"
    )
    saturation: Distribution = Field(
        (1.0, 1.0),
        description="distance of colours from grey, times this; 1 leaves them as they are",
    )
    sharpening: Distribution = Field(
        _OFF, description="share of the unsharp mask that the processor adds"
    )
    sharpening_px: Distribution = Field(
        (1.0, 1.0), description="standard deviation of the unsharp mask's blur, px"
    )
    jpeg_quality: Distribution = Field(
        _OFF, description="JPEG quality as libjpeg counts, 1 to 100; 0 for no JPEG"
    )
    h264_quantiser: Distribution = Field(
        _OFF, description="constant quantiser of an H.264 key frame, 1 to 51; 0 for no H.264"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "SensorSettings":
        """Refuse what no stage of the chain can do."""
        check_ends(
            self,
            {name: (0, 1) for name in ("metering", "glare", "dirt", "fog", "smoke")}
            | {name: (0, 30) for name in ("blur_px", "corner_blur_px", "edge_px")}
            | {"gamma": (0.2, 5), "shoulder": (0, 0.99), "target": (0, 1), "gain": (0, 1e6)}
            | {"vignetting": (0, 12), "fringe_px": (-20, 20)}
            | {"shot_noise": (0, 1), "read_noise": (0, 1), "saturation": (0, 3)}
            | {"sharpening": (0, 5), "sharpening_px": (0.2, 10)}
            | {"jpeg_quality": (0, 100), "h264_quantiser": (0, 51)},
        )
        return self

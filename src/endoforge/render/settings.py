# SPDX-License-Identifier: Apache-2.0
"""What can be told about how light travels: reflections between walls, aperture and shutter."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from endoforge.distributions import Distribution, check_ends
from endoforge.settings import Settings


def _yaml_off(value: Any) -> Any:
    """YAML reads a bare ``off`` as false."""
    return "off" if value is False else value


DenoiseMethod = Annotated[Literal["guided", "oidn", "off"], BeforeValidator(_yaml_off)]


class TransportSettings(Settings):
    """Light that reaches the eye over several walls, and the blur of a real lens and shutter.

    All of it shapes the colour image only: labels stay those of each pixel's sharp centre ray at
    the frame's own time.
    """

    bounces: int = Field(
        0,
        ge=0,
        le=32,
        description="most walls that light may visit before the one in view; 0 imitates "
        "inter-reflection cheaply instead; own choice: 4 leaves out about 1 % of a pink lumen's "
        "indirect light",
    )
    samples: int = Field(
        4, ge=1, le=4096, description="paths per pixel, when bounces are above 0; own choice"
    )
    denoise: DenoiseMethod = Field(
        "guided",
        description="how the indirect light is smoothed: guided by depth and normals (own filter), "
        "oidn (needs the extra `denoise`), or off",
    )
    aperture_mm: Distribution = Field(
        (0.0, 0.0),
        description="diameter of the entrance pupil, mm: focal length / f-number; 0 is sharp "
        "everywhere; 1.2 mm at f/8 gives 0.15; own choice",
    )
    focus_mm: Distribution = Field(
        (20.0, 20.0),
        description="distance in focus, mm: along the axis for a pinhole lens, from the lens for "
        "any other; own choice within the 3 to 100 mm that makers state for colonoscopes",
    )
    shutter: Distribution = Field(
        (0.0, 0.0),
        description="how long the shutter is open, as a share of the time between two frames, "
        "centred on the frame's own time; 0 freezes all motion; own choice",
    )
    subsamples: int = Field(
        16, ge=2, le=1024, description="places in lens and shutter per pixel when either blurs"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "TransportSettings":
        check_ends(self, _PLAUSIBLE)
        return self


_PLAUSIBLE: dict[str, tuple[float, float]] = {
    "aperture_mm": (0.0, 5.0),
    "focus_mm": (1.0, 1000.0),
    "shutter": (0.0, 1.0),
}

# SPDX-License-Identifier: Apache-2.0
"""How long a volume picture is exposed, and how its noise is smoothed."""

from typing import Any, Literal

from pydantic import Field, model_validator

from endoforge.render.settings import DenoiseMethod
from endoforge.settings import Settings

#: What a volume's depth can mean; docs/concepts/volume-labels.md has the formulas.
DepthRule = Literal["half", "expected", "first"]

#: Samples of a picture for which nothing was asked.
USUAL_SAMPLES = 16

_RULES = ("samples", "noise", "seconds")


class QualitySettings(Settings):
    """When enough light has been gathered: exactly one of `samples`, `noise` and `seconds`.

    With none of the three it is 16 samples. All of it shapes the colour image only: labels come
    from a pass of their own, without noise, and are never denoised.
    """

    samples: int | None = Field(
        None, ge=1, le=1 << 20, description="paths per pixel; 16 when nothing else is asked for"
    )
    noise: float | None = Field(
        None,
        ge=1e-4,
        le=1.0,
        description="root mean square, over pixels and colours, of the standard error of the "
        "displayed value (0 black, 1 white) before denoising: 0.1 is 20 dB, 0.05 is 26 dB",
    )
    seconds: float | None = Field(
        None,
        gt=0,
        le=86400,
        description="time per frame for the picture with its denoising, without labels, s; the "
        "only rule whose pictures differ from run to run",
    )
    max_samples: int = Field(
        4096,
        ge=1,
        le=1 << 20,
        description="most paths per pixel under `noise` and `seconds`; own choice",
    )
    progressive: bool = Field(
        False,
        description="expose in passes of 1, 1, 2, 4, 8... samples, for a preview that gets better "
        "while it is watched; costs time, and other random numbers are drawn",
    )
    max_bounces: int = Field(
        16,
        ge=1,
        le=1024,
        description="collisions after which a path ends, so that light beyond is lost; 1 is light "
        "straight from the lamps; own choice",
    )
    denoise: DenoiseMethod = Field(
        "guided",
        description="how the picture is smoothed: guided by albedo, normals, depth and opacity "
        "(own filter), oidn (Intel's network; needs the extra `denoise`), or off",
    )
    limit_fireflies: bool = Field(
        True,
        description="bring single pixels that outshine all around them down before smoothing, "
        "which darkens the picture a little; nothing is limited when denoise is off",
    )

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, values: Any) -> Any:
        if isinstance(values, dict) and all(values.get(rule) is None for rule in _RULES):
            return {**values, "samples": USUAL_SAMPLES}
        return values

    @model_validator(mode="after")
    def _one_rule(self) -> "QualitySettings":
        given = {rule: getattr(self, rule) for rule in _RULES}
        given = {rule: value for rule, value in given.items() if value is not None}
        if len(given) > 1:
            named = " and ".join(f"{rule} {value:g}" for rule, value in given.items())
            raise ValueError(
                f"give exactly one of samples, noise and seconds, got {named}; leave out the others"
            )
        return self

# SPDX-License-Identifier: Apache-2.0
"""What can be told about the lens, and about the second eye of a stereo scope."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from endoforge.distributions import Distribution, check_ends, ends_of
from endoforge.settings import Settings, keys_of

Width = Annotated[int, Field(ge=16, le=4096, description="image width, px")]
Height = Annotated[int, Field(ge=16, le=4096, description="image height, px")]


class StereoSettings(Settings):
    """A second eye to the right of the first."""

    baseline_mm: Distribution = Field(
        (5.0, 5.0), description="distance between the eyes, mm; da Vinci scopes have about 5"
    )
    convergence_deg: Distribution = Field(
        (0.0, 0.0), description="turn of the right eye towards the left one's axis; 0 is rectified"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "StereoSettings":
        check_ends(self, {"baseline_mm": (0.1, 50.0), "convergence_deg": (-10.0, 20.0)})
        return self


class LensSettings(Settings):
    """What all lenses can be told."""

    content_radius: Distribution = Field(
        (0.0, 0.0),
        description="radius of the round picture, share of half the height; 0 fills the image",
    )
    corner_cut: Distribution = Field(
        (0.0, 0.0),
        description="how much of each corner the processor blacks out at 45 degrees, share of half "
        "the height; 0 for none",
    )
    stereo: StereoSettings | None = Field(None, description="a second eye; none for one eye")

    @model_validator(mode="after")
    def _round(self) -> "LensSettings":
        check_ends(self, {"corner_cut": (0.0, 1.5)})
        low, high = ends_of(self.content_radius)
        if high and not 0.2 <= low <= high <= 2.0:
            raise ValueError(
                f"content_radius must be 0 or lie within 0.2 to 2, got {low} to {high}"
            )
        return self


class FisheyeSettings(LensSettings):
    """A wide lens, Kannala-Brandt, principal point in the middle."""

    model: Literal["fisheye"] = "fisheye"
    width: Width = 320
    height: Height = 256
    diagonal_deg: Distribution = Field(
        (140.0, 140.0), description="field of view from corner to corner"
    )
    distortion: tuple[float, float, float, float] = Field(
        (0.0, 0.0, 0.0, 0.0), description="Kannala-Brandt k1 to k4; all 0 is equidistant"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "FisheyeSettings":
        check_ends(self, {"diagonal_deg": (10.0, 220.0)})
        return self


class PinholeSettings(LensSettings):
    """A narrow lens, Brown-Conrady, principal point in the middle."""

    model: Literal["pinhole"] = "pinhole"
    width: Width = 320
    height: Height = 256
    horizontal_deg: Distribution = Field(
        (90.0, 90.0), description="field of view from left to right"
    )
    distortion: tuple[float, float, float, float, float] = Field(
        (0.0, 0.0, 0.0, 0.0, 0.0), description="Brown-Conrady k1, k2, p1, p2, k3 (OpenCV's order)"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "PinholeSettings":
        check_ends(self, {"horizontal_deg": (5.0, 170.0)})
        return self


class OmnidirectionalSettings(LensSettings):
    """A wide lens, Scaramuzza's polynomial, principal point in the middle."""

    model: Literal["omnidirectional"] = "omnidirectional"
    width: Width = 320
    height: Height = 256
    diagonal_deg: Distribution = Field(
        (140.0, 140.0), description="field of view from corner to corner"
    )
    shape: tuple[float, float, float, float] = Field(
        (0.0, -0.25, 0.0, 0.0),
        description="a1 to a4 for a focal length of 1; a2 = -0.25 alone is stereographic",
    )

    @model_validator(mode="after")
    def _plausible(self) -> "OmnidirectionalSettings":
        check_ends(self, {"diagonal_deg": (10.0, 220.0)})
        return self


class CameraFileSettings(LensSettings):
    """A calibrated camera from a JSON file."""

    file: Path = Field(description="camera file as docs/reference/camera-file.md describes it")


def _camera_kind(value: Any) -> str | None:
    keys = keys_of(value)
    if keys is None:
        return None
    return "(file)" if "file" in keys else f"({keys.get('model', 'fisheye')})"


CameraSettings = Annotated[
    Annotated[FisheyeSettings, Tag("(fisheye)")]
    | Annotated[OmnidirectionalSettings, Tag("(omnidirectional)")]
    | Annotated[PinholeSettings, Tag("(pinhole)")]
    | Annotated[CameraFileSettings, Tag("(file)")],
    Discriminator(_camera_kind),
]

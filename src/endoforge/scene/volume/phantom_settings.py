# SPDX-License-Identifier: Apache-2.0
"""What can be told about a synthetic CT: the build, the contrast, the colon and the scanner."""

from typing import Literal

from pydantic import Field, model_validator

from endoforge.distributions import Count, Distribution, Option, Spread, check_ends
from endoforge.settings import Settings


class ScannerSettings(Settings):
    """How the scanner blurs, and how noisy the patient comes out."""

    kernel: Option[Literal["soft", "sharp"]] = Field(
        "soft", description="reconstruction kernel: soft tissue (B30f and like) or bone (B60f)"
    )
    noise_hu: Distribution = Field(
        (8.0, 20.0),
        description="standard deviation in soft tissue, HU; 8 to 15 in portal-venous scans, up to "
        "30 at the low dose of CT colonography",
    )
    slice_mm: Distribution = Field(
        (1.25, 2.5), description="slice thickness (width at half height of the profile), mm"
    )
    streaks: Distribution = Field(
        (0.0, 1.0), description="strength of dark bands between dense bones, 0 none; own choice"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "ScannerSettings":
        limits = {"noise_hu": (0.0, 100.0), "slice_mm": (0.3, 10.0), "streaks": (0.0, 3.0)}
        check_ends(self, limits)
        return self


class PhantomSettings(Settings):
    """A synthetic CT of an abdomen; every distribution is drawn from once per phantom."""

    voxels: int = Field(256, ge=48, le=512, description="voxels along each axis")
    extent_mm: float = Field(
        358.4, ge=300, le=500, description="edge of the cube that is scanned, mm"
    )
    half_width_mm: Distribution = Field(
        (148.0, 164.0), description="half the width of the body at the navel, mm; own choice"
    )
    half_depth_mm: Distribution = Field(
        (110.0, 130.0), description="half the depth of the body at the navel, mm; own choice"
    )
    skin_fat_mm: Distribution = Field(
        (10.0, 26.0), description="fat under the skin in front, mm; 10 to 30 on abdominal CT"
    )
    contrast: Option[Literal["portal-venous", "none"]] = Field(
        "portal-venous", description="contrast in the blood, about 70 s after injection, or none"
    )
    colon_tortuosity: Distribution = Field(
        (0.4, 0.9), description="size of the colon's bends, as in a drawn colon"
    )
    colon_calibre: Distribution = Field(
        (0.85, 1.05), description="multiplies the segments' radii of a colon filled with gas"
    )
    fold_thickness_mm: Distribution = Field(
        (1.1, 2.2),
        description="width of a fold's flank, mm; folds come out 2 to 6 mm thick, as on CT",
    )
    polyps: Count = Field((0, 4), description="fewest and most polyps")
    polyp_mm: Spread = Field((6.0, 14.0), description="width of a polyp, mm; CT shows those from 6")
    fluid_pools: Count = Field((0, 4), description="fewest and most pools of fluid in the colon")
    fluid_depth_mm: Distribution = Field(
        (5.0, 14.0), description="depth of each pool, mm; own choice"
    )
    scanner: ScannerSettings = ScannerSettings()

    @model_validator(mode="after")
    def _plausible(self) -> "PhantomSettings":
        check_ends(self, _PLAUSIBLE)
        for name, most in (("polyps", 50), ("fluid_pools", 20)):
            low, high = getattr(self, name)
            if not 0 <= low <= high <= most:
                raise ValueError(f"{name} must lie within 0 to {most}, got {(low, high)}")
        return self


#: Outer limits of the ranges.
_PLAUSIBLE: dict[str, tuple[float, float]] = {
    "half_width_mm": (130.0, 200.0),
    "half_depth_mm": (90.0, 150.0),
    "skin_fat_mm": (4.0, 50.0),
    "colon_tortuosity": (0.0, 1.5),
    "colon_calibre": (0.6, 1.4),
    "fold_thickness_mm": (0.8, 4.0),
    "fluid_depth_mm": (1.0, 30.0),
    "polyp_mm": (1.0, 30.0),
}

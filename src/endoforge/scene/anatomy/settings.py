# SPDX-License-Identifier: Apache-2.0
"""What can be told about the anatomy: a drawn colon, a segmented one, or a surface mesh.

The ranges of the drawn colon are those of an insufflated adult colon; each description names what
the range rests on. "Own choice" means that it was set by eye against colonoscopy pictures.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from endoforge.distributions import Count, Distribution, Option, check_ends
from endoforge.scene.anatomy.findings_settings import (
    Additions,
    DiverticulumSettings,
    FluidSettings,
    MotilitySettings,
    PolypSettings,
    Position,
    StainSettings,
    StoolSettings,
)
from endoforge.settings import Interval, Settings, check_ranges, keys_of


class ColonSettings(Settings):
    """A colon drawn from rules; every range is drawn from once per colon."""

    length_mm: float = Field(500.0, ge=120, le=2500, description="length of the piece built, mm")
    total_length_mm: Distribution = Field(
        (1300.0, 2100.0),
        description="length of the whole colon the piece is cut from, mm; CT colonography: "
        "1895 ± 263 (Khashab 2009), 1503 ± 185 (Utano 2022)",
    )
    segment: Option[
        Literal["any", "rectum", "sigmoid", "descending", "transverse", "ascending", "caecum"]
    ] = Field("any", description="which part the piece shows; a longer piece runs on beside it")
    start: Distribution = Field(
        (0.0, 1.0),
        description="where the piece begins, 0 the anus to 1 the caecum, within the segment if one "
        "is named; held back so that it fits",
    )
    calibre: Distribution = Field(
        (0.85, 1.12),
        description="multiplies the segments' radii (14.5 mm sigmoid to 26.5 mm caecum; the "
        "unprepared ascending colon is 46 mm wide and the descending one 29 mm in CT)",
    )
    calibre_variation: Distribution = Field(
        (0.03, 0.10), description="slow change of the radius along the colon, share; own choice"
    )
    tortuosity: Distribution = Field(
        (0.6, 1.2),
        description="size of the bends, 1 about 12 mm off the course every 12 cm; Khashab 2009 "
        "counts 10.9 ± 2.4 acute bends per colon",
    )
    fold_spacing_mm: Interval = Field(
        (15.0, 35.0), description="between folds of one row, mm; haustra are 2 to 4 cm long"
    )
    fold_height: Distribution = Field(
        (0.25, 0.36),
        description="free edge above the wall as a share of the radius, before each segment's own "
        "factor (0.85 descending, 1.2 transverse, 1.4 ascending); from the pouches' ground that "
        "gives 5.6, 8.5 and 11.7 mm, where Thompson 2016 measured 6.5, 9.5 and 14.6 mm",
    )
    fold_thickness_mm: Distribution = Field(
        (1.1, 1.9), description="how far a fold's flank runs out, mm; folds are 2 to 3 mm thick"
    )
    haustral_bulge: Distribution = Field(
        (0.08, 0.18), description="depth of the pouches as a share of the radius; own choice"
    )
    taenia_width_mm: Distribution = Field(
        (6.0, 11.0), description="width of the three bands, mm; taeniae are about 10 mm wide"
    )
    taenia_relief_mm: Distribution = Field(
        (0.3, 1.2), description="how far a taenia stands into the lumen, mm; own choice"
    )
    relief_mm: Distribution = Field(
        (0.08, 0.22), description="unevenness of the mucosa between 4 and 15 mm, mm; own choice"
    )
    houston_valves: Count = Field(
        (2, 4), description="transverse folds of the rectum; usually three, two to four occur"
    )
    valve_width_mm: Distribution = Field(
        (22.0, 34.0), description="ileocaecal valve around the wall, mm; mean 28 in 88 adults"
    )
    valve_height_mm: Distribution = Field(
        (13.0, 21.0), description="ileocaecal valve along the wall, mm; mean 17 in 88 adults"
    )
    appendix_mm: Distribution = Field(
        (2.5, 6.0), description="width of the appendix's opening, mm; own choice"
    )
    polyps: PolypSettings = PolypSettings()
    diverticula: DiverticulumSettings = DiverticulumSettings()
    fluid: FluidSettings = FluidSettings()
    stool: StoolSettings = StoolSettings()
    stains: StainSettings = StainSettings()
    position: Option[Position] = Field(
        "left-lateral", description="how the patient lies; fluid gathers in the lowest place"
    )
    motility: MotilitySettings | None = Field(
        None, description="how the colon moves by itself; none if null"
    )
    axial_spacing_mm: float = Field(
        0.6, ge=0.2, le=0.7, description="mesh spacing along the colon, mm; coarser shows jags"
    )
    around_spacing_mm: float = Field(
        1.05, ge=0.3, le=3.0, description="mesh spacing around a 20 mm lumen, mm"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "ColonSettings":
        check_ends(self, _PLAUSIBLE)
        check_ranges(self, {"fold_spacing_mm": (10.0, 80.0)})
        if not 0 <= self.houston_valves[0] <= self.houston_valves[1] <= 6:
            raise ValueError(f"houston_valves must lie within 0 to 6, got {self.houston_valves}")
        return self


#: Outer limits of the ranges; beyond them the geometry stops being a colon.
_PLAUSIBLE: dict[str, tuple[float, float]] = {
    "total_length_mm": (800.0, 3000.0),
    "start": (0.0, 1.0),
    "calibre": (0.6, 1.5),
    "calibre_variation": (0.0, 0.25),
    "tortuosity": (0.0, 2.0),
    "fold_height": (0.0, 0.5),
    "fold_thickness_mm": (0.8, 5.0),
    "haustral_bulge": (0.0, 0.3),
    "taenia_width_mm": (2.0, 20.0),
    "taenia_relief_mm": (0.0, 3.0),
    "relief_mm": (0.0, 1.0),
    "valve_width_mm": (10.0, 40.0),
    "valve_height_mm": (6.0, 40.0),
    "appendix_mm": (1.0, 10.0),
}

#: The anatomy that is drawn when nothing else is asked for.
ProceduralAnatomy = ColonSettings


class MaskAnatomy(Settings):
    """A segmented colon: the gas-filled lumen as a binary NIfTI volume."""

    mask: Path = Field(description="NIfTI file (.nii or .nii.gz); voxels above 0 are lumen")
    resolution_mm: float = Field(
        1.5, ge=0.5, le=4, description="voxel size that the lumen is resampled to, mm"
    )
    smoothing: int = Field(12, ge=0, le=100, description="rounds of Taubin smoothing")
    triangles: int = Field(300_000, ge=1_000, le=2_000_000, description="most triangles to keep")
    additions: Additions = Additions()
    motility: MotilitySettings | None = Field(
        None, description="how the colon moves by itself; none if null"
    )


class MeshAnatomy(Settings):
    """A lumen surface from a mesh file."""

    mesh: Path = Field(description="closed lumen surface (.stl, .obj or .ply)")
    unit: Literal["mm", "cm", "m"] = Field(
        description="unit of the file's coordinates; the file does not say it, so you must"
    )
    additions: Additions = Additions()
    motility: MotilitySettings | None = Field(
        None, description="how the colon moves by itself; none if null"
    )


def _kind(value: Any) -> str | None:
    keys = keys_of(value)
    if keys is None:
        return None
    return "(mask)" if "mask" in keys else "(mesh)" if "mesh" in keys else "(drawn)"


AnatomySettings = Annotated[
    Annotated[ColonSettings, Tag("(drawn)")]
    | Annotated[MaskAnatomy, Tag("(mask)")]
    | Annotated[MeshAnatomy, Tag("(mesh)")],
    Discriminator(_kind),
]

# SPDX-License-Identifier: Apache-2.0
"""What can be told about a drawn upper abdomen. Lengths are those of adults.

"Own choice" means that it was set by eye against pictures of laparoscopic operations.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from endoforge.distributions import (
    Choice,
    Count,
    Distribution,
    LogUniform,
    Spread,
    check_ends,
)
from endoforge.settings import Settings, keys_of


class CavitySettings(Settings):
    """The space that the gas opens, between abdominal wall, diaphragm and floor."""

    width_mm: Distribution = Field(
        (250.0, 310.0), description="between the flanks, mm; own choice from CT of adults"
    )
    lift_mm: Distribution = Field(
        (85.0, 115.0),
        description="front wall above the middle of the body, mm; 12 to 15 mmHg of gas open 6 to "
        "10 cm above the organs",
    )
    depth_mm: Distribution = Field((70.0, 85.0), description="back wall below that middle, mm")
    height_mm: Distribution = Field(
        (310.0, 350.0), description="from the pelvic brim to the top of the diaphragm, mm"
    )
    head_up_deg: Distribution = Field(
        (10.0, 25.0), description="reverse Trendelenburg tilt, degrees; usual for the gallbladder"
    )
    left_down_deg: Distribution = Field((0.0, 15.0), description="tilt to the left, degrees")

    @model_validator(mode="after")
    def _plausible(self) -> "CavitySettings":
        limits = {
            "width_mm": (200.0, 400.0),
            "lift_mm": (60.0, 140.0),
            "depth_mm": (50.0, 120.0),
            "height_mm": (260.0, 420.0),
            "head_up_deg": (-30.0, 40.0),
            "left_down_deg": (-30.0, 30.0),
        }
        check_ends(self, limits)
        return self


class LiverSettings(Settings):
    """Size, shape and disease of the liver."""

    size: Distribution = Field(
        (0.92, 1.08),
        description="multiplies all lengths; 1 is 15 cm from dome to edge in the line of the "
        "gallbladder and 21 cm across (ultrasound: 13 to 16 cm)",
    )
    left_lobe: Distribution = Field((0.8, 1.2), description="size of the left lobe; own choice")
    edge_angle_deg: Distribution = Field(
        (36.0, 46.0), description="slope of the lower face behind the edge, degrees; own choice"
    )
    edge_wave_mm: Distribution = Field(
        (1.0, 5.0), description="ups and downs of the lower edge, mm; own choice"
    )
    notch_mm: Distribution = Field(
        (6.0, 18.0), description="depth of the notch of the round ligament, mm; own choice"
    )
    lift_deg: Distribution = Field(
        (0.0, 14.0), description="how far the edge is turned up, as by a retractor, degrees"
    )
    nodules_mm: Distribution = Field(
        Choice[float](choice=(0.0, 0.6, 1.4), weights=(6.0, 1.0, 1.0)),
        description="height of the nodules of cirrhosis, mm; micronodular below 3 mm across",
    )
    fat: Distribution = Field(
        (0.0, 0.6), description="fatty change, 0 red-brown to 1 yellow, by the tint; own choice"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "LiverSettings":
        limits = {
            "size": (0.7, 1.2),
            "left_lobe": (0.5, 1.5),
            "edge_angle_deg": (25.0, 60.0),
            "edge_wave_mm": (0.0, 10.0),
            "notch_mm": (0.0, 30.0),
            "lift_deg": (0.0, 25.0),
            "nodules_mm": (0.0, 3.0),
            "fat": (0.0, 1.0),
        }
        check_ends(self, limits)
        return self


class GallbladderSettings(Settings):
    """The gallbladder, its duct and artery, and the tissue that covers them."""

    length_mm: Distribution = Field(
        (70.0, 100.0), description="fundus to neck, mm; 7 to 10 cm (Gray's Anatomy)"
    )
    width_mm: Distribution = Field(
        (26.0, 40.0), description="largest width, mm; 3 to 5 cm distended (Gray's Anatomy)"
    )
    embedded: Distribution = Field(
        (0.35, 0.65), description="share of its thickness within the liver; own choice"
    )
    pouch: Distribution = Field((0.5, 1.2), description="size of Hartmann's pouch; own choice")
    inflammation: Distribution = Field(
        Choice[float](choice=(0.0, 0.35, 0.8), weights=(3.0, 2.0, 1.0)),
        description="0 thin and pale to 1 red and thick-walled, by relief and tint; own choice",
    )
    duct_length_mm: Distribution = Field(
        (20.0, 38.0), description="cystic duct, mm; 2 to 4 cm (Gray's Anatomy)"
    )
    duct_width_mm: Distribution = Field(
        (3.0, 6.0), description="cystic duct with its wall, mm; its lumen is 2 to 3 mm"
    )
    artery_width_mm: Distribution = Field(
        (1.6, 2.8), description="cystic artery with its wall, mm; own choice"
    )
    exposure: Distribution = Field(
        (0.0, 1.0),
        description="how far the hepatocystic triangle is dissected: 0 covered, 1 duct and "
        "artery bare",
    )

    @model_validator(mode="after")
    def _plausible(self) -> "GallbladderSettings":
        limits = {
            "length_mm": (45.0, 130.0),
            "width_mm": (18.0, 55.0),
            "embedded": (0.0, 0.8),
            "pouch": (0.0, 1.6),
            "inflammation": (0.0, 1.0),
            "duct_length_mm": (10.0, 60.0),
            "duct_width_mm": (2.0, 12.0),
            "artery_width_mm": (1.0, 5.0),
            "exposure": (0.0, 1.0),
        }
        check_ends(self, limits)
        return self


class BowelSettings(Settings):
    """Stomach, duodenum, colon and small bowel."""

    stomach: Distribution = Field((0.85, 1.2), description="size of the stomach; own choice")
    colon_mm: Distribution = Field(
        (34.0, 48.0), description="width of the transverse colon, mm; up to 60 is normal"
    )
    haustra_mm: Distribution = Field(
        (26.0, 40.0), description="length of a haustrum, mm; haustra are 2 to 4 cm long"
    )
    small_bowel_mm: Distribution = Field(
        (22.0, 30.0), description="width of the small bowel, mm; up to 30 is normal"
    )
    coils: Count = Field((5, 8), description="coils of small bowel that lie in front")

    @model_validator(mode="after")
    def _plausible(self) -> "BowelSettings":
        limits = {
            "stomach": (0.6, 1.5),
            "colon_mm": (25.0, 65.0),
            "haustra_mm": (18.0, 60.0),
            "small_bowel_mm": (15.0, 40.0),
        }
        check_ends(self, limits)
        if not 0 <= self.coils[0] <= self.coils[1] <= 20:
            raise ValueError(f"coils must be two numbers from 0 to 20 in order, got {self.coils}")
        return self


class FatSettings(Settings):
    """Greater omentum and the fat around it."""

    amount: Distribution = Field(
        (0.4, 1.4), description="thickness of the omentum, 1 about 9 mm; own choice"
    )
    reach: Distribution = Field(
        (0.3, 1.0), description="how much of the bowel the omentum covers; own choice"
    )
    lobule_mm: Distribution = Field(
        (6.0, 13.0), description="width of the lobules of fat, mm; own choice"
    )
    adhesions: Count = Field((0, 1), description="bands between the omentum and what lies above")

    @model_validator(mode="after")
    def _plausible(self) -> "FatSettings":
        limits = {"amount": (0.0, 3.0), "reach": (0.0, 1.0), "lobule_mm": (4.0, 25.0)}
        check_ends(self, limits)
        if not 0 <= self.adhesions[0] <= self.adhesions[1] <= 8:
            raise ValueError(f"adhesions must be two numbers from 0 to 8, got {self.adhesions}")
        return self


class LigamentSettings(Settings):
    """Falciform and round ligament."""

    thickness_mm: Distribution = Field(
        (1.2, 2.2), description="falciform sheet, mm; it is two layers of peritoneum; own choice"
    )
    fat: Distribution = Field((0.2, 1.0), description="fat along the free edge; own choice")
    aside_mm: Distribution = Field(
        (-18.0, -2.0), description="to the right of the midline, mm; it lies left of the notch"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "LigamentSettings":
        limits = {"thickness_mm": (1.0, 4.0), "fat": (0.0, 2.0), "aside_mm": (-40.0, 30.0)}
        check_ends(self, limits)
        return self


class DissectionSettings(Settings):
    """What an operation has left: blood, bile and char on the organs, the bared bed."""

    blood: Count = Field((0, 9), description="fewest and most smears, pools and runs of blood")
    bile: Count = Field((0, 1), description="fewest and most spots of spilt bile")
    char: Count = Field((0, 5), description="fewest and most spots burnt by the cautery")
    width_mm: Spread = Field(
        LogUniform(log_uniform=(4.0, 18.0)),
        description="width of a patch, mm, burnt spots 0.4 of it; own choice",
    )
    reach_mm: Distribution = Field(
        (8.0, 30.0),
        description="distance from gallbladder and neck within which most of it lies, mm; own "
        "choice",
    )
    plate_mm: Distribution = Field(
        (3.0, 9.0),
        description="width of the cystic plate bared beside a dissected gallbladder, mm; own "
        "choice",
    )

    @model_validator(mode="after")
    def _plausible(self) -> "DissectionSettings":
        check_ends(
            self, {"width_mm": (1.0, 60.0), "reach_mm": (2.0, 200.0), "plate_mm": (0.0, 11.0)}
        )
        for name in ("blood", "bile", "char"):
            low, high = getattr(self, name)
            if not 0 <= low <= high <= 100:
                raise ValueError(f"{name} must be two numbers from 0 to 100, got {(low, high)}")
        return self


class BodyMotionSettings(Settings):
    """How the organs move by themselves."""

    frames_per_s: float = Field(25.0, ge=1, le=240, description="frames per second")
    breaths_per_min: Distribution = Field(
        (12.0, 15.0), description="ventilator's rate, breaths per minute; usual in anaesthesia"
    )
    breath_mm: Distribution = Field(
        (5.0, 14.0),
        description="way of the diaphragm's dome, mm; the liver moves 10 to 26 mm in quiet "
        "breathing (Clifford 2002) and less under gas",
    )
    beats_per_min: Distribution = Field((55.0, 90.0), description="heart rate, beats per minute")
    beat_mm: Distribution = Field(
        (0.5, 2.0), description="way of the left lobe below the heart, mm; own choice"
    )
    sag_mm: Distribution = Field(
        (0.0, 6.0), description="how far the bowel hangs down the tilted body, mm; own choice"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "BodyMotionSettings":
        limits = {
            "breaths_per_min": (0.0, 40.0),
            "breath_mm": (0.0, 30.0),
            "beats_per_min": (0.0, 200.0),
            "beat_mm": (0.0, 5.0),
            "sag_mm": (0.0, 15.0),
        }
        check_ends(self, limits)
        return self


class AbdomenSettings(Settings):
    """An upper abdomen drawn from rules; every range is drawn from once per abdomen."""

    cavity: CavitySettings = CavitySettings()
    liver: LiverSettings = LiverSettings()
    gallbladder: GallbladderSettings = GallbladderSettings()
    bowel: BowelSettings = BowelSettings()
    fat: FatSettings = FatSettings()
    ligament: LigamentSettings = LigamentSettings()
    dissection: DissectionSettings = DissectionSettings()
    motion: BodyMotionSettings | None = Field(
        BodyMotionSettings(), description="how the organs move; null for a still abdomen"
    )
    resolution_mm: float = Field(
        2.0, ge=1.2, le=4, description="spacing of the grid that organs are made on, mm"
    )


Side = Literal["right", "left", "front", "back", "head", "feet"]


class OrganMesh(Settings):
    """One organ from a mesh file."""

    file: Path = Field(description="closed surface (.stl, .obj, .ply or .glb)")
    organ: str = Field(description="what it is, e.g. liver, gallbladder, stomach, spleen")
    unit: Literal["mm", "cm", "m"] | None = Field(
        None,
        description="unit of the file's coordinates; only GLB files say it (metres), for others "
        "you must",
    )
    scale: float = Field(
        1.0, gt=0, le=1000, description="multiplies the coordinates, for files of arbitrary size"
    )
    axes: tuple[Side, Side, Side] = Field(
        ("right", "front", "head"), description="where x, y and z of the file point in the patient"
    )
    repair: bool = Field(
        False,
        description="rebuild a surface that is open or runs through itself from the space that it "
        "fills, instead of refusing it",
    )

    @model_validator(mode="after")
    def _plausible(self) -> "OrganMesh":
        if self.unit is None and self.file.suffix.lower() != ".glb":
            raise ValueError(
                f"{self.file.name} does not say what its numbers mean; state unit: mm, cm or m"
            )
        if len({_LINES[side] for side in self.axes}) != 3:
            raise ValueError(f"axes must name three different lines of the body, got {self.axes}")
        return self


_LINES = {"right": 0, "left": 0, "front": 1, "back": 1, "head": 2, "feet": 2}


class MeshAbdomen(Settings):
    """An abdomen around organs from mesh files that share one frame."""

    meshes: tuple[OrganMesh, ...] = Field(min_length=1, description="the organs; one is the liver")
    complete: bool = Field(True, description="draw the organs that are missing")
    drawn: AbdomenSettings = AbdomenSettings()


class CtAbdomen(Settings):
    """An abdomen around the organs of a segmented CT."""

    masks: Path = Field(
        description="NIfTI volume with organ numbers, folder with one NIfTI mask per organ, or "
        "folder of folders of DICOM masks as in 3D-IRCADb"
    )
    names: dict[int, str] | None = Field(
        None,
        description="organ names by number; those in the file, else TotalSegmentator's, if null",
    )
    meshes: tuple[OrganMesh, ...] = Field(
        (), description="organs from mesh files in the CT's frame, instead of the CT's own"
    )
    complete: bool = Field(True, description="draw the organs that are missing")
    drawn: AbdomenSettings = AbdomenSettings()


def _kind(value: Any) -> str | None:
    keys = keys_of(value)
    if keys is None:
        return None
    return "(masks)" if "masks" in keys else "(meshes)" if "meshes" in keys else "(drawn)"


#: Whichever kind of abdomen.
AnyAbdomen = Annotated[
    Annotated[AbdomenSettings, Tag("(drawn)")]
    | Annotated[CtAbdomen, Tag("(masks)")]
    | Annotated[MeshAbdomen, Tag("(meshes)")],
    Discriminator(_kind),
]

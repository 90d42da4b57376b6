# SPDX-License-Identifier: Apache-2.0
"""What can be told about camera paths other than the fly-through of a tube."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from endoforge.distributions import Distribution, Spread, check_ends
from endoforge.scene.settings import TrajectorySettings
from endoforge.settings import Settings, keys_of


class InspectionSettings(Settings):
    """A camera that circles about a target, dwells, comes near and draws back."""

    path: Literal["inspection"] = "inspection"
    target: str = Field(
        "", description="what is looked at: a target's name or its beginning; empty takes any"
    )
    distance_mm: Distribution = Field(
        (15.0, 40.0), description="from the lens to the target, mm; own choice"
    )
    nearer: Distribution = Field(
        (0.4, 0.9), description="how near it comes, as a share of the distance; own choice"
    )
    arc_deg: Distribution = Field(
        (15.0, 45.0), description="how far the view leaves the target's normal, degrees"
    )
    speed_deg: Distribution = Field(
        (0.3, 1.5), description="mean way along the arcs per frame, degrees; own choice"
    )
    dwell: Distribution = Field((0.0, 0.5), description="share of the time in which it rests")
    retreats: Distribution = Field(
        (0.0, 2.0), description="how often per 100 frames it draws back for an overview"
    )
    retreat: Distribution = Field((1.3, 2.0), description="distance then, times the usual one")
    off_centre_deg: Distribution = Field(
        (0.0, 12.0), description="how far the target leaves the middle of the view, degrees"
    )
    roll_deg: Distribution = Field((0.0, 20.0), description="slow rotation about the view, degrees")
    upright: bool = Field(False, description="keep the patient's front up; else any rotation")
    tremor_mm: Distribution = Field((0.0, 0.12), description="fast unsteadiness of the tip, mm")
    tremor_deg: Distribution = Field((0.0, 0.4), description="fast turning of the view, degrees")
    clearance_mm: float = Field(
        4.0, ge=0.5, le=50, description="least distance from the lens to tissue, mm"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "InspectionSettings":
        check_ends(self, _INSPECTION)
        return self


class LaparoscopeSettings(Settings):
    """A rigid scope through a port: it turns about a point of the abdominal wall."""

    path: Literal["laparoscope"] = "laparoscope"
    oblique_deg: Distribution = Field(
        (30.0, 30.0),
        description="angle between shaft and view, degrees; scopes are made with 0, 30 and 45",
    )
    port: str = Field("port-camera", description="name of the port that the scope passes")
    targets: tuple[str, ...] = Field(
        ("liver", "gallbladder", "neck", "fundus", "triangle"),
        description="what is looked at in turn; those that the anatomy lacks are left out",
    )
    distance_mm: Distribution = Field(
        (50.0, 120.0),
        description="from the lens to what is looked at, mm; laparoscopes work at 50 to 150",
    )
    nearer: Distribution = Field(
        (0.6, 0.95), description="how near it comes, as a share of the distance; own choice"
    )
    hold_frames: Distribution = Field(
        (40.0, 120.0), description="frames from one target to the next, mean"
    )
    wander_mm: Distribution = Field(
        (3.0, 15.0), description="slow wandering of the point that is looked at, mm"
    )
    post_deg: Distribution = Field(
        (-40.0, 40.0),
        description="turn of the light post: 0 looks on from above, i.e. from the patient's front",
    )
    post_turn_deg: Distribution = Field(
        (0.0, 30.0), description="how far the light post turns on the way, degrees"
    )
    horizon_deg: Distribution = Field(
        (0.0, 8.0), description="how far the assistant lets the horizon tilt, degrees; own choice"
    )
    tremor_mm: Distribution = Field(
        (0.0, 0.3), description="fast unsteadiness of the tip, mm; own choice"
    )
    clearance_mm: float = Field(
        10.0, ge=1, le=50, description="least distance from the lens to tissue, mm"
    )
    shaft_clearance_mm: float = Field(
        5.0, ge=0, le=20, description="the same for the shaft's middle; scopes are 10 mm thick"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "LaparoscopeSettings":
        check_ends(self, _LAPAROSCOPE)
        if not self.targets:
            raise ValueError("targets must name what to look at, got none")
        return self


class RecordedSettings(Settings):
    """A camera path from a file."""

    path: Literal["recorded"] = "recorded"
    file: Path = Field(description="TUM or KITTI trajectory")
    format: Literal["tum", "kitti"] = Field(
        description="tum: timestamp tx ty tz qx qy qz qw per line; kitti: 12 numbers per line; "
        "both hold world_from_camera"
    )
    unit: Literal["mm", "cm", "m"] = Field(description="unit of the file's positions")
    scale: Distribution = Field((1.0, 1.0), description="positions are multiplied by this as well")
    frames_per_s: float | None = Field(
        None, gt=0, le=1000, description="resample TUM files to this rate; none takes every pose"
    )
    start: Distribution = Field(
        (0.0, 0.0), description="where in the file a sequence begins, share of what it can spare"
    )
    place: Literal["world", "start"] = Field(
        "world",
        description="world: the file is in the anatomy's frame; start: moved so that its first "
        "pose is where another path would begin",
    )
    clearance_mm: float = Field(
        0.5, ge=0, le=50, description="least distance from the lens to tissue, mm"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "RecordedSettings":
        check_ends(self, {"scale": (1e-4, 1e4), "start": (0.0, 1.0)})
        return self


class ViewsSettings(Settings):
    """Unordered views: every frame stands alone, anywhere in a volume, and looks at a region.

    Source:
        Pfeiffer et al., *Generating large labeled data sets for laparoscopic image processing tasks
        using unpaired image-to-image translation*, MICCAI 2019: random camera poses around each
        patient's liver. Ranges are not published; those here are our own choice.
    """

    path: Literal["views"] = "views"
    target: str = Field("liver", description="what is looked at: a target's name or its beginning")
    distance_mm: Spread = Field(
        (40.0, 160.0), description="from the lens to what is looked at, mm; per view"
    )
    cone_deg: float = Field(
        60.0, gt=0, le=85, description="views lie within this of the target's normal, degrees"
    )
    spread: Spread = Field(
        (0.0, 1.0), description="how far from the target's middle it looks, share of the radius"
    )
    off_centre_deg: Spread = Field(
        (0.0, 10.0), description="how far that point leaves the middle of the view, degrees"
    )
    roll_deg: Spread = Field((-15.0, 15.0), description="tilt of the horizon, degrees; per view")
    hand_mm: Spread = Field(
        (0.2, 2.0), description="how far the lens is from here one frame earlier and later, mm"
    )
    hand_deg: Spread = Field((0.1, 1.5), description="how far it is turned then, degrees")
    clearance_mm: float = Field(
        10.0, ge=1, le=50, description="least distance from the lens to tissue, mm"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "ViewsSettings":
        check_ends(self, _VIEWS)
        return self


class OrbitSettings(Settings):
    """A camera that goes round a place and looks at it, from outside the body or inside a hollow.

    Source:
        Ranges are our own choice; abdominal CT is usually shown from the front, turned about the
        body's axis.
    """

    path: Literal["orbit"] = "orbit"
    side: Literal["outside", "inside"] = Field(
        "outside", description="of a CT: outside the body, or in the lumen that was chosen"
    )
    target: str = Field(
        "body", description="what is looked at: a target's name or its beginning; empty takes any"
    )
    distance_mm: Distribution = Field(
        (350.0, 700.0), description="from the lens to the target, mm; farther where tissue is there"
    )
    nearer: Distribution = Field(
        (0.7, 1.0), description="how near it comes, as a share of the distance; own choice"
    )
    azimuth_deg: Distribution = Field(
        (-180.0, 180.0),
        description="where it begins: 0 in front of the patient, 90 at the right side, degrees",
    )
    elevation_deg: Distribution = Field(
        (-20.0, 50.0), description="how far towards the head it stands above the target, degrees"
    )
    turn_deg: Distribution = Field(
        (0.3, 1.5), description="mean way around per frame, degrees; to either side"
    )
    rise_deg: Distribution = Field(
        (0.0, 15.0), description="how far the elevation changes on the way, degrees"
    )
    off_centre_deg: Distribution = Field(
        (0.0, 5.0), description="how far the target leaves the middle of the view, degrees"
    )
    roll_deg: Distribution = Field((0.0, 10.0), description="slow rotation about the view, degrees")
    clearance_mm: float = Field(
        5.0, ge=0.5, le=100, description="least distance from the lens to tissue, mm"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "OrbitSettings":
        check_ends(self, _ORBIT)
        return self


def _path_kind(value: Any) -> str | None:
    keys = keys_of(value)
    return None if keys is None else f"({keys.get('path', 'tube')})"


#: Any camera path; the key ``path`` says which, and a group without it is a fly-through.
PathSettings = Annotated[
    Annotated[TrajectorySettings, Tag("(tube)")]
    | Annotated[InspectionSettings, Tag("(inspection)")]
    | Annotated[LaparoscopeSettings, Tag("(laparoscope)")]
    | Annotated[RecordedSettings, Tag("(recorded)")]
    | Annotated[ViewsSettings, Tag("(views)")]
    | Annotated[OrbitSettings, Tag("(orbit)")],
    Discriminator(_path_kind),
]

_INSPECTION: dict[str, tuple[float, float]] = {
    "distance_mm": (2.0, 400.0),
    "nearer": (0.1, 1.0),
    "arc_deg": (0.0, 75.0),
    "speed_deg": (0.01, 10.0),
    "dwell": (0.0, 0.9),
    "retreats": (0.0, 20.0),
    "retreat": (1.0, 5.0),
    "off_centre_deg": (0.0, 60.0),
    "roll_deg": (0.0, 180.0),
    "tremor_mm": (0.0, 1.0),
    "tremor_deg": (0.0, 5.0),
}
_LAPAROSCOPE: dict[str, tuple[float, float]] = {
    "oblique_deg": (0.0, 70.0),
    "distance_mm": (15.0, 250.0),
    "nearer": (0.2, 1.0),
    "hold_frames": (5.0, 5000.0),
    "wander_mm": (0.0, 60.0),
    "post_deg": (-180.0, 180.0),
    "post_turn_deg": (0.0, 180.0),
    "horizon_deg": (0.0, 90.0),
    "tremor_mm": (0.0, 3.0),
}
_ORBIT: dict[str, tuple[float, float]] = {
    "distance_mm": (2.0, 2000.0),
    "nearer": (0.1, 1.0),
    "azimuth_deg": (-360.0, 360.0),
    "elevation_deg": (-85.0, 85.0),
    "turn_deg": (0.0, 30.0),
    "rise_deg": (0.0, 60.0),
    "off_centre_deg": (0.0, 60.0),
    "roll_deg": (0.0, 180.0),
}
_VIEWS: dict[str, tuple[float, float]] = {
    "distance_mm": (5.0, 400.0),
    "spread": (0.0, 2.0),
    "off_centre_deg": (0.0, 45.0),
    "roll_deg": (-180.0, 180.0),
    "hand_mm": (0.0, 20.0),
    "hand_deg": (0.0, 10.0),
}

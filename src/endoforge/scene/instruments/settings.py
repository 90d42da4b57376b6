# SPDX-License-Identifier: Apache-2.0
"""What can be told to instruments: which, through which port, at what, and how they move."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from endoforge.distributions import Distribution, Option, check_ends
from endoforge.settings import Settings

#: Instruments that Endoforge builds itself.
ToolKind = Literal["grasper", "dissector", "scissors", "hook", "clipper", "suction"]
ChannelToolKind = Literal["forceps", "snare"]


_MOTION_LIMITS: dict[str, tuple[float, float]] = {
    "start_mm": (0.0, 200.0),
    "reach_share": (0.0, 1.0),
    "gap_mm": (0.0, 50.0),
    "wander_mm": (0.0, 40.0),
    "pull_mm": (0.0, 60.0),
    "pull_reach_mm": (2.0, 100.0),
    "tremor_mm": (0.0, 2.0),
    "roll_deg": (-360.0, 360.0),
    "roll_swing_deg": (0.0, 180.0),
    "opening": (0.0, 1.0),
    "wrist_deg": (0.0, 90.0),
}
_CHANNEL_LIMITS: dict[str, tuple[float, float]] = {
    "channel_deg": (-180.0, 360.0),
    "channel_mm": (2.0, 10.0),
    "lean_deg": (-5.0, 30.0),
    "reach_mm": (0.0, 60.0),
    "stroke_mm": (0.0, 40.0),
    "opening": (0.0, 1.0),
    "roll_deg": (-360.0, 360.0),
}


class ToolMotionSettings(Settings):
    """How a tool moves within a sequence; times are shares of the sequence's length."""

    behaviour: Option[Literal["work", "hold", "pull", "retract"]] = Field(
        "work",
        description="work: reach the target and stroke about it; hold: reach it and stay; pull: "
        "reach it, close the jaws and draw the tissue; retract: leave it",
    )
    start_mm: Distribution = Field(
        (15.0, 45.0), description="how far from the target the tip begins, mm; own choice"
    )
    reach_share: Distribution = Field(
        (0.15, 0.4), description="share of the sequence in which the tip reaches the target"
    )
    gap_mm: Distribution = Field(
        (0.3, 3.0), description="distance that the tip keeps from tissue it does not hold, mm"
    )
    wander_mm: Distribution = Field(
        (1.0, 6.0), description="how far slow strokes lead the tip off the target, mm; own choice"
    )
    pull_mm: Distribution = Field(
        (5.0, 18.0), description="how far held tissue is drawn, mm; own choice"
    )
    pull_reach_mm: Distribution = Field(
        (12.0, 25.0), description="distance over which tissue around the jaws follows, mm"
    )
    tremor_mm: Distribution = Field(
        (0.02, 0.15),
        description="root mean square unsteadiness of the tip, mm; physiological tremor of "
        "surgeons' hands is about 0.05 to 0.2 mm",
    )
    roll_deg: Distribution = Field(
        (-180.0, 180.0), description="how the tool is turned about its shaft, degrees"
    )
    roll_swing_deg: Distribution = Field(
        (0.0, 35.0), description="how far that turn changes within the sequence, degrees"
    )
    opening: Distribution = Field(
        (0.2, 1.0), description="widest opening of the jaws, share of what they can"
    )
    wrist_deg: Distribution = Field(
        (0.0, 30.0), description="how far the joints of a wrist swing, degrees; own choice"
    )

    @model_validator(mode="after")
    def _plausible(self) -> "ToolMotionSettings":
        check_ends(self, _MOTION_LIMITS)
        return self


class UrdfSettings(Settings):
    """An instrument of one's own: a URDF file (metres, radians) with STL or OBJ meshes."""

    urdf: Path = Field(description="the URDF file; its meshes lie where it says")
    root: str | None = Field(
        None, description="link that carries the shaft; links above it are left out"
    )
    links: dict[str, Literal["tool shaft", "tool wrist", "tool tip", "clip", "left out"]] = Field(
        default_factory=dict,
        description="what links count as; if not given, those fixed to the root are the shaft, the "
        "last to move are tips and others the wrist",
    )
    axis: tuple[float, float, float] = Field(
        (0.0, 0.0, 1.0), description="direction of the tip in the root's frame"
    )
    opening: str | None = Field(None, description="joint that opens the jaws")
    closed: float = Field(0.0, description="its value with the jaws closed, rad or mm")
    open: float = Field(0.5, description="its value with the jaws open, rad or mm")


class ToolSettings(Settings):
    """One instrument through a port."""

    kind: Option[ToolKind] = Field("grasper", description="which instrument")
    own: UrdfSettings | None = Field(None, description="an instrument of one's own instead")
    port: str = Field("right", min_length=1, description="name of the port that it enters by")
    other_ports: bool = Field(
        True,
        description="whether it enters by another port, but never the camera's, where tissue or "
        "another tool bars the way from the named one, or the target is out of reach from there",
    )
    target: str = Field("gallbladder", min_length=1, description="name of the place it works on")
    diameter_mm: float | None = Field(
        None, ge=2, le=15, description="of the shaft, mm; if not given, 10 for a clipper, else 5"
    )
    shaft: Option[Literal["usual", "steel", "plastic"]] = Field(
        "usual", description="a bare steel shaft or a black insulated one"
    )
    motion: ToolMotionSettings = ToolMotionSettings()


class ChannelToolSettings(Settings):
    """One tool through the working channel of a flexible endoscope."""

    kind: Option[ChannelToolKind] = Field("forceps", description="which tool")
    channel_deg: Distribution = Field(
        (30.0, 60.0),
        description="where the channel opens, degrees from the image's right towards its bottom; "
        "lower right (5 o'clock) in common colonoscopes",
    )
    channel_mm: Distribution = Field(
        (4.0, 5.5), description="distance of the channel from the lens, mm; own choice"
    )
    lean_deg: Distribution = Field(
        (0.0, 8.0), description="how far the tool leans towards the optical axis, degrees"
    )
    reach_mm: Distribution = Field(
        (8.0, 25.0), description="how far the sheath comes out of the channel, mm; own choice"
    )
    stroke_mm: Distribution = Field(
        (2.0, 10.0), description="how far it moves in and out, mm; own choice"
    )
    opening: Distribution = Field((0.4, 1.0), description="widest opening, share of what it can")
    roll_deg: Distribution = Field((-180.0, 180.0), description="turn about the sheath, degrees")

    @model_validator(mode="after")
    def _plausible(self) -> "ChannelToolSettings":
        check_ends(self, _CHANNEL_LIMITS)
        return self


class InstrumentSettings(Settings):
    """The instruments of a scene; none by default."""

    tools: Annotated[tuple[ToolSettings, ...], Field(max_length=6)] = Field(
        (), description="instruments through ports"
    )
    channel: ChannelToolSettings | None = Field(
        None, description="a tool through the endoscope's working channel"
    )
    frames_per_s: float = Field(
        25.0, ge=1, le=240, description="frames per second, which sets the pace of tools"
    )
    penetration_mm: float = Field(
        0.5, ge=0.05, le=5, description="how deep a tool may lie in tissue it does not hold, mm"
    )

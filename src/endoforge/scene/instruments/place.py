# SPDX-License-Identifier: Apache-2.0
"""Puts instruments into a scene: through ports, at their targets, clear of tissue, over time."""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from endoforge.distributions import Choice
from endoforge.errors import SceneError
from endoforge.scene.instruments.build import build_tool
from endoforge.scene.instruments.channel import place_channel_tool
from endoforge.scene.instruments.clearance import Clearing, drawn_back, feelers_of, given_way
from endoforge.scene.instruments.kinematics import (
    RemoteCentre,
    part_poses,
    reach,
    world_from_tool,
)
from endoforge.scene.instruments.motion import PlacedInstrument, place
from endoforge.scene.instruments.plan import (
    ToolPlan,
    grip,
    nearness,
    opening_path,
    roll_path,
    sample_plan,
    times,
    tip_path,
    wrist_path,
)
from endoforge.scene.instruments.records import Instrument
from endoforge.scene.instruments.settings import InstrumentSettings, ToolSettings
from endoforge.scene.instruments.urdf import read_urdf
from endoforge.scene.instruments.workspace import (
    Held,
    LocalTissue,
    Workspace,
    local_tissue,
    place_named,
    tissue_under,
)
from endoforge.scene.paths.targets import Target
from endoforge.scene.pulls import Pull
from endoforge.scene.records import Landmark

_MARGIN_MM = 25.0
_PORT_MM = 25.0
_HELD_MM = 2.5
_SMOOTH_FRAMES = 2.0
_SMOOTH_BACK_FRAMES = 3.0
_ROUNDS = 3
_REACH_PER_PULL = 2.4  # a shorter reach would fold tissue over


def place_instruments(
    settings: InstrumentSettings,
    rng: np.random.Generator,
    work: Workspace,
    camera_from_world: Float64[np.ndarray, "frames 4 4"] | None = None,
) -> tuple[PlacedInstrument, ...]:
    """Draw and place all instruments of a sequence.

    Args:
        settings: Which instruments, and how they move.
        rng: Random numbers of this sequence's instruments; each tool gets a stream of its own.
        work: Anatomy, targets and ports.
        camera_from_world: The endoscope's pose for frames -1 to one past the last; a tool in its
            working channel needs it.

    Raises:
        SceneError: A target or a port does not exist, or a tool cannot reach its target.
    """
    streams = rng.spawn(len(settings.tools) + 1)
    first = work.next_instance
    placed = [
        place_tool(settings, tool, own, work, first + number)
        for number, (tool, own) in enumerate(zip(settings.tools, streams[:-1], strict=True))
    ]
    if settings.channel is not None:
        if camera_from_world is None:
            raise SceneError("a tool in the working channel needs the endoscope's poses, got none")
        number = first + len(placed)
        placed.append(place_channel_tool(settings, streams[-1], work, camera_from_world, number))
    return tuple(placed)


def place_tool(
    settings: InstrumentSettings,
    tool: ToolSettings,
    rng: np.random.Generator,
    work: Workspace,
    instance: int,
) -> PlacedInstrument:
    """Draw one instrument's motion and place it through its port.

    Raises:
        SceneError: Its target or port does not exist, or is out of reach.
    """
    instrument = _instrument(tool, rng)
    plan = sample_plan(tool.motion, rng, work.frames / settings.frames_per_s)
    course = Course(
        instrument,
        place_named(work.ports, tool.port, "port"),
        place_named(work.targets, tool.target, "target"),
        plan,
        settings.penetration_mm,
    )
    return follow(course, work, instance)


def _instrument(tool: ToolSettings, rng: np.random.Generator) -> Instrument:
    if tool.own is not None:
        return read_urdf(tool.own)
    kind = tool.kind.pick(rng) if isinstance(tool.kind, Choice) else tool.kind
    shaft = tool.shaft.pick(rng) if isinstance(tool.shaft, Choice) else tool.shaft
    return build_tool(kind, tool.diameter_mm, shaft)


@dataclass(frozen=True, eq=False)
class Course:
    """One instrument, its port, its target and what it is about to do."""

    instrument: Instrument
    port: Target
    target: Target
    plan: ToolPlan
    allowed_mm: float


def follow(course: Course, work: Workspace, instance: int) -> PlacedInstrument:
    """Place an instrument that follows a plan, giving way to tissue; nothing is random here.

    Raises:
        SceneError: The target is out of reach.
    """
    time = times(work.frames)
    tip = tip_path(course.plan, time, course.target, course.port)
    box = np.concatenate([tip, tip + 0.5 * (course.port.point_mm - tip)])
    tissue = local_tissue(work, box.min(axis=0) - _MARGIN_MM, box.max(axis=0) + _MARGIN_MM)
    held = tissue_under(tissue, course.target, work.frames)
    near = nearness(course.plan, time)[:, None]
    tip = tip + held.point_mm - course.target.point_mm + near * (held.path_mm - held.point_mm)
    joints = _joints(course, time)
    poses, depth, centres = _clear_path(course, tissue, tip, joints, time)
    placed = place(course.instrument, instance, work.labels, poses)
    centre = {
        name: np.array([getattr(c, name) for c in centres])
        for name in ("yaw_rad", "pitch_rad", "roll_rad", "insertion_mm")
    }
    return replace(
        placed,
        joints={**centre, **joints},
        landmarks=(*placed.landmarks, _entry(course, instance, poses)),
        pulls=_pulls(course, held, poses, time),
        facts=_facts(course),
        penetration_mm=max(depth, 0.0),
    )


def _joints(
    course: Course, time: Float64[np.ndarray, "frames"]
) -> dict[str, Float64[np.ndarray, "frames"]]:
    """The instrument's own joints over time: those that open it, and those of its wrist."""
    share = opening_path(course.plan, time)
    values = {}
    for number, (name, joint) in enumerate(course.instrument.joints.items()):
        if name in course.instrument.drives:
            closed, wide = course.instrument.drives[name]
            values[name] = closed + share * (wide - closed)
        elif joint.kind == "revolute":
            values[name] = np.clip(wrist_path(course.plan, time, number), *joint.limits)
    return values


def _clear_path(
    course: Course,
    tissue: LocalTissue,
    tip: Float64[np.ndarray, "frames 3"],
    joints: dict[str, Float64[np.ndarray, "frames"]],
    time: Float64[np.ndarray, "frames"],
) -> tuple[Float64[np.ndarray, "frames parts 4 4"], float, list[RemoteCentre]]:
    """Give way to tissue: aside, evened out over time, then back along the shaft where needed.

    Returns:
        Poses of the parts, the greatest depth, and the joints of the remote centre.
    """
    roll = roll_path(course.plan, time)
    moments = [
        _Moment(course, tip[k], float(roll[k]), {n: float(v[k]) for n, v in joints.items()})
        for k in range(len(time))
    ]
    still = tissue.at(0) if tissue.still else None
    around = [still if tissue.still else tissue.at(k) for k in range(len(time))]
    clearings = _clearings(course, time)
    found = [
        given_way(m.poses, t, c, m.tip_mm)
        for m, t, c in zip(moments, around, clearings, strict=True)
    ]
    aside = np.stack([way for way, _ in found])
    aside = gaussian_filter1d(aside, _SMOOTH_FRAMES, axis=0, mode="nearest")
    back, depth = np.array([way for _, way in found]), np.zeros(len(time))
    for _ in range(_ROUNDS):  # even out, mend what that spoilt, and again
        back = _smooth_envelope(back)
        for k, moment in enumerate(moments):
            back[k], depth[k] = drawn_back(
                partial(moment.poses, aside[k]), around[k], clearings[k], back[k], moment.room_mm
            )
    poses = np.stack([m.poses(aside[k], float(back[k])) for k, m in enumerate(moments)])
    centres = [m.centre(aside[k], float(back[k])) for k, m in enumerate(moments)]
    return poses, float(depth.max()), centres


def _clearings(course: Course, time: Float64[np.ndarray, "frames"]) -> list[Clearing]:
    """What must be clear at each frame: all points, or all but the jaws while they hold tissue."""
    feelers = feelers_of(course.instrument)
    free, holding = (
        Clearing(feelers, counted, course.port.point_mm, _PORT_MM, course.allowed_mm)
        for counted in (np.ones(len(feelers.part), dtype=bool), ~feelers.holding)
    )
    return [holding if closed > 0 else free for closed in grip(course.plan, time)]


def _smooth_envelope(values: Float64[np.ndarray, "frames"]) -> Float64[np.ndarray, "frames"]:
    """A smooth course that lies nowhere below the values."""
    width = 2 * round(2 * _SMOOTH_BACK_FRAMES) + 1
    raised = maximum_filter1d(values, width, mode="nearest")
    smooth = gaussian_filter1d(raised, _SMOOTH_BACK_FRAMES, mode="nearest", truncate=2.0)
    return np.asarray(smooth)


@dataclass(frozen=True, eq=False)
class _Moment:
    """One frame of a course: how displacements of the tip and ways back move the parts."""

    course: Course
    tip_mm: Float64[np.ndarray, "3"]
    roll_rad: float
    joints: dict[str, float]

    @cached_property
    def tool_from_rest(self) -> Float64[np.ndarray, "parts 4 4"]:
        """Poses of the parts in the tool frame."""
        return part_poses(self.course.instrument, self.joints)

    @property
    def room_mm(self) -> float:
        """How far the tool can be drawn back until its tip is in the port."""
        return float(np.linalg.norm(self.tip_mm - self.course.port.point_mm))

    def centre(self, aside_mm: Float64[np.ndarray, "3"], back_mm: float = 0.0) -> RemoteCentre:
        """Joints of the remote centre."""
        tool, port = self.course.instrument, self.course.port
        tip = tool.keypoints["tip"]
        pose = self.tool_from_rest[tip.part]
        offset = pose[:3, :3] @ tip.point_mm + pose[:3, 3]
        centre = reach(port, self.tip_mm + aside_mm, offset, self.roll_rad)
        if centre.insertion_mm > tool.length_mm:
            raise SceneError(
                f"the {tool.name}'s shaft is {tool.length_mm:.0f} mm long but would have to reach "
                f"{centre.insertion_mm:.0f} mm from the port {port.name!r} to the target "
                f"{self.course.target.name!r}; choose a nearer port"
            )
        return replace(centre, insertion_mm=centre.insertion_mm - back_mm)

    def poses(
        self, aside_mm: Float64[np.ndarray, "3"], back_mm: float = 0.0
    ) -> Float64[np.ndarray, "parts 4 4"]:
        """World poses of the parts."""
        pose = world_from_tool(self.course.port, self.centre(aside_mm, back_mm))
        return np.asarray(pose @ self.tool_from_rest)


def _entry(
    course: Course, instance: int, poses: Float64[np.ndarray, "frames parts 4 4"]
) -> Landmark:
    """Where the shaft passes the port."""
    entry = poses[:, 0].copy()
    entry[:, :3, 3] = course.port.point_mm
    return Landmark(f"{course.instrument.name}-{instance}/entry", instance, entry)


def _pulls(
    course: Course,
    held: Held,
    poses: Float64[np.ndarray, "frames parts 4 4"],
    time: Float64[np.ndarray, "frames"],
) -> tuple[Pull, ...]:
    """Tissue rises between the closing jaws, then stays with them."""
    closed = grip(course.plan, time)[:, None]
    if not closed.any() or course.instrument.grip_mm == 0:
        return ()
    tip = course.instrument.keypoints["tip"]
    depth = min(course.instrument.grip_mm, _HELD_MM)
    inside = tip.point_mm - np.array([0.0, 0.0, depth])
    grasped = poses[:, tip.part, :3, :3] @ inside + poses[:, tip.part, :3, 3]
    drawn = closed * (grasped - held.path_mm)
    farthest = float(np.linalg.norm(drawn, axis=1).max())
    reach_mm = max(course.plan.pull_reach_mm, _REACH_PER_PULL * farthest)
    return (Pull(held.instance, held.point_mm, drawn, reach_mm),)


def _facts(course: Course) -> dict[str, Any]:
    return {
        "kind": course.instrument.name,
        "behaviour": course.plan.behaviour,
        "diameter_mm": course.instrument.diameter_mm,
        "port": course.port.name,
        "port_mm": course.port.point_mm.tolist(),
        "target": course.target.name,
        "parts": [part.name for part in course.instrument.parts],
    }

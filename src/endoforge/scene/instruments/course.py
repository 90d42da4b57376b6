# SPDX-License-Identifier: Apache-2.0
"""Lets one instrument follow its plan through its port, giving way to tissue; nothing is random."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from endoforge.errors import SceneError
from endoforge.scene.instruments.clearance import Clearing, Probe, feelers_of
from endoforge.scene.instruments.contact import roughly
from endoforge.scene.instruments.giving_way import drawn_back, given_way
from endoforge.scene.instruments.kinematics import (
    RemoteCentres,
    part_poses,
    reach_all,
    world_from_tools,
)
from endoforge.scene.instruments.motion import PlacedInstrument, place
from endoforge.scene.instruments.moving import moving_tissue
from endoforge.scene.instruments.plan import (
    ToolPlan,
    grip,
    nearness,
    opening_path,
    roll_path,
    times,
    tip_path,
    wrist_path,
)
from endoforge.scene.instruments.records import Instrument
from endoforge.scene.instruments.workspace import (
    Held,
    LocalTissue,
    Workspace,
    local_tissue,
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
_EVERY = 3  # frames whose tip gives way on its own; those between are evened out
_DOOR_MM, _BEFORE_MM = 30.0, 12.0  # ends of the way that may be barred
_STEP_MM, _GRAZED_MM = 2.0, 1.0
_REACH_PER_PULL = 2.4  # a shorter reach would fold tissue over


@dataclass(frozen=True, eq=False)
class Course:
    """One instrument, its port, its target and what it is about to do."""

    instrument: Instrument
    port: Target
    target: Target
    plan: ToolPlan
    allowed_mm: float


@dataclass(frozen=True, eq=False)
class Prepared:
    """A course among the tissue around it, before the tool gives way.

    Attributes:
        course: What it is about to do.
        tissue: What is in the way.
        held: What it works on.
        moments: Its frames.
    """

    course: Course
    tissue: LocalTissue
    held: Held
    moments: "Moments"

    @cached_property
    def poses(self) -> Float64[np.ndarray, "frames parts 4 4"]:
        """Poses of the parts at all frames, as if nothing were in the way."""
        still = np.zeros_like(self.moments.tip_mm)
        return self.moments.poses(np.arange(len(still)), still, still[:, 0])

    def barred_mm(self, work: Workspace) -> float:
        """Length of the shaft's axis that would lie in tissue when the tool is at its target."""
        near = int(np.argmax(nearness(self.course.plan, self.moments.time)))
        tip = self.moments.tip_mm[near] - self.held.path_mm[near] + self.held.point_mm
        port = self.course.port.point_mm
        length = float(np.linalg.norm(tip - port))
        along = np.arange(_DOOR_MM, length - _BEFORE_MM, _STEP_MM)
        if not len(along):
            return 0.0
        line = port + along[:, None] * (tip - port) / length
        inside = roughly(self.held.tissue, line) < -_GRAZED_MM
        inside[inside] = ~work.free(line[inside])
        return float(_STEP_MM * inside.sum())


def prepare(course: Course, work: Workspace) -> Prepared:
    """Find out where a course leads and what tissue is around.

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
    prepared = Prepared(course, tissue, held, Moments(course, time, tip, _joints(course, time)))
    assert prepared.poses.size  # what is out of reach is refused here
    return prepared


def follow(prepared: Prepared, work: Workspace, instance: int) -> PlacedInstrument:
    """Place an instrument that follows a plan, giving way to tissue; nothing is random here.

    Raises:
        SceneError: The target is out of reach.
    """
    course, moments = prepared.course, prepared.moments
    aside, back, depth = _clear_path(course, prepared.tissue, moments, work)
    rows = np.arange(len(back))
    poses, centres = moments.poses(rows, aside, back), moments.centres(rows, aside, back)
    placed = place(course.instrument, instance, work.labels, poses)
    return replace(
        placed,
        joints={**vars(centres), **moments.joints},
        landmarks=(*placed.landmarks, _entry(course, instance, poses)),
        pulls=_pulls(course, prepared.held, poses, moments.time),
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
    course: Course, tissue: LocalTissue, moments: "Moments", work: Workspace
) -> tuple[Float64[np.ndarray, "frames 3"], Float64[np.ndarray, "frames"], float]:
    """Give way to tissue: aside, evened out over time, then back along the shaft where needed.

    Returns:
        Displacements of the tip, ways back, and the greatest depth.
    """
    probe = Probe(moving_tissue(tissue), _clearing(course, moments.time, work))
    rows = np.arange(len(moments.time))
    some = np.unique([*rows[::_EVERY], rows[-1]])
    ways, backs = given_way(moments.poses, probe, some, moments.tip_mm[some])
    aside = np.stack([np.interp(rows, some, way) for way in ways.T], axis=1)
    aside = gaussian_filter1d(aside, _SMOOTH_FRAMES, axis=0, mode="nearest")
    back = np.interp(rows, some, backs)
    for number in range(_ROUNDS):  # even out, mend what that spoilt, and again
        back = _smooth_envelope(back)
        asked = some if number == 0 else rows
        ways = np.stack([back[asked], moments.room_mm[asked]], axis=1)
        found = drawn_back(moments.poses, probe, asked, aside[asked], ways)
        back = np.maximum(back, np.interp(rows, asked, found)) if number == 0 else found
    depth = probe.contact(rows, moments.poses(rows, aside, back)).depth_mm
    return aside, back, float(depth.max())


def _clearing(course: Course, time: Float64[np.ndarray, "frames"], work: Workspace) -> Clearing:
    """What must be clear at each frame: all points, or all but the jaws while they hold tissue."""
    feelers = feelers_of(course.instrument)
    counted = (grip(course.plan, time) <= 0)[:, None] | ~feelers.holding
    port = course.port.point_mm
    return Clearing(feelers, counted, port, _PORT_MM, course.allowed_mm, work.free)


def _smooth_envelope(values: Float64[np.ndarray, "frames"]) -> Float64[np.ndarray, "frames"]:
    """A smooth course that lies nowhere below the values."""
    width = 2 * round(2 * _SMOOTH_BACK_FRAMES) + 1
    raised = maximum_filter1d(values, width, mode="nearest")
    smooth = gaussian_filter1d(raised, _SMOOTH_BACK_FRAMES, mode="nearest", truncate=2.0)
    return np.asarray(smooth)


@dataclass(frozen=True, eq=False)
class Moments:
    """The frames of a course: how displacements of the tip and ways back move the parts."""

    course: Course
    time: Float64[np.ndarray, "frames"]
    tip_mm: Float64[np.ndarray, "frames 3"]
    joints: dict[str, Float64[np.ndarray, "frames"]]

    @cached_property
    def tool_from_rest(self) -> Float64[np.ndarray, "frames parts 4 4"]:
        """Poses of the parts in the tool frame."""
        rows = (
            {name: float(v[k]) for name, v in self.joints.items()} for k in range(len(self.time))
        )
        return np.stack([part_poses(self.course.instrument, row) for row in rows])

    @cached_property
    def room_mm(self) -> Float64[np.ndarray, "frames"]:
        """How far the tool can be drawn back until its tip is in the port."""
        return np.asarray(np.linalg.norm(self.tip_mm - self.course.port.point_mm, axis=1))

    @cached_property
    def _offset_mm(self) -> Float64[np.ndarray, "frames 3"]:
        """The tip in the tool frame."""
        tip = self.course.instrument.keypoints["tip"]
        pose = self.tool_from_rest[:, tip.part]
        return np.asarray(pose[:, :3, :3] @ tip.point_mm + pose[:, :3, 3])

    @cached_property
    def _roll_rad(self) -> Float64[np.ndarray, "frames"]:
        return roll_path(self.course.plan, self.time)

    def centres(
        self,
        rows: Int64[np.ndarray, "rows"],
        aside_mm: Float64[np.ndarray, "rows 3"],
        back_mm: Float64[np.ndarray, "rows"],
    ) -> RemoteCentres:
        """Joints of the remote centre."""
        tool, port = self.course.instrument, self.course.port
        found = reach_all(
            port, self.tip_mm[rows] + aside_mm, self._offset_mm[rows], self._roll_rad[rows]
        )
        farthest = float(found.insertion_mm.max(initial=0.0))
        if farthest > tool.length_mm:
            raise SceneError(
                f"the {tool.name}'s shaft is {tool.length_mm:.0f} mm long but would have to reach "
                f"{farthest:.0f} mm from the port {port.name!r} to the target "
                f"{self.course.target.name!r}; choose a nearer port"
            )
        return replace(found, insertion_mm=found.insertion_mm - back_mm)

    def poses(
        self,
        rows: Int64[np.ndarray, "rows"],
        aside_mm: Float64[np.ndarray, "rows 3"],
        back_mm: Float64[np.ndarray, "rows"],
    ) -> Float64[np.ndarray, "rows parts 4 4"]:
        """World poses of the parts."""
        poses = world_from_tools(self.course.port, self.centres(rows, aside_mm, back_mm))
        return np.asarray(poses[:, None] @ self.tool_from_rest[rows])


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

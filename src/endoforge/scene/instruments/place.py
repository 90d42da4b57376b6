# SPDX-License-Identifier: Apache-2.0
"""Puts instruments into a scene: through ports, at their targets, clear of tissue, over time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import Choice
from endoforge.errors import SceneError
from endoforge.scene.instruments.apart import Rods, least_gap, tool_rods
from endoforge.scene.instruments.build import build_tool
from endoforge.scene.instruments.channel import place_channel_tool
from endoforge.scene.instruments.course import Course, Prepared, follow, prepare
from endoforge.scene.instruments.motion import PlacedInstrument
from endoforge.scene.instruments.plan import frame_of, sample_plan
from endoforge.scene.instruments.records import Instrument
from endoforge.scene.instruments.settings import InstrumentSettings, ToolSettings
from endoforge.scene.instruments.urdf import read_urdf
from endoforge.scene.instruments.workspace import Workspace, place_named, ports_for
from endoforge.scene.paths.targets import Target

_COURSES = 8  # that are drawn before other tools are said to be in the way
_APART_MM = 0.5  # between tools
_BESIDE_MM = 12.0  # how far from its target a tool may work to keep away from another
_THERE_MM = 20.0  # a tool that comes so near to its target has found its way
_HARDLY_MM = 6.0  # a way that tissue bars no longer than this is free; the tool gives way


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
    placed: list[PlacedInstrument] = []
    taken: list[Rods] = []
    for number, (tool, own) in enumerate(zip(settings.tools, streams[:-1], strict=True)):
        found, rods = place_tool(settings, tool, own, work, (first + number, taken))
        placed.append(found)
        taken.append(rods)
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
    among: tuple[int, Sequence[Rods]],
) -> tuple[PlacedInstrument, Rods]:
    """Draw one instrument's motion and place it through its port.

    Where tissue bars the way from the named port another is tried, and where the tool would run
    into another one it takes another port, or another course to a place beside its target.

    Args:
        settings: Settings of all instruments.
        tool: Those of this one.
        rng: Random numbers of this instrument.
        work: Anatomy, targets and ports.
        among: Its object number, and the tools that are there already.

    Returns:
        The instrument, and the rods that stand for it.

    Raises:
        SceneError: Its target or port does not exist, or is out of reach, or other tools are in
            the way of every course.
    """
    instrument = _instrument(tool, rng)
    target = place_named(work.targets, tool.target, "target")
    ports = ports_for(work.ports, tool.port, tool.other_ports)
    for number in range(_COURSES):
        plan = sample_plan(tool.motion, rng, work.frames / settings.frames_per_s)
        place = target if number == 0 else _beside(target, rng)
        courses = [Course(instrument, p, place, plan, settings.penetration_mm) for p in ports]
        failures: list[SceneError] = []
        best: tuple[float, PlacedInstrument, Rods] | None = None
        for prepared in _by_ease(courses, work, failures):
            found = _followed(prepared, work, among, failures)
            if found is not None and (best is None or found[0] < best[0]):
                best = found
            if best is not None and best[0] <= _THERE_MM:
                break
        if best is not None:
            return best[1:]
        if len(failures) == len(ports):  # it is not the other tools that are in the way
            raise failures[0]
    raise SceneError(
        f"the {instrument.name} at {tool.target!r} must keep {_APART_MM:g} mm away from the other "
        f"tools, but {_COURSES} courses through {', '.join(p.name for p in ports)} run into them; "
        "choose other ports or targets"
    )


def _beside(target: Target, rng: np.random.Generator) -> Target:
    """Another place on the same target."""
    way = np.append(rng.normal(size=2), 0.0)
    way *= rng.uniform(0.5, 1.0) * max(target.radius_mm, _BESIDE_MM) / np.linalg.norm(way)
    return replace(target, point_mm=target.point_mm + frame_of(target) @ way)


def _by_ease(
    courses: Sequence[Course], work: Workspace, failures: list[SceneError]
) -> Iterator[Prepared]:
    """The first course if its way is free, then those that tissue bars least; notes failures."""
    ready: list[tuple[float, int, Prepared]] = []
    for number, course in enumerate(courses):
        try:
            prepared = prepare(course, work)
        except SceneError as error:
            failures.append(error)
            continue
        barred = prepared.barred_mm(work)
        if number == 0 and barred <= _HARDLY_MM:
            yield prepared
        else:
            ready.append((max(barred, _HARDLY_MM), number, prepared))
    for _, _, prepared in sorted(ready, key=lambda one: one[:2]):
        yield prepared


def _followed(
    prepared: Prepared,
    work: Workspace,
    among: tuple[int, Sequence[Rods]],
    failures: list[SceneError],
) -> tuple[float, PlacedInstrument, Rods] | None:
    """How near it comes to its target, the instrument, and its rods.

    None where it would run into another one, or cannot follow its course.
    """
    (instance, taken), course = among, prepared.course
    if least_gap(tool_rods(course.instrument, course.port, prepared.poses), taken) < _APART_MM:
        return None
    try:
        placed = follow(prepared, work, instance)
    except SceneError as error:
        failures.append(error)
        return None
    poses = placed.motion.world_from_rest
    rods = tool_rods(course.instrument, course.port, poses)
    tip = course.instrument.keypoints["tip"]
    places = poses[:, tip.part, :3, :3] @ tip.point_mm + poses[:, tip.part, :3, 3]
    missed = float(np.linalg.norm(places - prepared.held.path_mm, axis=1).min())
    return (missed, placed, rods) if least_gap(rods, taken) >= _APART_MM else None


def _instrument(tool: ToolSettings, rng: np.random.Generator) -> Instrument:
    if tool.own is not None:
        return read_urdf(tool.own)
    kind = tool.kind.pick(rng) if isinstance(tool.kind, Choice) else tool.kind
    shaft = tool.shaft.pick(rng) if isinstance(tool.shaft, Choice) else tool.shaft
    return build_tool(kind, tool.diameter_mm, shaft)

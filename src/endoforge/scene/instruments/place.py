# SPDX-License-Identifier: Apache-2.0
"""Puts instruments into a scene: through ports, at their targets, clear of tissue, over time."""

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import Choice
from endoforge.errors import SceneError
from endoforge.scene.instruments.build import build_tool
from endoforge.scene.instruments.channel import place_channel_tool
from endoforge.scene.instruments.course import Course, follow
from endoforge.scene.instruments.motion import PlacedInstrument
from endoforge.scene.instruments.plan import sample_plan
from endoforge.scene.instruments.records import Instrument
from endoforge.scene.instruments.settings import InstrumentSettings, ToolSettings
from endoforge.scene.instruments.urdf import read_urdf
from endoforge.scene.instruments.workspace import Workspace, place_named


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

# SPDX-License-Identifier: Apache-2.0
"""Puts instruments among the organs: one surface, one motion, one list of materials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from endoforge.errors import SceneError
from endoforge.scene.anatomy.abdomen.motion import BodyMotion
from endoforge.scene.anatomy.surfaces import join
from endoforge.scene.instruments.motion import PlacedInstrument
from endoforge.scene.motion import joined
from endoforge.scene.records import Landmark, Motion, Surface


@dataclass(frozen=True, eq=False)
class Cast:
    """Everything in a scene that has a surface.

    Attributes:
        surface: All of it, at rest.
        materials: Names by `Surface.face_material`; a tool's own are ``"steel/grasper-21"``.
        motion: How it moves; None if nothing does.
        tools: The instruments.
    """

    surface: Surface
    materials: tuple[str, ...]
    motion: Motion | None
    tools: tuple[PlacedInstrument, ...] = ()

    @property
    def landmarks(self) -> tuple[Landmark, ...]:
        """The key points of all instruments."""
        return tuple(mark for tool in self.tools for mark in tool.landmarks)


def with_tools(cast: Cast, tools: Sequence[PlacedInstrument]) -> Cast:
    """Add instruments; tissue that their jaws hold follows them.

    Raises:
        SceneError: A tool pulls on tissue that cannot move.
    """
    if not tools:
        return cast
    surfaces, materials = [cast.surface], list(cast.materials)
    for tool in tools:
        surfaces.append(_numbered(tool, len(materials)))
        materials += [f"{name}/{_name(tool)}" for name in tool.instrument.materials]
    surface = join(surfaces)
    starts = np.cumsum([len(s.vertices_mm) for s in surfaces])
    parts: list[tuple[Motion | None, int]] = [(_pulled(cast.motion, tools), 0)]
    parts += [(tool.motion, int(start)) for tool, start in zip(tools, starts[:-1], strict=True)]
    return Cast(
        surface=surface,
        materials=tuple(materials),
        motion=joined(surface.vertices_mm, parts),
        tools=(*cast.tools, *tools),
    )


def base_material(name: str) -> str:
    """The material whose look one of a tool's own has: ``"steel"`` of ``"steel/grasper-21"``."""
    return name.partition("/")[0]


def tool_facts(tools: Sequence[PlacedInstrument], frame: int) -> list[Mapping[str, object]]:
    """Plain values of all instruments at a frame: kind, joints and poses of the parts."""
    return [{"name": _name(tool), **tool.facts_at(frame)} for tool in tools]


def _name(tool: PlacedInstrument) -> str:
    return f"{tool.instrument.name}-{tool.instance}"


def _numbered(tool: PlacedInstrument, first: int) -> Surface:
    """A tool's surface with materials counted from the scene's next free number."""
    own = tool.surface.face_material
    if own is None:
        own = np.zeros(len(tool.surface.faces), np.uint8)
    return replace(tool.surface, face_material=own + np.uint8(first))


def _pulled(motion: Motion | None, tools: Sequence[PlacedInstrument]) -> Motion | None:
    pulls = [pull for tool in tools for pull in tool.pulls]
    if not pulls:
        return motion
    if not isinstance(motion, BodyMotion):
        raise SceneError(
            "an instrument that pulls needs organs that can move, got a still anatomy; set "
            "anatomy.motion, or another behaviour of the instrument"
        )
    return motion.pulled(pulls)

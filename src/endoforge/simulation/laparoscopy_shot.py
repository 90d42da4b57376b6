# SPDX-License-Identifier: Apache-2.0
"""A laparoscope in an insufflated abdomen."""

from functools import lru_cache

import numpy as np
from pydantic import TypeAdapter

from endoforge.errors import SceneError
from endoforge.frames.storage import to_json
from endoforge.scene.anatomy.abdomen.anatomy import AbdomenAnatomy
from endoforge.scene.anatomy.abdomen.build import build_abdomen
from endoforge.scene.anatomy.abdomen.given import Given
from endoforge.scene.anatomy.abdomen.settings import (
    AbdomenSettings,
    AnyAbdomen,
    CtAbdomen,
    MeshAbdomen,
)
from endoforge.scene.instruments.apart import least_gap, scope_rods, tool_rods
from endoforge.scene.instruments.place import place_instruments
from endoforge.scene.instruments.workspace import Workspace
from endoforge.scene.paths.plan import CameraPath, camera_path
from endoforge.scene.paths.room import Room
from endoforge.scene.records import ABDOMEN_LABELS, Scene
from endoforge.simulation.draws import Draw
from endoforge.simulation.equipment import Cast, with_tools
from endoforge.simulation.patient import organs_of
from endoforge.simulation.settings import LaparoscopySimulation
from endoforge.simulation.shot import Shot, equipped
from endoforge.simulation.tissues import dressed
from endoforge.streams import stream

_ABDOMEN: TypeAdapter[AbdomenSettings | CtAbdomen | MeshAbdomen] = TypeAdapter(AnyAbdomen)
_TRIES = 6  # of tools and camera together
_REMEMBERED = 10  # abdomens; one takes seconds to draw and about 20 MB


def laparoscopy_shot(draw: Draw[LaparoscopySimulation], given: Given | None = None) -> Shot:
    """Settle one sequence in an abdomen.

    Args:
        draw: The sequence's draw.
        given: A patient's organs that all sequences share; None reads or draws them.

    Raises:
        SceneError: The anatomy cannot be used, or leaves camera or tools no room.
    """
    settings = draw.settings
    anatomy = abdomen_of(settings, draw.counters["anatomy"], given)
    frames = settings.frames_of(draw.sequence)
    work = Workspace(
        surface=anatomy.surface,
        targets=anatomy.targets,
        ports=anatomy.ports,
        frames=frames,
        labels=ABDOMEN_LABELS,
        motion=anatomy.motion,
    )
    streams = draw.stream("instruments"), draw.stream("trajectory")
    cast, path = _staged(anatomy, work, settings, streams)
    draw, tissues = dressed(draw, cast.materials, {})
    scene = Scene(
        surface=cast.surface,
        tissues=tissues,
        labels=ABDOMEN_LABELS,
        motion=cast.motion,
        landmarks=cast.landmarks,
        materials=cast.materials,
        provenance=anatomy.provenance,
    )
    return equipped(draw, scene, path, cast.tools)


def _staged(
    anatomy: AbdomenAnatomy,
    work: Workspace,
    settings: LaparoscopySimulation,
    streams: tuple[np.random.Generator, np.random.Generator],
) -> tuple[Cast, CameraPath]:
    """Tools and camera, drawn again where a tool would run through the laparoscope.

    Raises:
        SceneError: There is no room for one of them, or not for both.
    """
    ports = {port.name: port for port in anatomy.ports}
    for _ in range(_TRIES):
        tools = place_instruments(settings.instruments, streams[0], work)
        cast = with_tools(Cast(anatomy.surface, anatomy.materials, anatomy.motion), tools)
        room = Room(cast.surface, None, anatomy.targets, anatomy.ports, cast.motion)
        path = camera_path(settings.trajectory, room, streams[1], work.frames)
        if path.world_from_shaft is None:
            return cast, path
        scope = scope_rods(path.world_from_shaft)
        rods = [
            tool_rods(t.instrument, ports[t.facts["port"]], t.motion.world_from_rest[1:-1])
            for t in tools
        ]
        if least_gap(scope, rods) > 0:
            return cast, path
    raise SceneError(
        f"tools and laparoscope must not run through each other, but {_TRIES} of {_TRIES} draws "
        "did; choose other ports for the tools or another target for the trajectory"
    )


def abdomen_of(
    settings: LaparoscopySimulation, counter: int, given: Given | None = None
) -> AbdomenAnatomy:
    """The abdomen of a counter of the anatomy's random streams; several sequences may share it.

    Raises:
        SceneError, DataError: The anatomy, or a file that it comes from, cannot be used.
    """
    values = settings.anatomy.model_dump(mode="json")
    given = given or organs_of(settings.anatomy)
    return _remembered(to_json(values), settings.seed, counter, given)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(settings_json: str, seed: int, counter: int, given: Given) -> AbdomenAnatomy:
    settings = _ABDOMEN.validate_json(settings_json)
    return build_abdomen(settings, stream(seed, "anatomy", counter), given)

# SPDX-License-Identifier: Apache-2.0
"""A laparoscope in an insufflated abdomen."""

from functools import lru_cache

from endoforge.scene.anatomy.abdomen.anatomy import AbdomenAnatomy
from endoforge.scene.anatomy.abdomen.build import build_abdomen
from endoforge.scene.anatomy.abdomen.settings import AbdomenSettings
from endoforge.scene.instruments.place import place_instruments
from endoforge.scene.instruments.workspace import Workspace
from endoforge.scene.paths.plan import camera_path
from endoforge.scene.paths.room import Room
from endoforge.scene.records import ABDOMEN_LABELS, Scene
from endoforge.simulation.draws import Draw
from endoforge.simulation.equipment import Cast, with_tools
from endoforge.simulation.settings import LaparoscopySimulation
from endoforge.simulation.shot import Shot, equipped
from endoforge.simulation.tissues import dressed
from endoforge.streams import stream

_REMEMBERED = 10  # abdomens; one takes seconds to draw and about 20 MB


def laparoscopy_shot(draw: Draw, settings: LaparoscopySimulation) -> Shot:
    """Settle one sequence in an abdomen.

    Args:
        draw: The sequence's draw.
        settings: Its settings, the same as the draw's.

    Raises:
        SceneError: The anatomy cannot be used, or leaves camera or tools no room.
    """
    anatomy = _anatomy(settings.anatomy.model_dump_json(), settings.seed, draw.counters["anatomy"])
    frames = settings.frames_of(draw.sequence)
    work = Workspace(
        surface=anatomy.surface,
        targets=anatomy.targets,
        ports=anatomy.ports,
        frames=frames,
        labels=ABDOMEN_LABELS,
        motion=anatomy.motion,
    )
    tools = place_instruments(settings.instruments, draw.stream("instruments"), work)
    cast = with_tools(Cast(anatomy.surface, anatomy.materials, anatomy.motion), tools)
    room = Room(cast.surface, None, anatomy.targets, anatomy.ports)
    path = camera_path(settings.trajectory, room, draw.stream("trajectory"), frames)
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


@lru_cache(maxsize=_REMEMBERED)
def _anatomy(settings_json: str, seed: int, counter: int) -> AbdomenAnatomy:
    """An abdomen that several sequences may share."""
    settings = AbdomenSettings.model_validate_json(settings_json)
    return build_abdomen(settings, stream(seed, "anatomy", counter))

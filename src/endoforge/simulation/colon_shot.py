# SPDX-License-Identifier: Apache-2.0
"""A colonoscope in a colon."""

import numpy as np

from endoforge.scene.anatomy.build import Anatomy, build_anatomy
from endoforge.scene.anatomy.peristalsis import Peristalsis, sample_motility
from endoforge.scene.instruments.place import place_instruments
from endoforge.scene.instruments.workspace import Workspace
from endoforge.scene.paths.plan import camera_path
from endoforge.scene.paths.room import Room
from endoforge.scene.records import COLON_LABELS, Scene
from endoforge.simulation.draws import Draw
from endoforge.simulation.equipment import Cast, with_tools
from endoforge.simulation.settings import ColonSimulation
from endoforge.simulation.shot import Shot, equipped
from endoforge.simulation.tissues import dressed


def colon_shot(draw: Draw[ColonSimulation], anatomy: Anatomy | None) -> Shot:
    """Settle one sequence in a colon.

    Args:
        draw: The sequence's draw.
        anatomy: A patient's anatomy that all sequences share; None draws one.

    Raises:
        SceneError: The anatomy cannot be used, or has no room for the camera.
    """
    settings = draw.settings
    if anatomy is None:
        anatomy = build_anatomy(settings.anatomy, draw.stream("anatomy"))
    frames = settings.frames_of(draw.sequence)
    motion = _motion(draw, anatomy)
    free = anatomy.centreline if motion is None else motion.safe_centreline(frames)
    room = Room(anatomy.surface, free, anatomy.targets, motion=motion)
    path = camera_path(settings.trajectory, room, draw.stream("trajectory"), frames)
    work = Workspace(anatomy.surface, anatomy.targets, (), frames, COLON_LABELS, motion)
    first, last = path.moments[:1, 0], path.moments[-1:, 2]
    scope = np.concatenate([first, path.camera_from_world, last])
    tools = place_instruments(settings.instruments, draw.stream("instruments"), work, scope)
    cast = with_tools(Cast(anatomy.surface, anatomy.materials, motion), tools)
    draw, tissues = dressed(draw, cast.materials, {"mucosa": settings.tissue})
    scene = Scene(
        surface=cast.surface,
        tissues=tissues,
        labels=COLON_LABELS,
        centreline=anatomy.centreline,
        motion=cast.motion,
        landmarks=cast.landmarks,
        materials=cast.materials,
        provenance=anatomy.provenance,
    )
    return equipped(draw, scene, path, cast.tools)


def _motion(draw: Draw[ColonSimulation], anatomy: Anatomy) -> Peristalsis | None:
    """How the colon moves by itself, if it does."""
    motility = draw.settings.anatomy.motility
    if motility is None:
        return None
    length = anatomy.centreline.length_mm
    drawn = sample_motility(motility, length, draw.stream("motion"))
    return Peristalsis(anatomy.surface, anatomy.centreline, drawn)

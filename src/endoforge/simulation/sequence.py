# SPDX-License-Identifier: Apache-2.0
"""The pure core: one sequence is a function of the settings, the seed and its number."""

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from endoforge.frames.frame import Frame
from endoforge.render.surface import SurfaceRenderer
from endoforge.render.view import RightEye, View
from endoforge.scene.anatomy.abdomen.given import Given
from endoforge.scene.anatomy.build import Anatomy
from endoforge.simulation.cinematic_shot import cinematic_frames
from endoforge.simulation.colon_shot import colon_shot
from endoforge.simulation.draws import draw_sequence
from endoforge.simulation.frame_facts import Chronicle
from endoforge.simulation.label_choice import FIELDS_OF
from endoforge.simulation.laparoscopy_shot import laparoscopy_shot
from endoforge.simulation.patient import Patient
from endoforge.simulation.settings import (
    AnySimulation,
    CinematicSimulation,
    ColonSimulation,
    LaparoscopySimulation,
)
from endoforge.simulation.shot import Shot


def prepare_shot(
    settings: ColonSimulation | LaparoscopySimulation,
    sequence: int,
    patient: Patient | None = None,
) -> Shot:
    """Draw the anatomy, looks, lights, sensor and path of one sequence, each from its own stream.

    Args:
        settings: The whole simulation.
        sequence: Which sequence, from 0.
        patient: What all sequences share; None draws it, or reads the user's files again.
    """
    match settings:
        case ColonSimulation():
            assert not isinstance(patient, Given)
            return colon_shot(draw_sequence(settings, sequence), patient)
        case LaparoscopySimulation():
            assert not isinstance(patient, Anatomy)
            return laparoscopy_shot(draw_sequence(settings, sequence), patient)
        case _:
            assert_never(settings)


def render_sequence(
    settings: AnySimulation, sequence: int, patient: Patient | None = None
) -> Iterator[Frame]:
    """Render the frames of one sequence in order.

    Args:
        settings: The whole simulation.
        sequence: Which sequence, from 0.
        patient: What all sequences share; None draws it, or reads the user's files again.
    """
    if isinstance(settings, CinematicSimulation):
        yield from cinematic_frames(draw_sequence(settings, sequence))
        return
    shot = prepare_shot(settings, sequence, patient)
    wanted = settings.wanted
    fields = frozenset(field for name in wanted for field in FIELDS_OF[name])
    renderer = SurfaceRenderer(shot.scene, shot.camera, labels=fields)
    chronicle = Chronicle(shot, wanted)
    for index in range(settings.frames_of(sequence)):
        frame = renderer.render(view_of(shot, index), shot.transport)
        frame = replace(frame, sequence=sequence)
        yield replace(frame, facts=chronicle.facts_of(frame))


def view_of(shot: Shot, index: int) -> View:
    """What the renderer is asked for one frame; a replay asks for the number it had at first."""
    before, here, after = shot.path.moments[index]
    right = None
    if shot.right is not None:
        camera, right_from_left = shot.right
        right = RightEye(camera, right_from_left @ here)
    return View(
        sequence=shot.draw.settings.first_sequence + shot.draw.sequence,
        index=index,
        camera_from_world=here,
        next_camera_from_world=after,
        lights=shot.lights,
        sensor=shot.sensor,
        previous_camera_from_world=before,
        right=right,
        seed=shot.draw.settings.seed,
    )

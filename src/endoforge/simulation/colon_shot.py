# SPDX-License-Identifier: Apache-2.0
"""A colonoscope in a colon."""

from endoforge.optics.light import sample_lights
from endoforge.optics.sensor import sample_sensor
from endoforge.scene.anatomy.build import Anatomy, build_anatomy
from endoforge.scene.records import COLON_LABELS, Scene
from endoforge.scene.trajectory import fly_through
from endoforge.simulation.cameras import build_camera, right_from_left
from endoforge.simulation.draws import Draw
from endoforge.simulation.settings import ColonSimulation
from endoforge.simulation.shot import Shot
from endoforge.simulation.tissues import dressed


def colon_shot(draw: Draw, settings: ColonSimulation, anatomy: Anatomy | None) -> Shot:
    """Settle one sequence in a colon.

    Args:
        draw: The sequence's draw.
        settings: Its settings, the same as the draw's.
        anatomy: A patient's anatomy that all sequences share; None draws one.

    Raises:
        SceneError: The anatomy cannot be used, or has no room for the camera.
    """
    if anatomy is None:
        anatomy = build_anatomy(settings.anatomy, draw.stream("anatomy"))
    draw, tissues = dressed(draw, anatomy.materials, {"mucosa": settings.tissue})
    count = settings.frames_of(draw.sequence)
    poses = fly_through(
        anatomy.centreline, settings.trajectory, draw.stream("trajectory"), count + 1
    )
    scene = Scene(
        surface=anatomy.surface,
        tissues=tissues,
        labels=COLON_LABELS,
        centreline=anatomy.centreline,
        materials=anatomy.materials,
        provenance=anatomy.provenance,
    )
    camera, stereo = build_camera(settings.camera), settings.camera.stereo
    return Shot(
        draw=draw,
        scene=scene,
        camera=camera,
        poses=poses,
        lights=sample_lights(settings.light, draw.stream("light")),
        sensor=sample_sensor(settings.sensor, draw.stream("sensor")),
        right=None if stereo is None else (camera, right_from_left(stereo)),
    )

# SPDX-License-Identifier: Apache-2.0
"""A laparoscope in an insufflated abdomen."""

import numpy as np

from endoforge.geometry.poses import look_at
from endoforge.optics.light import sample_lights
from endoforge.optics.sensor import sample_sensor
from endoforge.scene.anatomy.abdomen.build import build_abdomen
from endoforge.scene.records import ABDOMEN_LABELS, Scene
from endoforge.simulation.cameras import build_camera, right_from_left
from endoforge.simulation.draws import Draw
from endoforge.simulation.settings import LaparoscopySimulation
from endoforge.simulation.shot import Shot
from endoforge.simulation.tissues import dressed


def laparoscopy_shot(draw: Draw, settings: LaparoscopySimulation) -> Shot:
    """Settle one sequence in an abdomen.

    Args:
        draw: The sequence's draw.
        settings: Its settings, the same as the draw's.

    Raises:
        SceneError: The anatomy cannot be used.
    """
    anatomy = build_abdomen(settings.anatomy, draw.stream("anatomy"))
    draw, tissues = dressed(draw, anatomy.materials, {})
    count = settings.frames_of(draw.sequence)
    eye = anatomy.ports[0].point_mm + 40.0 * anatomy.ports[0].normal
    pose = look_at(eye, anatomy.targets[0].point_mm, np.array([0.0, 1.0, 0.0]))
    scene = Scene(
        surface=anatomy.surface,
        tissues=tissues,
        labels=ABDOMEN_LABELS,
        motion=anatomy.motion,
        materials=anatomy.materials,
        provenance=anatomy.provenance,
    )
    camera, stereo = build_camera(settings.camera), settings.camera.stereo
    return Shot(
        draw=draw,
        scene=scene,
        camera=camera,
        poses=np.tile(pose, (count + 2, 1, 1)),
        lights=sample_lights(settings.light, draw.stream("light")),
        sensor=sample_sensor(settings.sensor, draw.stream("sensor")),
        right=None if stereo is None else (camera, right_from_left(stereo)),
    )

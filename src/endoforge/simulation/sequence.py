# SPDX-License-Identifier: Apache-2.0
"""The pure core: one sequence is a function of the settings, the seed and its number."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from endoforge.frames.frame import Frame
from endoforge.geometry.camera_files import read_camera
from endoforge.geometry.cameras import Camera, FisheyeCamera, PinholeCamera
from endoforge.optics.light import LightSource, sample_lights
from endoforge.optics.sensor import SensorResponse, sample_sensor
from endoforge.optics.tissue import sample_tissue
from endoforge.render.surface import SurfaceRenderer, View
from endoforge.scene.anatomy.build import Anatomy, build_anatomy
from endoforge.scene.records import COLON_LABELS, Centreline, Scene
from endoforge.scene.trajectory import fly_through
from endoforge.simulation.settings import (
    CameraFileSettings,
    ColonSimulation,
    FisheyeSettings,
    PinholeSettings,
)
from endoforge.streams import stream


@dataclass(frozen=True, eq=False)
class Shot:
    """Everything about a sequence that is drawn once: where, with what light, on which tissue."""

    scene: Scene
    centreline: Centreline
    lights: tuple[LightSource, ...]
    sensor: SensorResponse


def build_camera(settings: FisheyeSettings | PinholeSettings | CameraFileSettings) -> Camera:
    """Build the camera that the settings describe.

    Raises:
        CameraError: The camera file is damaged or describes an impossible lens.
    """
    match settings:
        case FisheyeSettings(width=width, height=height, diagonal_deg=angle, distortion=k):
            return FisheyeCamera.from_field_of_view(width, height, angle, k)
        case PinholeSettings(width=width, height=height, horizontal_deg=angle, distortion=k):
            return PinholeCamera.from_field_of_view(width, height, angle, k)
        case CameraFileSettings(file=file):
            return read_camera(Path(file))
        case _:
            assert_never(settings)


def prepare_shot(settings: ColonSimulation, sequence: int, anatomy: Anatomy | None = None) -> Shot:
    """Draw the anatomy, tissue, lights and sensor of one sequence, each from its own stream.

    Args:
        settings: The whole simulation.
        sequence: Which sequence, from 0.
        anatomy: A patient's anatomy that all sequences share; None draws one per sequence.
    """
    if anatomy is None:
        anatomy = build_anatomy(settings.anatomy, stream(settings.seed, "anatomy", sequence))
    scene = Scene(
        surface=anatomy.surface,
        centreline=anatomy.centreline,
        tissues=(sample_tissue(settings.tissue, stream(settings.seed, "tissue", sequence)),),
        labels=COLON_LABELS,
        provenance=anatomy.provenance,
    )
    return Shot(
        scene=scene,
        centreline=anatomy.centreline,
        lights=sample_lights(settings.light, stream(settings.seed, "light", sequence)),
        sensor=sample_sensor(settings.sensor, stream(settings.seed, "sensor", sequence)),
    )


def render_sequence(
    settings: ColonSimulation, sequence: int, anatomy: Anatomy | None = None
) -> Iterator[Frame]:
    """Render the frames of one sequence in order.

    Args:
        settings: The whole simulation.
        sequence: Which sequence, from 0.
        anatomy: A patient's anatomy that all sequences share; None draws one per sequence.
    """
    shot = prepare_shot(settings, sequence, anatomy)
    count = settings.frames_of(sequence)
    motion = stream(settings.seed, "trajectory", sequence)
    poses = fly_through(shot.centreline, settings.trajectory, motion, count)
    renderer = SurfaceRenderer(shot.scene, build_camera(settings.camera))
    for index in range(count):
        yield renderer.render(
            View(
                sequence=sequence,
                index=index,
                camera_from_world=poses[index],
                next_camera_from_world=poses[index + 1],
                lights=shot.lights,
                sensor=shot.sensor,
            )
        )

# SPDX-License-Identifier: Apache-2.0
"""Everything about a sequence that is settled before its first frame is rendered."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.geometry.cameras import Camera
from endoforge.optics.light import LightSource, sample_lights
from endoforge.optics.sensor import SensorResponse, sample_sensor
from endoforge.render.transport import Transport, sample_transport
from endoforge.scene.instruments.motion import PlacedInstrument
from endoforge.scene.paths.plan import CameraPath
from endoforge.scene.records import Scene
from endoforge.simulation.cameras import build_camera, right_from_left
from endoforge.simulation.draws import Draw
from endoforge.simulation.settings import SurfaceSimulation


@dataclass(frozen=True, eq=False)
class Shot:
    """Where, with what light, through which lens, along which path.

    Attributes:
        draw: The settings with this sequence's draws.
        scene: Anatomy, tools, looks and motion.
        camera: The lens of the left, or only, eye.
        path: Where the camera is at every frame, and just before and after it.
        lights: The sources beside the lens.
        sensor: From radiance to the picture.
        transport: Bounces, aperture and shutter.
        right: The right eye's lens and pose against the left one; None for one eye.
        tools: The instruments of the scene.
    """

    draw: Draw[SurfaceSimulation]
    scene: Scene
    camera: Camera
    path: CameraPath
    lights: tuple[LightSource, ...]
    sensor: SensorResponse
    transport: Transport
    right: tuple[Camera, Float64[np.ndarray, "4 4"]] | None = None
    tools: tuple[PlacedInstrument, ...] = ()


def equipped(
    draw: Draw[SurfaceSimulation],
    scene: Scene,
    path: CameraPath,
    tools: tuple[PlacedInstrument, ...] = (),
) -> Shot:
    """Add the scope: its lens or lenses, lamp, sensor and shutter.

    Raises:
        CameraError: The camera file is damaged or describes an impossible lens.
    """
    settings = draw.settings
    camera, stereo = build_camera(settings.camera), settings.camera.stereo
    return Shot(
        draw=draw,
        scene=scene,
        camera=camera,
        path=path,
        lights=sample_lights(settings.light, draw.stream("light")),
        sensor=sample_sensor(settings.sensor, draw.stream("sensor")),
        transport=sample_transport(settings.transport, draw.stream("camera", "transport")),
        right=None if stereo is None else (camera, right_from_left(stereo)),
        tools=tools,
    )

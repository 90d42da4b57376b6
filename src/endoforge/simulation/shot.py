# SPDX-License-Identifier: Apache-2.0
"""Everything about a sequence that is settled before its first frame is rendered."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.geometry.cameras import Camera
from endoforge.optics.light import LightSource
from endoforge.optics.sensor import SensorResponse
from endoforge.scene.records import Scene
from endoforge.simulation.draws import Draw


@dataclass(frozen=True, eq=False)
class Shot:
    """Where, with what light, through which lens, along which path.

    Attributes:
        draw: The settings with this sequence's draws.
        scene: Anatomy, tools, looks and motion.
        camera: The lens of the left, or only, eye.
        poses: camera_from_world of frame -1, of every frame, and of the one after the last.
        lights: The sources beside the lens.
        sensor: From radiance to the picture.
        right: The right eye's lens and pose against the left one; None for one eye.
    """

    draw: Draw
    scene: Scene
    camera: Camera
    poses: Float64[np.ndarray, "poses 4 4"]
    lights: tuple[LightSource, ...]
    sensor: SensorResponse
    right: tuple[Camera, Float64[np.ndarray, "4 4"]] | None = None

# SPDX-License-Identifier: Apache-2.0
"""What is asked of the renderer for one frame, and what it answers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from endoforge.frames.frame import Frame
from endoforge.geometry.cameras import Camera
from endoforge.optics.light import LightSource
from endoforge.optics.sensor import SensorResponse

#: The optional labels that the renderer can give, by their names in `frames.frame.Frame`.
OPTIONAL_LABELS = frozenset(
    {
        "clean",
        "albedo",
        "shading",
        "specular",
        "back_flow_px",
        "back_occluded",
        "texture_mm",
        "material",
        "moving",
        "right",
    }
)


@dataclass(frozen=True, eq=False)
class RightEye:
    """The second eye of a stereo scope at the moment of a view.

    Attributes:
        camera: Its lens.
        camera_from_world: Its pose, mm.
    """

    camera: Camera
    camera_from_world: Float64[np.ndarray, "4 4"]


@dataclass(frozen=True, eq=False)
class View:
    """All that changes from frame to frame.

    Attributes:
        sequence: Number of the sequence.
        index: Number of the frame within it; the scene's motion is asked for this frame.
        camera_from_world: Pose of this frame, mm.
        next_camera_from_world: Pose that the flow leads to, mm.
        lights: Sources beside the lens, one to four; they ride with this camera.
        sensor: From radiance to the picture.
        previous_camera_from_world: Pose that the backward flow leads to, mm; None for none.
        right: The second eye of a stereo scope; None for a scope with one.
        seed: The run's seed, for what is drawn anew in each frame: the sensor's noise.
    """

    sequence: int
    index: int
    camera_from_world: Float64[np.ndarray, "4 4"]
    next_camera_from_world: Float64[np.ndarray, "4 4"]
    lights: tuple[LightSource, ...]
    sensor: SensorResponse
    previous_camera_from_world: Float64[np.ndarray, "4 4"] | None = None
    right: RightEye | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Rendering:
    """A frame, and the light that reached the sensor before it was developed.

    Attributes:
        frame: The labelled frame.
        radiance: Scene-linear RGB; 0 where the lens sees nothing.
    """

    frame: Frame
    radiance: Float32[np.ndarray, "height width 3"]

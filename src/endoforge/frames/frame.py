# SPDX-License-Identifier: Apache-2.0
"""The Frame: one picture with everything that is known about each of its pixels.

It is the only thing that the rendering tower and the learning tower share. How frames lie on disk
is the business of `frames.shards`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8, UInt16

from endoforge.geometry.cameras import Camera

#: Class index of a pixel that no metric and no loss may look at.
IGNORE = 255


@dataclass(frozen=True, eq=False)
class Frame:
    """One labelled frame, channels last, in the conventions of docs/concepts/conventions.md.

    Attributes:
        sequence: Number of the sequence (one camera trajectory through one scene).
        index: Number of the frame within its sequence.
        image: Display-referred sRGB, 0 to 255.
        camera: The lens that made the picture.
        camera_from_world: Pose of this frame, maps world points to the camera frame, mm.
        next_camera_from_world: Pose that the flow leads to, mm.
        depth_mm: z in the camera frame, mm; NaN where invalid.
        valid: True where depth, normal and flow mean something.
        normal_camera: Unit normal in the camera frame, on the camera's side; NaN where invalid.
        label: Class index; names are in the data set's label map; 255 means ignore.
        instance: Number of the object within the scene; 0 means none.
        flow_px: (du, dv) of the visible point from this frame to the next, px; NaN where invalid.
        occluded: True where that point is hidden or out of the field in the next frame.
    """

    sequence: int
    index: int
    image: UInt8[np.ndarray, "height width 3"]
    camera: Camera
    camera_from_world: Float64[np.ndarray, "4 4"]
    next_camera_from_world: Float64[np.ndarray, "4 4"]
    depth_mm: Float32[np.ndarray, "height width"]
    valid: Bool[np.ndarray, "height width"]
    normal_camera: Float32[np.ndarray, "height width 3"]
    label: UInt8[np.ndarray, "height width"]
    instance: UInt16[np.ndarray, "height width"]
    flow_px: Float32[np.ndarray, "height width 2"]
    occluded: Bool[np.ndarray, "height width"]

# SPDX-License-Identifier: Apache-2.0
"""The Frame: one picture with everything that is known about each of its pixels.

It is the only thing that the rendering tower and the learning tower share. How frames lie on disk
is the business of `frames.shards`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int16, UInt8, UInt16

from endoforge.geometry.cameras import Camera

#: Class index of a pixel that no metric and no loss may look at.
IGNORE = 255


@dataclass(frozen=True, eq=False)
class RightView:
    """What the second eye of a stereo scope saw at the same moment.

    Attributes:
        image: Display-referred sRGB, 0 to 255.
        camera: The right lens.
        camera_from_world: Its pose, mm.
        depth_mm: z in the right camera's frame, mm; NaN where invalid.
        from_left_px: (du, dv) from each pixel of the left picture to the same point in the right
            one, px; NaN where invalid. A rectified rig has dv = 0 and the disparity -du.
        occluded: True where the left picture's point is hidden or out of field on the right.
    """

    image: UInt8[np.ndarray, "height width 3"]
    camera: Camera
    camera_from_world: Float64[np.ndarray, "4 4"]
    depth_mm: Float32[np.ndarray, "height width"]
    from_left_px: Float32[np.ndarray, "height width 2"]
    occluded: Bool[np.ndarray, "height width"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One labelled frame, channels last, in the conventions of docs/concepts/conventions.md.

    The labels from `clean` on are optional: None where they were not asked for.

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
        clean: The picture without any fault of lens, sensor or coding, same exposure and response.
        albedo: Share of the light that the surface gives back, linear RGB, 0 to 1; NaN where
            invalid. radiance = albedo * shading + film, before the sensor.
        shading: Diffuse light that reaches the eye per unit of albedo, linear RGB; NaN where
            invalid.
        specular: True where the wet film's reflection is brighter (BT.709 luminance, before the
            sensor) than the tissue under it, albedo * shading.
        back_flow_px: (du, dv) of the visible point from this frame to the previous one, px.
        back_occluded: True where that point was hidden or out of the field in the previous frame.
        texture_mm: The visible point in the rest frame of its object, mm: the same number for the
            same piece of tissue in every frame, however it moves or deforms; NaN where invalid.
        material: Number of the object that `texture_mm` belongs to; 0 where nothing was met.
        moving: True where the visible tissue may move by itself between the previous frame and the
            next one; elsewhere only the camera moves and flow follows from depth and poses alone.
            None if nothing moves.
        right: The second eye of a stereo scope.
        opacity: Share of the eye's ray that a volume stops, 0 to 1; docs/concepts/volume-labels.md.
        expected_depth_mm: Mean z at which a volume stops it, mm; NaN where it stops nothing.
        first_depth_mm: z at which its opacity first passes the threshold of first hits, mm; NaN
            where it never does.
        hu: Hounsfield units at the labelled depth of a volume; -1024 where there is none.
        facts: Further plain values: lights, sensor, instruments, keypoints, objects, tracks.
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
    clean: UInt8[np.ndarray, "height width 3"] | None = None
    albedo: Float32[np.ndarray, "height width 3"] | None = None
    shading: Float32[np.ndarray, "height width 3"] | None = None
    specular: Bool[np.ndarray, "height width"] | None = None
    back_flow_px: Float32[np.ndarray, "height width 2"] | None = None
    back_occluded: Bool[np.ndarray, "height width"] | None = None
    texture_mm: Float32[np.ndarray, "height width 3"] | None = None
    material: UInt8[np.ndarray, "height width"] | None = None
    moving: Bool[np.ndarray, "height width"] | None = None
    right: RightView | None = None
    opacity: Float32[np.ndarray, "height width"] | None = None
    expected_depth_mm: Float32[np.ndarray, "height width"] | None = None
    first_depth_mm: Float32[np.ndarray, "height width"] | None = None
    hu: Int16[np.ndarray, "height width"] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

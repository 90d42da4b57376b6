# SPDX-License-Identifier: Apache-2.0
"""What is asked of the volume renderer for one frame, and what it answers."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int16, UInt8

from endoforge.optics.illumination import WorldLight
from endoforge.optics.light import LightSource
from endoforge.render.volume.settings import DepthRule


@dataclass(frozen=True, eq=False)
class VolumeView:
    """All that changes from frame to frame.

    Attributes:
        camera_from_world: Pose of this frame, mm.
        lights: Sources beside the lens, none to four; they ride with this camera.
        world_light: Areas and surroundings.
        aperture_mm: Radius of the thin lens, mm; 0 is a pinhole.
        focus_mm: Depth z that is sharp, mm.
        seed: Of this frame's random numbers.
    """

    camera_from_world: Float64[np.ndarray, "4 4"]
    lights: tuple[LightSource, ...] = ()
    world_light: WorldLight = field(default_factory=WorldLight)
    aperture_mm: float = 0.0
    focus_mm: float = 30.0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class VolumeFlow:
    """Where the visible points are seen from another pose.

    Attributes:
        flow_px: (du, dv), px; NaN where there is no point or the lens there cannot see it.
        occluded: True where too little of the point's light would arrive, or out of the picture.
    """

    flow_px: Float32[np.ndarray, "height width 2"]
    occluded: Bool[np.ndarray, "height width"]


@dataclass(frozen=True, eq=False)
class VolumeLabels:
    """What is known of each pixel without noise, from rays through pixel centres.

    T(t) is the transmittance from the eye to the distance t along the ray. The visible point of a
    pixel is the one that `rule` names.

    Attributes:
        distance_mm: Where T falls to 1/2, along the ray, mm; NaN where it never does.
        expected_mm: Mean distance of termination, of the light that is stopped at all; NaN where
            nothing stops it.
        first_mm: Where 1 - T first exceeds the threshold of first hits; NaN where it never does.
        opacity: 1 - T through the whole volume, 0 to 1.
        normal_camera: Unit, along the gradient of HU at the visible point, towards the camera; NaN
            where there is none.
        hu: Hounsfield units there; -1024 where there is no visible point.
        organ: The segmented organ there, 0 for none.
        found: True where there is a visible point.
        rule: `distance_mm`, `expected_mm` or `first_mm` is the distance of the visible point.
        next: Where the visible points go in the next frame; None where it was not asked for.
        previous: The same for the previous frame.
    """

    distance_mm: Float32[np.ndarray, "height width"]
    expected_mm: Float32[np.ndarray, "height width"]
    first_mm: Float32[np.ndarray, "height width"]
    opacity: Float32[np.ndarray, "height width"]
    normal_camera: Float32[np.ndarray, "height width 3"]
    hu: Int16[np.ndarray, "height width"]
    organ: UInt8[np.ndarray, "height width"]
    found: Bool[np.ndarray, "height width"]
    rule: DepthRule = "half"
    next: VolumeFlow | None = None
    previous: VolumeFlow | None = None


@dataclass(frozen=True, eq=False)
class Exposure:
    """A noisy picture and how noisy it is.

    Attributes:
        radiance: Mean over the samples, scene-linear RGB.
        samples: Paths per pixel.
        variance: Of the pixel's mean, per channel; None for a single sample.
        albedo: Mean of the first collision's albedo, a guide for the denoiser.
        seconds: That it took.
    """

    radiance: Float32[np.ndarray, "height width 3"]
    samples: int
    variance: Float32[np.ndarray, "height width 3"] | None
    albedo: Float32[np.ndarray, "height width 3"]
    seconds: float

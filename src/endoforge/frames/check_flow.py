# SPDX-License-Identifier: Apache-2.0
"""Does a displacement (to the next frame, the previous one, the other eye) follow from depth?

Depth, poses and lens decide for what stands still between the two pictures, and for that alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from endoforge.frames.frame import Frame
from endoforge.frames.sampling import depth_at, inside
from endoforge.geometry.cameras import Camera, pixel_centres
from endoforge.geometry.depth import points_from_depth
from endoforge.geometry.poses import transform_points

#: Largest disagreement of a stored displacement with depth, pose and lens, px (99.9 % of pixels).
FLOW_TOLERANCE_PX = 0.05

#: Largest median disagreement with the other picture's depth, as a share of depth.
DEPTH_TOLERANCE = 0.01

#: Share of pixels that may break a rule at edges, where rounding decides.
EDGES = 0.005


@dataclass(frozen=True)
class Fault:
    """What is wrong with a frame: a short kind and a sentence."""

    kind: str
    message: str


@dataclass(frozen=True, eq=False)
class Displacement:
    """Where the points of a picture are in another one.

    Attributes:
        kind: What a fault is called.
        stored_px: (du, dv), NaN where unknown.
        occluded: True where the point is hidden at the end.
        there_from_camera: Maps this camera's frame to that of the other picture, mm.
        camera: The lens of the other picture.
        still: True where depth and poses alone decide.
    """

    kind: str
    stored_px: Float[np.ndarray, "height width 2"]
    occluded: Bool[np.ndarray, "height width"]
    there_from_camera: Float[np.ndarray, "4 4"]
    camera: Camera
    still: Bool[np.ndarray, "height width"]

    @property
    def occlusion_kind(self) -> str:
        """What a fault of `occluded` is called."""
        return "occlusion" if self.kind == "flow" else f"{self.kind}-occlusion"


def still_pixels(frame: Frame) -> Bool[np.ndarray, "height width"]:
    """Valid pixels whose tissue does not move by itself."""
    return frame.valid if frame.moving is None else frame.valid & ~frame.moving


def points_there(frame: Frame, way: Displacement) -> Float[np.ndarray, "height width 3"]:
    """The points of a frame in the camera frame of the other picture, mm, if they stand still."""
    points = points_from_depth(frame.depth_mm.astype(np.float64), frame.camera.rays())
    moved: np.ndarray = transform_points(way.there_from_camera, points)
    return moved


def displacement_faults(frame: Frame, way: Displacement, depth_step_mm: float) -> Iterator[Fault]:
    """Yield where a displacement contradicts depth, poses and lens, or itself.

    Args:
        frame: Whose pixels are displaced.
        way: Where to.
        depth_step_mm: Precision of the stored depth, mm.
    """
    expected = _expected(frame, way, 0.0)
    seen, stored = np.isfinite(expected[..., 0]), np.isfinite(way.stored_px[..., 0])
    gaps = float((way.still & ~way.occluded & (seen != stored)).mean())
    if gaps > EDGES:
        yield Fault(
            way.kind, f"{100 * gaps:.1f} % of the visible pixels have no flow, or one too many"
        )
    both = seen & stored & way.still
    if both.any():
        apart = np.linalg.norm(way.stored_px - expected, axis=-1)[both]
        worst = float(np.quantile(apart, 0.999))
        if worst > FLOW_TOLERANCE_PX:  # close to the lens, one step of stored depth is worth more
            change = _expected(frame, way, depth_step_mm) - expected
            worst -= float(np.nanquantile(np.linalg.norm(change, axis=-1)[both], 0.999))
        if worst > FLOW_TOLERANCE_PX:
            yield Fault(
                way.kind, f"it is {worst:.2f} px off depth, pose and lens (99.9 % of pixels)"
            )
    landing = landing_of(frame, way.stored_px)
    lost = frame.valid & ~way.occluded & ~inside(landing, way.camera, FLOW_TOLERANCE_PX)
    if lost.mean() > EDGES:
        share = 100 * float(lost.mean())
        yield Fault(
            way.occlusion_kind, f"{share:.1f} % of the pixels leave the field but are visible"
        )


def depth_faults(
    frame: Frame, way: Displacement, depth_mm: Float[np.ndarray, "rows columns"], kind: str
) -> Iterator[Fault]:
    """Yield where the other picture's depth contradicts this one's, or the occlusion.

    Args:
        frame: Whose points are looked for in the other picture.
        way: Where to.
        depth_mm: z of the other picture's pixels in its own camera frame, mm.
        kind: What a fault of depth is called.
    """
    moved = points_there(frame, way)
    there = depth_at(depth_mm, way.camera.project(moved))
    both = way.still & np.isfinite(there) & np.isfinite(moved[..., 2])
    if not both.any():
        return
    apart = np.abs(there - moved[..., 2]) / np.maximum(moved[..., 2], 1e-3)
    visible = both & ~way.occluded
    if visible.any() and (middle := float(np.median(apart[visible]))) > DEPTH_TOLERANCE:
        yield Fault(
            kind, f"visible points are {100 * middle:.1f} % off the other picture's (median)"
        )
    agree = both & (apart < DEPTH_TOLERANCE / 2)
    hidden = float(way.occluded[agree].mean()) if agree.any() else 0.0
    if hidden > 0.25:
        yield Fault(
            way.occlusion_kind,
            f"{100 * hidden:.0f} % of the points that the other picture sees are occluded",
        )


def landing_of(
    frame: Frame, displacement_px: Float[np.ndarray, "height width 2"]
) -> Float[np.ndarray, "height width 2"]:
    """Where the points of a frame's pixels land in the other picture, px."""
    return np.asarray(pixel_centres(frame.camera.width, frame.camera.height) + displacement_px)


def _expected(
    frame: Frame, way: Displacement, depth_step_mm: float
) -> Float[np.ndarray, "height width 2"]:
    """The displacement if every depth were larger by a step."""
    depth = frame.depth_mm.astype(np.float64) + depth_step_mm
    moved = transform_points(way.there_from_camera, points_from_depth(depth, frame.camera.rays()))
    centres = pixel_centres(frame.camera.width, frame.camera.height)
    return np.asarray(way.camera.project(moved) - centres)

# SPDX-License-Identifier: Apache-2.0
"""Are the labels of a frame true? Each against its range, and all of them against each other.

Depth, pose and lens together predict flow, normals and the next frame's depth; a fault in any one
of them shows as a contradiction. Tolerances follow the precision of the files.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from endoforge.frames.frame import Frame
from endoforge.frames.manifest import DatasetManifest
from endoforge.geometry.cameras import Camera, camera_from_dict, pixel_centres
from endoforge.geometry.depth import normals_from_depth, points_from_depth
from endoforge.geometry.flow import flow_from_depth
from endoforge.geometry.poses import relative_pose, transform_points

#: Largest disagreement of the stored flow with depth, pose and lens, px (99.9 % of the pixels).
FLOW_TOLERANCE_PX = 0.05

#: Largest median angle between stored normals and those of the depth image, degrees, beyond what
#: the image's own resolution explains.
NORMAL_TOLERANCE_DEG = 2.0

#: Largest median disagreement with the next frame's depth, as a share of depth.
DEPTH_TOLERANCE = 0.01

#: Share of pixels that may break a rule at edges, where rounding decides.
_EDGES = 0.005


@dataclass(frozen=True)
class Fault:
    """What is wrong with a frame: a short kind and a sentence."""

    kind: str
    message: str


def frame_faults(frame: Frame, manifest: DatasetManifest) -> Iterator[Fault]:
    """Yield what is wrong within one frame.

    Args:
        frame: As it was read.
        manifest: What the data set promises.
    """
    yield from _lens_faults(frame, manifest)
    yield from _label_faults(frame, manifest)
    if not frame.valid.any():
        yield Fault("depth", "no pixel has a depth")
        return
    yield from _normal_faults(frame)
    yield from _normal_against_depth(frame)
    yield from _flow_faults(frame, manifest.depth_scale_mm)


def pair_faults(frame: Frame, following: Frame) -> Iterator[Fault]:
    """Yield contradictions between a frame and the next one of its sequence."""
    drift = float(np.abs(frame.next_camera_from_world - following.camera_from_world).max())
    if drift > 1e-6:
        yield Fault("pose", f"its next pose is not the pose of the next frame ({drift:.3g} off)")
    if frame.camera != following.camera:
        return
    moved = _moved_points(frame)
    landing = frame.camera.project(moved)
    there = _sampled(following.depth_mm, landing, frame.camera)
    both = frame.valid & np.isfinite(there) & np.isfinite(moved[..., 2])
    if not both.any():
        return
    apart = np.abs(there - moved[..., 2]) / np.maximum(moved[..., 2], 1e-3)
    visible = both & ~frame.occluded
    if visible.any() and (middle := float(np.median(apart[visible]))) > DEPTH_TOLERANCE:
        yield Fault(
            "depth-next",
            f"visible points are {100 * middle:.1f} % off the next frame's depth (median)",
        )
    agree = both & (apart < DEPTH_TOLERANCE / 2)
    hidden = float(frame.occluded[agree].mean()) if agree.any() else 0.0
    if hidden > 0.25:
        yield Fault(
            "occlusion", f"{100 * hidden:.0f} % of the points that the next frame sees are occluded"
        )


# ---- one frame ----------------------------------------------------------------------------------


def _lens_faults(frame: Frame, manifest: DatasetManifest) -> Iterator[Fault]:
    if manifest.camera is not None and frame.camera != camera_from_dict(manifest.camera):
        yield Fault("camera", "its camera is not the one of dataset.json")
    outside = frame.valid & ~frame.camera.valid()
    if outside.any():
        yield Fault("camera", f"{outside.sum()} valid pixels lie outside the lens's field")
    if (frame.image == frame.image[0, 0]).all():
        yield Fault("image", f"all pixels have the colour {frame.image[0, 0].tolist()}")


def _label_faults(frame: Frame, manifest: DatasetManifest) -> Iterator[Fault]:
    labels = manifest.label_map()
    strange = np.unique(frame.label[~labels.knows(frame.label)])
    if len(strange):
        yield Fault("label", f"class {strange[0]} is not in the label map {dict(labels.names)}")
    outside = frame.instance[~frame.valid]
    if outside.any():
        yield Fault("instance", f"object {outside.max()} covers pixels that are not valid")
    for number in np.unique(frame.instance[frame.instance > 0]).tolist():
        classes = np.unique(frame.label[frame.instance == number])
        if len(classes) > 1:
            yield Fault("instance", f"object {number} has the classes {classes.tolist()}")
            return


def _normal_faults(frame: Frame) -> Iterator[Fault]:
    length = np.sqrt(_dot(frame.normal_camera, frame.normal_camera))[frame.valid]
    unknown = np.isnan(length)
    if unknown.any():
        yield Fault("normal", f"{unknown.sum()} valid pixels have no normal")
        return
    worst = float(length[np.abs(length - 1).argmax()])
    if abs(worst - 1) > 2e-3:
        yield Fault("normal", f"a normal has the length {worst:.3f} instead of 1")
        return
    away = _dot(frame.normal_camera, frame.camera.rays().astype(np.float32))[frame.valid] > 0.2
    if away.mean() > 0.02:
        yield Fault(
            "normal", f"{100 * away.mean():.0f} % of the normals point away from the camera"
        )


def _normal_against_depth(frame: Frame) -> Iterator[Fault]:
    """Compare with finite differences; one at half the resolution tells what they are worth."""
    depth, rays = frame.depth_mm.astype(np.float64), frame.camera.rays()
    fine = normals_from_depth(depth, rays)
    coarse = normals_from_depth(depth[::2, ::2], rays[::2, ::2])
    doubt = _median_angle_deg(fine[::2, ::2], coarse)
    angle = _median_angle_deg(frame.normal_camera.astype(np.float64), fine)
    if np.isfinite(angle) and angle > NORMAL_TOLERANCE_DEG + np.nan_to_num(doubt):
        yield Fault(
            "normal-depth",
            f"normals are {angle:.1f}° off the slope of depth (median); "
            f"{NORMAL_TOLERANCE_DEG + np.nan_to_num(doubt):.1f}° would pass",
        )


def _flow_faults(frame: Frame, depth_step_mm: float) -> Iterator[Fault]:
    expected = _flow(frame, frame.depth_mm.astype(np.float64))
    seen, stored = np.isfinite(expected[..., 0]), np.isfinite(frame.flow_px[..., 0])
    gaps = float((frame.valid & ~frame.occluded & (seen != stored)).mean())
    if gaps > _EDGES:
        yield Fault(
            "flow", f"{100 * gaps:.1f} % of the visible pixels have no flow, or one too many"
        )
    both = seen & stored
    if both.any():
        apart = np.linalg.norm(frame.flow_px - expected, axis=-1)[both]
        worst = float(np.quantile(apart, 0.999))
        if worst > FLOW_TOLERANCE_PX:  # close to the lens, one step of stored depth is worth more
            change = _flow(frame, frame.depth_mm.astype(np.float64) + depth_step_mm) - expected
            worst -= float(np.nanquantile(np.linalg.norm(change, axis=-1)[both], 0.999))
        if worst > FLOW_TOLERANCE_PX:
            yield Fault("flow", f"it is {worst:.2f} px off depth, pose and lens (99.9 % of pixels)")
    landing = pixel_centres(frame.camera.width, frame.camera.height) + frame.flow_px
    lost = frame.valid & ~frame.occluded & ~_inside(landing, frame.camera)
    if lost.mean() > _EDGES:
        yield Fault(
            "occlusion", f"{100 * lost.mean():.1f} % of the pixels leave the field but are visible"
        )


# ---- inside -------------------------------------------------------------------------------------


def _flow(
    frame: Frame, depth_mm: Float[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width 2"]:
    motion = relative_pose(frame.next_camera_from_world, frame.camera_from_world)
    flow: np.ndarray = flow_from_depth(depth_mm, frame.camera, motion)
    return flow


def _moved_points(frame: Frame) -> Float[np.ndarray, "height width 3"]:
    """Points of this frame in the next frame's camera, mm."""
    points = points_from_depth(frame.depth_mm.astype(np.float64), frame.camera.rays())
    motion = relative_pose(frame.next_camera_from_world, frame.camera_from_world)
    moved: np.ndarray = transform_points(motion, points)
    return moved


def _inside(
    landing: Float[np.ndarray, "height width 2"], camera: Camera
) -> Bool[np.ndarray, "height width"]:
    """True for positions in the image, or off it by less than the precision of the flow."""
    u, v = landing[..., 0], landing[..., 1]
    near = FLOW_TOLERANCE_PX
    inside = (u > -near) & (v > -near) & (u < camera.width + near) & (v < camera.height + near)
    return np.asarray(inside)


def _sampled(
    depth_mm: Float[np.ndarray, "height width"],
    landing: Float[np.ndarray, "height width 2"],
    camera: Camera,
) -> Float[np.ndarray, "height width"]:
    """Depth between four pixels; NaN beside the image, an invalid pixel or an edge."""
    inside = np.isfinite(landing).all(axis=-1)
    u = np.where(inside, landing[..., 0] - 0.5, -10).astype(np.float32)
    v = np.where(inside, landing[..., 1] - 0.5, -10).astype(np.float32)
    depth = depth_mm.astype(np.float32)
    value = cv2.remap(
        depth, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=float("nan")
    )
    near = cv2.remap(
        depth, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=float("nan")
    )
    return np.where(np.abs(value - near) < 0.05 * near, value, np.nan)


def _dot(
    first: Float[np.ndarray, "height width 3"], second: Float[np.ndarray, "height width 3"]
) -> Float[np.ndarray, "height width"]:
    return np.asarray(np.einsum("hwc,hwc->hw", first, second))


def _median_angle_deg(
    first: Float[np.ndarray, "height width 3"], second: Float[np.ndarray, "height width 3"]
) -> float:
    cosine = _dot(first, second)
    known = cosine[np.isfinite(cosine)]
    return float(np.degrees(np.arccos(np.clip(np.median(known), -1, 1)))) if known.size else np.nan

# SPDX-License-Identifier: Apache-2.0
"""Are the labels of a frame true? Each against its range, and all of them against each other.

Depth, pose and lens together predict flow, normals and the next frame's depth; a fault in any one
of them shows as a contradiction. Tolerances follow the precision of the files.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from endoforge.frames.check_flow import (
    Displacement,
    Fault,
    depth_faults,
    displacement_faults,
    still_pixels,
)
from endoforge.frames.frame import Frame
from endoforge.frames.manifest import DatasetManifest
from endoforge.geometry.cameras import camera_from_dict
from endoforge.geometry.depth import normals_from_depth
from endoforge.geometry.poses import relative_pose

#: Largest median angle between stored normals and those of the depth image, degrees, beyond what
#: the image's own resolution explains.
NORMAL_TOLERANCE_DEG = 2.0

#: The same for volumes: a gradient looks a voxel to either side, a depth image at one place between
#: voxels, and a scanner's noise bends both differently: 5 to 10 degrees on phantoms with 12 HU.
VOLUME_TOLERANCE_DEG = 20.0


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
    volume = manifest.depth_rule != "surface"
    yield from _normal_against_depth(
        frame, VOLUME_TOLERANCE_DEG if volume else NORMAL_TOLERANCE_DEG
    )
    yield from displacement_faults(frame, _to_next(frame), manifest.depth_scale_mm)


def pair_faults(frame: Frame, following: Frame) -> Iterator[Fault]:
    """Yield contradictions between a frame and the next one of its sequence."""
    drift = float(np.abs(frame.next_camera_from_world - following.camera_from_world).max())
    if drift > 1e-6:
        yield Fault("pose", f"its next pose is not the pose of the next frame ({drift:.3g} off)")
    if frame.camera != following.camera:
        return
    yield from depth_faults(frame, _to_next(frame), following.depth_mm, "depth-next")


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
        classes = np.unique(frame.label[frame.instance == number]).tolist()
        if not labels.may_share(classes):
            yield Fault("instance", f"object {number} has the classes {classes}")
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


def _normal_against_depth(frame: Frame, tolerance_deg: float) -> Iterator[Fault]:
    """Compare with finite differences; one at half the resolution tells what they are worth."""
    depth, rays = frame.depth_mm.astype(np.float64), frame.camera.rays()
    fine = normals_from_depth(depth, rays)
    coarse = normals_from_depth(depth[::2, ::2], rays[::2, ::2])
    doubt = _median_angle_deg(fine[::2, ::2], coarse)
    angle = _median_angle_deg(frame.normal_camera.astype(np.float64), fine)
    if np.isfinite(angle) and angle > tolerance_deg + np.nan_to_num(doubt):
        yield Fault(
            "normal-depth",
            f"normals are {angle:.1f}° off the slope of depth (median); "
            f"{tolerance_deg + np.nan_to_num(doubt):.1f}° would pass",
        )


# ---- inside -------------------------------------------------------------------------------------


def _to_next(frame: Frame) -> Displacement:
    return Displacement(
        "flow",
        frame.flow_px,
        frame.occluded,
        relative_pose(frame.next_camera_from_world, frame.camera_from_world),
        frame.camera,
        still_pixels(frame),
    )


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

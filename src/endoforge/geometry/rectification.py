# SPDX-License-Identifier: Apache-2.0
"""Turning the pictures of any two eyes so that rows correspond and disparity is depth."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.errors import CameraError
from endoforge.geometry.cameras import PinholeCamera
from endoforge.geometry.poses import pose_from, rotation_from_vector, vector_from_rotation
from endoforge.geometry.stereo import StereoRig

_WIDEST_RAD = math.radians(75.0)


@dataclass(frozen=True, eq=False)
class Rectification:
    """A rectified rig and where its pictures come from.

    Attributes:
        rig: Two equal pinholes side by side.
        rectified_from_left: Rotation of directions from the original left camera frame.
        rectified_from_right: The same for the right one.
        left_map_px: Place in the original left picture of each pixel of the new one; NaN where the
            original eye does not see. OpenCV's `remap` wants half a pixel less.
        right_map_px: The same for the right picture.
    """

    rig: StereoRig
    rectified_from_left: Float64[np.ndarray, "3 3"]
    rectified_from_right: Float64[np.ndarray, "3 3"]
    left_map_px: Float64[np.ndarray, "height width 2"]
    right_map_px: Float64[np.ndarray, "height width 2"]


def rectify(rig: StereoRig, focal_px: float | None = None) -> Rectification:
    """Turn both eyes by half of what lies between them, then both onto the baseline.

    Works for every lens; the part of a wide lens that a pinhole of the left picture's size cannot
    hold is left out.

    Args:
        rig: Two eyes; the right one must stand more to the side than in front of the left one.
        focal_px: Focal length of the new eyes, px; None takes the mean of the old ones, or less
            where the picture would then reach further than 75 degrees off axis.

    Raises:
        CameraError: The eyes stand one behind the other, or one above the other.

    Source:
        Bouguet's method as in Bradski & Kaehler, *Learning OpenCV*, chapter 12.
    """
    rotation, shift = rig.right_from_left[:3, :3], rig.right_from_left[:3, 3]
    half = rotation_from_vector(vector_from_rotation(rotation) / 2)
    baseline = -half.T @ shift  # from left to right, in the frame halfway between the two
    x = baseline / np.linalg.norm(baseline)
    if x[0] < math.cos(math.radians(60)):
        raise CameraError(
            f"the right eye must stand to the right of the left one, got direction {x.round(3)}"
        )
    turn = _onto_x(x)
    from_left, from_right = turn @ half, turn @ half.T
    camera = _shared_pinhole(rig, focal_px)
    pose = pose_from(np.eye(3), np.array([-rig.baseline_mm, 0.0, 0.0]))
    maps = (
        lens.project(camera.rays() @ turned)
        for lens, turned in ((rig.left, from_left), (rig.right, from_right))
    )
    return Rectification(StereoRig(camera, camera, pose), from_left, from_right, *maps)


def _onto_x(direction: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3 3"]:
    """The smallest rotation that turns a direction to +x."""
    axis = np.cross(direction, [1.0, 0.0, 0.0])
    sine = float(np.linalg.norm(axis))
    if sine == 0:
        return np.eye(3)
    return rotation_from_vector(axis / sine * math.atan2(sine, float(direction[0])))


def _shared_pinhole(rig: StereoRig, focal_px: float | None) -> PinholeCamera:
    width, height = rig.left.width, rig.left.height
    if focal_px is None:
        mean = (rig.left.fx + rig.left.fy + rig.right.fx + rig.right.fy) / 4
        focal_px = max(mean, math.hypot(width, height) / 2 / math.tan(_WIDEST_RAD))
    return PinholeCamera(width, height, focal_px, focal_px, width / 2, height / 2)

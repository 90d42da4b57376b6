# SPDX-License-Identifier: Apache-2.0
"""Optical flow of a rigid scene, exact from depth, lens and the camera's motion."""

from typing import Any

from jaxtyping import Float

from endoforge.geometry.arrays import floating, like
from endoforge.geometry.cameras import Camera, pixel_centres
from endoforge.geometry.depth import points_from_depth
from endoforge.geometry.poses import transform_points


def flow_from_depth(
    depth_mm: Float[Any, "height width"],
    camera: Camera,
    next_camera_from_camera: Float[Any, "4 4"],
) -> Float[Any, "height width 2"]:
    """Where each pixel's surface point moves to in the next frame, NumPy and torch.

    The scene stands still; only the camera moves. Whether something hides the point in the next
    frame cannot be known from one depth image.

    Args:
        depth_mm: z of each surface point in the camera frame, mm; NaN where invalid.
        camera: The lens of both frames.
        next_camera_from_camera: Maps points of this camera's frame into the next one's, mm; see
            `poses.relative_pose`.

    Returns:
        (du, dv) in px; NaN where depth is invalid or the next frame's lens cannot see the point.

    Raises:
        ShapeError: The depth image is not of the camera's size.
    """
    depth = floating(depth_mm)
    points = points_from_depth(depth, like(camera.rays(), depth))
    moved = transform_points(like(next_camera_from_camera, depth), points)
    centres = like(pixel_centres(camera.width, camera.height), depth)
    return camera.project(moved) - centres

# SPDX-License-Identifier: Apache-2.0
"""Depth as a coloured point cloud in a binary PLY file: millimetres, camera frame."""

import math

import numpy as np
from jaxtyping import Float32, UInt8

from endoforge.errors import ShapeError
from endoforge.geometry.cameras import Camera
from endoforge.geometry.depth import points_from_depth

_POINT = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]
)


def point_cloud(
    image: UInt8[np.ndarray, "height width 3"],
    depth_mm: Float32[np.ndarray, "height width"],
    camera: Camera,
    most_points: int,
) -> bytes:
    """Build the PLY file of one picture.

    Args:
        image: Gives the points their colours.
        depth_mm: z in the camera frame, mm; NaN where there is no point.
        camera: The lens, at the picture's size.
        most_points: Every n-th pixel in each direction is taken so that no more come out.

    Returns:
        Binary little-endian PLY: x right, y down, z forward, mm; red, green, blue.

    Raises:
        ShapeError: The picture has not the camera's size.
    """
    if depth_mm.shape != (camera.height, camera.width) or image.shape[:2] != depth_mm.shape:
        raise ShapeError(
            f"depth is {depth_mm.shape} and image {image.shape[:2]}, but the camera takes "
            f"{(camera.height, camera.width)} (height, width); use Camera.resized"
        )
    step = max(1, math.ceil(math.sqrt(np.isfinite(depth_mm).sum() / most_points)))
    rays = camera.rays()[::step, ::step]
    points = points_from_depth(depth_mm[::step, ::step].astype(np.float64), rays)
    known = np.isfinite(points).all(axis=-1)
    rows = np.empty(int(known.sum()), _POINT)
    for axis, name in enumerate("xyz"):
        rows[name] = points[known][:, axis]
    for channel, name in enumerate(("red", "green", "blue")):
        rows[name] = image[::step, ::step][known][:, channel]
    return _header(len(rows)) + rows.tobytes()


def _header(count: int) -> bytes:
    properties = [f"property float {name}" for name in "xyz"]
    properties += [f"property uchar {name}" for name in ("red", "green", "blue")]
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        "comment unit mm",
        "comment frame camera: x right, y down, z forward",
        f"element vertex {count}",
        *properties,
        "end_header",
    ]
    return ("\n".join(lines) + "\n").encode("ascii")

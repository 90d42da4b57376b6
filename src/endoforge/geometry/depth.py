# SPDX-License-Identifier: Apache-2.0
"""Depth along the optical axis, distance along each pixel's ray, points and normals from depth.

Everything takes NumPy and torch, channels last, and answers in the image's type. A pixel whose ray
does not point forwards (z ≤ 0, in lenses wider than 180 degrees) has no depth: it is NaN here.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from endoforge.errors import ShapeError
from endoforge.geometry.arrays import floating, like, namespace, points_of


def depth_from_distance(
    distance_mm: Float[Any, "*batch height width"], rays: Float[Any, "height width 3"]
) -> Float[Any, "*batch height width"]:
    """Turn distance along each pixel's ray into depth along the optical axis.

    The two agree only at the principal point: 40 degrees off axis the distance is 31 % larger.

    Args:
        distance_mm: From the camera centre to the first surface, mm.
        rays: Unit rays in the camera frame; see `Camera.rays`.

    Returns:
        z of each surface point in the camera frame, mm; NaN where the ray does not point forwards.

    Raises:
        ShapeError: Image and rays differ in height or width.

    Example:
        >>> rays = np.array([[[0.6, 0.0, 0.8]]])
        >>> float(depth_from_distance(np.array([[50.0]]), rays)[0, 0])
        40.0
    """
    distance, rays, ops = _lined_up(distance_mm, rays, "distance_mm")
    ray_z = rays[..., 2]
    return ops.where(ray_z > 0, distance * ray_z, math.nan)


def distance_from_depth(
    depth_mm: Float[Any, "*batch height width"], rays: Float[Any, "height width 3"]
) -> Float[Any, "*batch height width"]:
    """Turn depth along the optical axis into distance along each pixel's ray.

    Args:
        depth_mm: z of each surface point in the camera frame, mm.
        rays: Unit rays in the camera frame; see `Camera.rays`.

    Returns:
        From the camera centre to each surface point, mm; NaN where the ray does not point forwards.

    Raises:
        ShapeError: Image and rays differ in height or width.
    """
    depth, rays, ops = _lined_up(depth_mm, rays, "depth_mm")
    ray_z = rays[..., 2]
    forwards = ray_z > 0
    return ops.where(forwards, depth / ops.where(forwards, ray_z, 1.0), math.nan)


def points_from_depth(
    depth_mm: Float[Any, "*batch height width"], rays: Float[Any, "height width 3"]
) -> Float[Any, "*batch height width 3"]:
    """Surface point of every pixel in the camera frame, mm; NaN where depth is or rays are invalid.

    Args:
        depth_mm: z of each surface point in the camera frame, mm.
        rays: Unit rays in the camera frame; see `Camera.rays`.

    Raises:
        ShapeError: Image and rays differ in height or width.
    """
    distance = distance_from_depth(depth_mm, rays)
    _, rays, _ = _lined_up(distance, rays, "depth_mm")
    return distance[..., None] * rays


def normals_from_depth(
    depth_mm: Float[Any, "*batch height width"], rays: Float[Any, "height width 3"]
) -> Float[Any, "*batch height width 3"]:
    """Unit normals in the camera frame, on the camera's side, from differences of neighbours.

    Exact for planes; elsewhere the error falls with the square of the pixel's size. Central
    differences inside, one-sided at the image border.

    Args:
        depth_mm: z of each surface point in the camera frame, mm; NaN where invalid.
        rays: Unit rays in the camera frame; see `Camera.rays`.

    Returns:
        NaN wherever the pixel or one of the neighbours used is invalid.

    Raises:
        ShapeError: Image and rays differ in height or width, or are smaller than 2 by 2.
    """
    points = points_from_depth(depth_mm, rays)
    ops = namespace(points)
    if min(points.shape[-3:-1]) < 2:
        raise ShapeError(
            f"normals need an image of 2 x 2 or more, got {tuple(points.shape[-3:-1])}"
        )
    with np.errstate(invalid="ignore"):
        normal = _cross(_differences(points, -3), _differences(points, -2))
    facing = (normal * points).sum(-1)
    length = ops.sqrt((normal * normal).sum(-1))
    length = ops.where(length > 0, length, math.nan)
    return normal / ops.where(facing > 0, -length, length)[..., None] + 0 * points


def _lined_up(image: Any, rays: Any, name: str) -> tuple[Any, Any, Any]:
    """The image and the rays in one library and type, once their sizes agree."""
    image, rays = floating(image), points_of(rays, 3, "rays")
    if image.ndim < 2 or tuple(image.shape[-2:]) != tuple(rays.shape[:-1]):
        raise ShapeError(
            f"{name} is {tuple(image.shape[-2:])} but the rays are {tuple(rays.shape[:-1])} "
            "(height, width); build the rays from the camera that made this frame"
        )
    return image, like(rays, image), namespace(image)


def _differences(points: Any, axis: int) -> Any:
    """Difference of the next and the previous point along an axis; one-sided at both ends."""
    ops = namespace(points)
    points = ops.moveaxis(points, axis, 0)
    ends = points[1:2] - points[:1], points[-1:] - points[-2:-1]
    return ops.moveaxis(ops.concatenate([ends[0], points[2:] - points[:-2], ends[1]], 0), 0, axis)


def _cross(a: Any, b: Any) -> Any:
    ops = namespace(a)
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return ops.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)

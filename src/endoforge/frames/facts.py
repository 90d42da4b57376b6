# SPDX-License-Identifier: Apache-2.0
"""Plain facts of a frame for its JSON file: boxes of objects, key points of parts, point tracks.

Everything is a pure function of what the frame shows. What the keys mean is in
docs/reference/disk-format.md; `frames.check_facts` holds them against the pictures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8, UInt16

from endoforge.geometry.cameras import Camera
from endoforge.geometry.poses import transform_points

#: A part's key point may lie this deep inside its object and still count as seen, mm.
INSIDE_MM = 10.0

#: A point of the surface counts as seen when the picture's depth there agrees this well, mm.
ON_SURFACE_MM = 0.5

#: The same as a share of depth, for what is far away.
ON_SURFACE_SHARE = 0.02

_NOWHERE_MM = np.float32(1e9)

Fact: TypeAlias = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Part:
    """A named part at the moment of one frame; its origin is the key point.

    Attributes:
        name: For example ``"grasper-1/tip"``.
        instance: The object that it belongs to, as in `Frame.instance`; 0 for a place on tissue.
        world_from_part: Its pose, mm.
    """

    name: str
    instance: int
    world_from_part: Float64[np.ndarray, "4 4"]


@dataclass(frozen=True, eq=False)
class TrackedPoints:
    """Points that stick to the surface, at the moment of one frame.

    Attributes:
        number: Name of each point, the same in all frames of a sequence.
        points_mm: Where they are now, world frame, mm.
        texture_mm: Where they are in the rest frame of their object, mm.
        material: Which object that is, as in `Frame.material`.
    """

    number: Int64[np.ndarray, "points"]
    points_mm: Float[np.ndarray, "points 3"]
    texture_mm: Float[np.ndarray, "points 3"]
    material: UInt8[np.ndarray, "points"]


def boxes_of(
    label: UInt8[np.ndarray, "height width"],
    instance: UInt16[np.ndarray, "height width"],
    labels: Mapping[int, str],
) -> list[Fact]:
    """The objects that a frame shows, each with the smallest box around its visible pixels.

    Args:
        label: Class index of each pixel.
        instance: Object number of each pixel, 0 for none.
        labels: Class names by class index.

    Returns:
        By object number: ``instance``, ``label`` (the class most of its pixels have), ``class``
        (its name), ``box_px`` (x, y, width, height as in COCO: the left upper corner of the first
        pixel and the extent) and ``area_px`` (visible pixels).
    """
    v, u = np.nonzero(instance)
    number = instance[v, u]
    boxes = []
    for one in np.unique(number).tolist():
        here = number == one
        x, y = u[here], v[here]
        kind = int(np.bincount(label[y, x]).argmax())
        left, upper = int(x.min()), int(y.min())
        boxes.append(
            {
                "instance": one,
                "label": kind,
                "class": labels.get(kind, "ignore"),
                "box_px": [left, upper, int(x.max()) + 1 - left, int(y.max()) + 1 - upper],
                "area_px": int(here.sum()),
            }
        )
    return boxes


def keypoints_of(
    parts: Sequence[Part],
    camera: Camera,
    camera_from_world: Float64[np.ndarray, "4 4"],
    depth_mm: Float32[np.ndarray, "height width"],
    instance: UInt16[np.ndarray, "height width"],
) -> list[Fact]:
    """Where the picture shows each named part, and whether it is seen there.

    A part of an object is seen where the pixels around its key point show the object itself, at
    most `INSIDE_MM` before the point (key points lie on the axes of tools). A part of no object
    is seen where the picture's depth agrees with its own.

    Args:
        parts: With their poses at this frame.
        camera: The lens.
        camera_from_world: Pose of this frame, mm.
        depth_mm: z of each pixel, mm; NaN where invalid.
        instance: Object number of each pixel.

    Returns:
        In the order of the parts: ``name``, ``instance``, ``pixel_px`` (u, v; null where the lens
        cannot image it or more than the image's size beside it), ``depth_mm`` (z of the key
        point), ``visible``, ``camera_from_part`` (4 × 4, mm).
    """
    facts = []
    for part in parts:
        pose = camera_from_world @ part.world_from_part
        point = pose[:3, 3]
        pixel = camera.project(point)
        if part.instance > 0:
            seen = _object_is_seen(pixel, float(point[2]), part.instance, depth_mm, instance)
        else:
            seen = bool(on_surface(pixel[None], point[None, 2], depth_mm)[0])
        facts.append(
            {
                "name": part.name,
                "instance": part.instance,
                "pixel_px": plain_pixel(pixel, camera),
                "depth_mm": round(float(point[2]), 4),
                "visible": seen,
                "camera_from_part": np.round(pose, 9).tolist(),
            }
        )
    return facts


def tracks_of(
    points: TrackedPoints,
    camera: Camera,
    camera_from_world: Float64[np.ndarray, "4 4"],
    depth_mm: Float32[np.ndarray, "height width"],
) -> list[Fact]:
    """Where the picture shows each tracked point, and whether something hides it.

    Returns:
        In the order of the points: ``id``, ``pixel_px`` (u, v; null where the lens cannot image
        it or more than the image's size beside it), ``depth_mm``, ``visible``, ``texture_mm``,
        ``material``.
    """
    there = transform_points(camera_from_world, points.points_mm.astype(np.float64))
    pixels = camera.project(there)
    seen = on_surface(pixels, there[:, 2], depth_mm)
    return [
        {
            "id": int(points.number[i]),
            "pixel_px": plain_pixel(pixels[i], camera),
            "depth_mm": round(float(there[i, 2]), 4),
            "visible": bool(seen[i]),
            "texture_mm": [round(float(value), 4) for value in points.texture_mm[i]],
            "material": int(points.material[i]),
        }
        for i in range(len(there))
    ]


def choose_vertices(
    vertices_mm: Float[np.ndarray, "vertices 3"],
    camera: Camera,
    poses: Sequence[Float64[np.ndarray, "4 4"]],
    count: int,
    rng: np.random.Generator,
) -> Int64[np.ndarray, "points"]:
    """Choose vertices to track that the poses of a sequence are likely to see.

    For each pose the picture is divided into cells of about 1/24 of its width, and the nearest
    vertex of each cell may be chosen. Whether it is really seen says `tracks_of` at every frame.

    Args:
        vertices_mm: World positions, mm.
        camera: The lens.
        poses: camera_from_world of some frames of the sequence.
        count: How many points to track; fewer come back when the poses see fewer.
        rng: Decides among the candidates.
    """
    cell = max(camera.width / 24, 2.0)
    candidates: list[np.ndarray] = []
    for pose in poses:
        there = transform_points(pose, vertices_mm.astype(np.float64))
        pixels = camera.project(there)
        seen = np.flatnonzero(inside(pixels, (camera.height, camera.width)) & (there[:, 2] > 0))
        seen = seen[np.argsort(np.linalg.norm(there[seen], axis=1), kind="stable")]
        cells = np.floor(pixels[seen] / cell).astype(np.int64)
        _, first = np.unique(cells[:, 0] * 100_000 + cells[:, 1], return_index=True)
        candidates.append(seen[first])
    pool = np.unique(np.concatenate(candidates)) if candidates else np.zeros(0, np.int64)
    chosen = rng.choice(pool, min(count, len(pool)), replace=False) if len(pool) else pool
    return np.sort(chosen).astype(np.int64)


def on_surface(
    pixels: Float64[np.ndarray, "points 2"],
    z_mm: Float[np.ndarray, "points"],
    depth_mm: Float32[np.ndarray, "height width"],
) -> Bool[np.ndarray, "points"]:
    """Whether points of the surface are what the picture shows where they fall.

    The picture's depth may differ by `ON_SURFACE_MM` or `ON_SURFACE_SHARE`, and by what it changes
    between the pixels around the point.
    """
    within = inside(pixels, depth_mm.shape)
    height, width = depth_mm.shape
    known = np.isfinite(depth_mm)
    kernel = np.ones((3, 3), np.uint8)
    u = np.where(within, np.clip(np.floor(np.nan_to_num(pixels[:, 0])), 0, width - 1), 0)
    v = np.where(within, np.clip(np.floor(np.nan_to_num(pixels[:, 1])), 0, height - 1), 0)
    at = v.astype(np.int64), u.astype(np.int64)
    nearest = cv2.erode(np.where(known, depth_mm, _NOWHERE_MM), kernel)[at]
    farthest = cv2.dilate(np.where(known, depth_mm, -_NOWHERE_MM), kernel)[at]
    slack = np.maximum(ON_SURFACE_MM, ON_SURFACE_SHARE * z_mm)
    seen = (z_mm >= nearest - slack) & (z_mm <= farthest + slack) & (z_mm > 0)
    edge = farthest - nearest > 4 * slack  # a rim: what is at the point itself decides
    agrees = np.abs(depth_mm[at] - z_mm) <= 2 * slack
    return np.asarray(within & known[at] & np.where(edge, agrees, seen))


def inside(
    pixels: Float64[np.ndarray, "points 2"], size: tuple[int, ...]
) -> Bool[np.ndarray, "points"]:
    """True for positions in a picture of a size (height, width)."""
    u, v = pixels[:, 0], pixels[:, 1]
    return np.asarray((u >= 0) & (v >= 0) & (u < size[1]) & (v < size[0]))


def plain_pixel(pixel: Float64[np.ndarray, "2"], camera: Camera) -> list[float] | None:
    """A position as JSON has it; None where the lens cannot image it or far beside the image."""
    size = np.array([camera.width, camera.height])
    near = np.isfinite(pixel).all() and bool((np.abs(pixel / size - 0.5) < 1.5).all())
    return np.round(pixel, 4).tolist() if near else None


# ---- inside -------------------------------------------------------------------------------------


def _object_is_seen(
    pixel: Float64[np.ndarray, "2"],
    z_mm: float,
    number: int,
    depth_mm: Float32[np.ndarray, "height width"],
    instance: UInt16[np.ndarray, "height width"],
) -> bool:
    if not inside(pixel[None], instance.shape)[0]:
        return False
    u, v = int(pixel[0]), int(pixel[1])
    around = slice(max(v - 1, 0), v + 2), slice(max(u - 1, 0), u + 2)
    own = instance[around] == number
    deep = z_mm - depth_mm[around]
    return bool((own & (deep < INSIDE_MM)).any())

# SPDX-License-Identifier: Apache-2.0
"""The label pass in one compiled kernel: one ray through each pixel's centre, nothing random.

Whatever changes between frames enters as an array of numbers. Import this file after
`render.engine.start`.
"""

from collections.abc import Mapping
from typing import Any

import drjit
import mitsuba
import numpy as np

from endoforge.render.buffers import LensBuffers
from endoforge.render.destinations import seen_at
from endoforge.render.numbers import Numbers, rotate
from endoforge.render.parameters import Layout
from endoforge.render.volume.label_march import (
    March,
    Ray,
    depth_between,
    located,
    march,
    ray_through,
)
from endoforge.render.volume.medium import Medium, Tables, medium_of
from endoforge.render.volume.voxels import Voxels, corner_at, organ_near, shape_between

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: Bits of the row `flags`.
FOUND, HIDDEN_NEXT, HIDDEN_PREVIOUS = 1, 2, 4

_FLOWS = {"next": ("flow_px", HIDDEN_NEXT), "previous": ("back_flow_px", HIDDEN_PREVIOUS)}

#: Voxels after which a gradient counts as none, HU per voxel.
_LEAST_GRADIENT = 1e-3

_FAR_MM = 1e9


def run(
    voxels: Voxels, tables: Tables, lens: LensBuffers, values: np.ndarray, layout: Layout
) -> Mapping[str, np.ndarray]:
    """Build the computation, run it once, copy the labels out.

    Returns:
        A flat row for each label, channels last.
    """
    numbers = Numbers(values, layout)
    medium = medium_of(voxels, tables)
    step = rotate(numbers("voxel_from_ray"), lens.rays)
    ray = ray_through(medium, mi.Point3f(numbers.vector("eye")), step, _FAR_MM, lens.field)
    done = march(medium, ray, numbers.one("half_depth"), numbers.one("first_depth"))
    channels = distances(medium, ray, done, numbers)
    found, distance = _point(channels, layout)
    point = distance * lens.rays
    place = ray.start + dr.maximum(distance - ray.before_mm, 0) * step
    channels |= _matter(medium, place, found, lens.rays, numbers)
    flags = dr.select(found, mi.UInt32(FOUND), 0)
    for name in layout.models:
        picture, flag = _FLOWS[name]
        (u, v), seen = followed(medium, point, place, found, numbers, name)
        channels[picture] = [u - lens.centres.x, v - lens.centres.y]
        flags |= dr.select(found & ~seen, mi.UInt32(flag), 0)
    channels["flags"] = [flags]
    rows = {name: _placed(row, lens.pixels) for name, row in channels.items()}
    dr.eval()
    return {name: row.numpy() for name, row in rows.items()}


def distances(medium: Medium, ray: Ray, done: March, numbers: Numbers) -> dict[str, Any]:
    """The three distances along the ray, mm, NaN where there is none; and the opacity."""
    lost = 1 - done.left
    half, first = (
        dr.select(
            crossing.before >= 0,
            ray.before_mm + located(medium, ray, crossing, numbers.one(threshold)),
            dr.nan,
        )
        for crossing, threshold in ((done.point, "half_depth"), (done.first, "first_depth"))
    )
    mean = done.moment * dr.rcp(dr.maximum(lost, 1e-30))
    return {
        "distance_mm": [half],
        "expected_mm": [dr.select(lost > 0, ray.before_mm + mean, dr.nan)],
        "first_mm": [first],
        "opacity": [lost],
    }


def followed(
    medium: Medium, point: Any, place: Any, found: Any, numbers: Numbers, name: str
) -> tuple[tuple[Any, Any], Any]:
    """Where each point appears at another pose, and whether enough of its light arrives there.

    Args:
        medium: Volume and transfer function.
        point: In the camera frame, mm.
        place: The same in voxels.
        found: True where there is a point.
        numbers: The frame's parameters.
        name: `next` or `previous`.

    Returns:
        u and v in px, NaN where the lens there cannot see the point, and the mask.
    """
    goal = rotate(numbers(f"{name}_turn"), point) + numbers.vector(f"{name}_shift")
    u, v, known, inside = seen_at(goal, numbers, name)
    known &= found
    seen = known & inside
    away = numbers.vector(f"{name}_eye") - place
    length = dr.norm(goal)
    back = ray_through(
        medium, mi.Point3f(place), away * dr.rcp(dr.maximum(length, 1e-6)), length, seen
    )
    most = numbers.one("hidden_depth")
    seen &= depth_between(medium, back, most) <= most
    return (dr.select(known, u, dr.nan), dr.select(known, v, dr.nan)), seen


def _point(channels: Mapping[str, Any], layout: Layout) -> tuple[Any, Any]:
    """True where the chosen rule has a point, and its distance; 1 mm elsewhere."""
    (name,) = layout.planes
    chosen = channels[name][0]
    found = ~dr.isnan(chosen)
    return found, dr.select(found, chosen, 1)


def _matter(medium: Medium, place: Any, found: Any, rays: Any, numbers: Numbers) -> dict[str, Any]:
    """What is at each point: normal, HU and organ."""
    corner = corner_at(medium.size, place)
    hu, gradient = shape_between(medium.voxels, medium.size, corner, found)
    organ = mi.UInt32(0)
    if medium.voxels.organs is not None:
        organ = organ_near(medium.voxels, medium.size, corner, found)
    steep = dr.norm(gradient) > _LEAST_GRADIENT
    normal = dr.normalize(rotate(numbers("camera_from_gradient"), gradient))
    normal = dr.select(dr.dot(normal, rays) > 0, -normal, normal)
    normal = dr.select(steep, normal, -rays)
    return {
        "normal_camera": [dr.select(found, part, dr.nan) for part in normal],
        "hu": [dr.select(found, hu, -1024)],
        "organ": [dr.select(found, organ, 0)],
    }


def _placed(channels: Any, pixels: Any) -> Any:
    """Write the channels of every lane to its pixel, channels last."""
    kind = type(channels[0])
    count = len(channels)
    picture = dr.empty(kind, dr.width(pixels) * count)
    for k, channel in enumerate(channels):
        dr.scatter(picture, channel, pixels * count + k, mode=dr.ReduceMode.Permute)
    return picture

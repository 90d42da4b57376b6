# SPDX-License-Identifier: Apache-2.0
"""Where each visible point goes: in the next frame, the previous one, and the other eye.

Import this file after `render.engine.start`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import drjit
import mitsuba

from endoforge.geometry.lens_equations import (
    brown_conrady_project,
    kannala_brandt_project,
    omnidirectional_project,
)
from endoforge.render.constants import SIGHT_START_MM
from endoforge.render.hits import Hit, World, blocked, facing_of, position
from endoforge.render.moments import Moment
from endoforge.render.numbers import Numbers, mixed, rotate

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: The projection of each lens model.
PROJECTIONS: Mapping[str, Callable[..., tuple[Any, Any]]] = {
    "fisheye": kannala_brandt_project,
    "omnidirectional": omnidirectional_project,
    "pinhole": brown_conrady_project,
}


class LensOps:
    """The functions that `geometry.lens_equations` needs, for Dr.Jit."""

    sqrt = staticmethod(dr.sqrt)
    atan2 = staticmethod(dr.atan2)
    where = staticmethod(dr.select)


def follow(
    world: World, hit: Hit, point: Any, numbers: Numbers, name: str
) -> tuple[tuple[Any, Any], Any]:
    """Where each visible point appears at a destination, and whether it is seen there.

    Args:
        world: The scene.
        hit: What this picture's rays met.
        point: The same in the camera frame.
        numbers: The frame's parameters.
        name: `next`, `previous` or `right`.

    Returns:
        u and v in px, NaN where the lens there cannot see the point, and the mask.
    """
    there = {"next": world.later, "previous": world.earlier, "right": world.now}[name]
    if there is None:
        raise ValueError(f"the scene at the {name} frame was not given")
    goal = rotate(numbers(f"{name}_turn"), point) + numbers.vector(f"{name}_shift")
    place, facet = hit.place, hit.facet
    if there is not world.now:
        step = moved(world.now, there, hit)
        goal += rotate(numbers(f"{name}_from_world"), step)
        place = place + step
        facet = hit.side * facing_of(there, hit.corners, hit.found)
    u, v, known, inside = seen_at(goal, numbers, name)
    known &= hit.found
    eye = mi.Point3f(numbers.vector(f"{name}_origin"))
    seen = known & inside & (dr.dot(facet, eye - place) > 0)
    seen &= ~blocked(there, place + SIGHT_START_MM * facet, eye, seen)
    return (dr.select(known, u, dr.nan), dr.select(known, v, dr.nan)), seen


def moved(now: Moment, there: Moment, hit: Hit) -> Any:
    """How far the tissue at each hit moves between two instants, world frame; 0 if it stays."""
    steps = [
        position(there, corner, hit.found) - position(now, corner, hit.found)
        for corner in hit.corners
    ]
    return mixed(hit.weights, steps)


def seen_at(point: Any, numbers: Numbers, name: str) -> tuple[Any, Any, Any, Any]:
    """Pixel of a point, whether the lens sees it, and whether it lies in the picture."""
    project = PROJECTIONS[numbers.layout.models[name]]
    u, v = project(point.x, point.y, point.z, numbers(f"{name}_lens"), LensOps)
    known = point.z >= numbers.one(f"{name}_cos_field") * dr.norm(point)
    width, height = numbers(f"{name}_image_size")
    inside = (u >= 0) & (u <= width) & (v >= 0) & (v <= height)
    middle_u, middle_v, radius = numbers(f"{name}_circle")
    inside &= dr.square(u - middle_u) + dr.square(v - middle_v) <= dr.square(radius)
    to_borders = dr.minimum(u, width - u) + dr.minimum(v, height - v)
    inside &= to_borders >= numbers.one(f"{name}_corner_cut")
    return u, v, known, inside

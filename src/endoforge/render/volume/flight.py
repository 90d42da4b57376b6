# SPDX-License-Identifier: Apache-2.0
"""How far a photon flies: delta tracking through blocks with majorants of their own.

Where light stops is drawn from the medium itself, without steps and without bias (Woodcock
tracking; Novák et al., *Monte Carlo methods for volumetric light transport simulation*, 2018,
section 5). Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba

from endoforge.render.volume.blocks import BLOCK
from endoforge.render.volume.matter import Medium, corner_of, extinction_at, table_of
from endoforge.render.volume.voxels import hu_between

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: How far beyond a block's border the next one begins, blocks.
_NUDGE = 1e-4
_FAR = 1e9
_LEAST_STEP = 1e-9


@dataclass
class Ray:
    """A straight way through the volume.

    Attributes:
        origin: mm along the grid's axes.
        direction: Unit, along the grid's axes.
        at_mm: How far the photon is.
        end_mm: Where the ray leaves the volume or ends at a light.
        left: Optical depth (by majorants) that is left until the next possible collision.
    """

    origin: Any
    direction: Any
    at_mm: Any
    end_mm: Any
    left: Any


def ray_from(medium: Medium, origin: Any, direction: Any, longest_mm: Any, left: Any) -> Ray:
    """A ray that begins where it enters the volume."""
    inverse = dr.rcp(dr.select(dr.abs(direction) > _LEAST_STEP, direction, _LEAST_STEP))
    near, far = -origin * inverse, (medium.extent_mm - origin) * inverse
    begin = dr.maximum(dr.max(dr.minimum(near, far)), 0)
    end = dr.minimum(dr.min(dr.maximum(near, far)), longest_mm)
    return Ray(mi.Point3f(origin), mi.Vector3f(direction), begin, end, left)


def block_step(medium: Medium, ray: Ray) -> tuple[Any, Any]:
    """Where the ray leaves its block (or the empty blocks around it), mm, and the majorant."""
    per_block = medium.per_mm * (1 / BLOCK)
    place = (ray.origin + ray.at_mm * ray.direction) * per_block
    block = dr.clip(mi.Vector3i(dr.floor(place)), 0, mi.Vector3i(medium.blocks) - 1)
    b = mi.Vector3u(block)
    index = (b.x * medium.blocks.y + b.y) * medium.blocks.z + b.z
    most = dr.gather(mi.Float, medium.matter.cells, index)
    reach = dr.maximum(-most, 1)  # blocks to the border, this one included
    ahead = ray.direction > 0
    border = dr.select(ahead, mi.Vector3f(block) + reach, mi.Vector3f(block) + (1 - reach))
    speed = ray.direction * per_block
    away = dr.select(dr.abs(speed) > _LEAST_STEP, (border - place) / speed, _FAR)
    nudge = _NUDGE * dr.rcp(dr.max(dr.abs(speed)))
    return ray.at_mm + dr.maximum(dr.min(away), 0) + nudge, dr.maximum(most, 0)


def advance(medium: Medium, ray: Ray) -> tuple[Ray, Any, Any]:
    """Fly to the next possible collision or the block's border.

    Returns:
        The ray, whether it may collide where it now is, and the majorant there.
    """
    border, most = block_step(medium, ray)
    stop = ray.at_mm + ray.left * dr.rcp(dr.maximum(most, 1e-20))
    may = stop < dr.minimum(border, ray.end_mm)
    left = dr.select(may, 0, ray.left - most * (border - ray.at_mm))
    at = dr.select(may, stop, border)
    return Ray(ray.origin, ray.direction, at, ray.end_mm, left), may, most


def stopping(medium: Medium, ray: Ray, active: Any) -> Any:
    """Extinction where the ray now is, 1/mm."""
    corner = corner_of(medium, ray.origin + ray.at_mm * ray.direction)
    hu = hu_between(medium.voxels, medium.size, corner, active)
    return extinction_at(medium, table_of(medium, corner, active), hu, active)

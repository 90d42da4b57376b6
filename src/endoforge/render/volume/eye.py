# SPDX-License-Identifier: Apache-2.0
"""Rays through random places of each pixel and of the lens's opening, for any camera model.

Within a pixel the lens's ray is taken as linear: the centre's ray, and how it turns per pixel to
the right and down. Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np
from jaxtyping import Float64

from endoforge.geometry.cameras import Camera, pixel_centres
from endoforge.render.arrays import aligned
from endoforge.render.buffers import tile_order
from endoforge.render.numbers import Numbers, rotate
from endoforge.render.volume.chance import Chance

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

_HALF_PX = 0.5
_ROW = 12  # floats of a pixel's rays


@dataclass(frozen=True, eq=False)
class Eye:
    """What the lens says about each pixel that it sees, in the order in which lanes take them.

    Attributes:
        rays: Twelve floats for each pixel that the lens sees: the ray of its centre in the camera
            frame, how it changes over a pixel to the right and down, and three zeros.
        pixels: Where each of them lies in the image, row by row.
        count: How many there are.
    """

    rays: Any
    pixels: Any
    count: int


def upload_eye(camera: Camera) -> Eye:
    """Put the lens's rays on the device."""
    order = tile_order(camera.width, camera.height)
    parts = [part.reshape(-1, 3)[order] for part in ray_field(camera)]
    known = np.isfinite(parts[0][:, 2])
    rows = np.zeros((int(known.sum()), _ROW), np.float32)
    rows[:, :9] = np.hstack(parts)[known]
    pixels = order[known].astype(np.uint32)
    eye = Eye(mi.Float(aligned(rows)), mi.UInt32(aligned(pixels)), len(pixels))
    dr.eval(eye.rays, eye.pixels)
    return eye


def ray_field(camera: Camera) -> tuple[Float64[np.ndarray, "height width 3"], ...]:
    """Each pixel's ray, and its change over one pixel to the right and down.

    At the border of the lens's field only the inner half of a pixel is asked.
    """
    centre = np.array(camera.rays())
    places = pixel_centres(camera.width, camera.height)
    parts = [centre]
    for step in ((_HALF_PX, 0.0), (0.0, _HALF_PX)):
        ahead, behind = (camera.unproject(places + s * np.asarray(step)) for s in (1, -1))
        rise = np.where(np.isfinite(ahead), ahead - centre, centre - behind)
        fall = np.where(np.isfinite(behind), centre - behind, ahead - centre)
        parts.append(np.nan_to_num(rise + fall))
    return tuple(parts)


def ray_through(eye: Eye, numbers: Numbers, turn: Any, random: Chance) -> tuple[Any, Any]:
    """A ray through a random place of a pixel and of the lens's opening.

    The opening of a flat-field (pinhole) lens is square to the axis and its focus a plane; any
    other lens turns its opening towards each ray and its focus is a sphere.

    Args:
        eye: The lens.
        numbers: `eye`, `grid_from_camera` and, for a lens that is open, `aperture`: radius, focus,
            and 1 for a flat field.
        turn: Which pixel, of those that the lens sees.
        random: Random numbers.

    Returns:
        Where it begins, mm, and its direction, along the grid's axes.
    """
    a, b, c = (dr.gather(mi.Vector4f, eye.rays, 3 * turn + k) for k in range(3))
    centre, right = mi.Vector3f(a.x, a.y, a.z), mi.Vector3f(a.w, b.x, b.y)
    down = mi.Vector3f(b.z, b.w, c.x)
    ray = dr.normalize(centre + (random.next() - 0.5) * right + (random.next() - 0.5) * down)
    origin = mi.Point3f(numbers.vector("eye"))
    sharp = rotate(numbers("grid_from_camera"), ray)
    if "aperture" not in numbers.layout.places:
        return origin, sharp
    offset, along = _through_opening(numbers, ray, sharp, random)
    return origin + offset, dr.normalize(along * sharp - offset)


def _through_opening(numbers: Numbers, ray: Any, sharp: Any, random: Chance) -> tuple[Any, Any]:
    """A place in the opening, mm off its middle, and how far the focus is along the ray."""
    turn = numbers("grid_from_camera")
    radius, focus, flat = numbers("aperture")
    around = mi.Frame3f(sharp)
    right = dr.select(flat > 0, mi.Vector3f(turn[0], turn[3], turn[6]), around.s)
    down = dr.select(flat > 0, mi.Vector3f(turn[1], turn[4], turn[7]), around.t)
    place = mi.Point2f(random.next(), random.next())
    disc = mi.warp.square_to_uniform_disk_concentric(place)
    along = focus * dr.select(flat > 0, dr.rcp(dr.maximum(ray.z, 1e-3)), 1)
    return radius * (disc.x * right + disc.y * down), along

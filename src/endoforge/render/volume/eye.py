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

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

_HALF_PX = 0.5


@dataclass(frozen=True, eq=False)
class Eye:
    """What the lens says about each pixel, in the order in which the lanes take the pixels.

    Attributes:
        centre: Ray of the pixel's centre, camera frame.
        right: How the ray changes over a pixel to the right.
        down: How it changes over a pixel down.
        field: True where the lens sees anything.
        order: Where each lane's pixel lies in the image, row by row.
    """

    centre: Any
    right: Any
    down: Any
    field: Any
    order: np.ndarray


def upload_eye(camera: Camera) -> Eye:
    """Put the lens's rays on the device."""
    order = tile_order(camera.width, camera.height)
    centre, right, down = (part.reshape(-1, 3)[order] for part in ray_field(camera))
    known = np.isfinite(centre[:, 2])
    centre[~known] = (0.0, 0.0, 1.0)
    eye = Eye(
        *(
            mi.Vector3f(*(mi.Float(aligned(c)) for c in part.astype(np.float32).T))
            for part in (centre, right, down)
        ),
        field=mi.Bool(aligned(known)),
        order=order,
    )
    dr.eval(eye.centre, eye.right, eye.down, eye.field)
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


def ray_through(eye: Eye, numbers: Numbers, draws: tuple[Any, ...]) -> tuple[Any, Any]:
    """A ray of each pixel: where it begins, mm, and its direction, along the grid's axes.

    The opening of a flat-field (pinhole) lens is square to the axis and its focus a plane; any
    other lens turns its opening towards each ray and its focus is a sphere.

    Args:
        eye: The lens.
        numbers: `eye`, `grid_from_camera` and `aperture`: radius, focus, and 1 for a flat field.
        draws: Four random numbers: place in the pixel, place in the opening.
    """
    jitter = (draws[0] - 0.5, draws[1] - 0.5)
    ray = dr.normalize(eye.centre + jitter[0] * eye.right + jitter[1] * eye.down)
    turn = numbers("grid_from_camera")
    radius, focus, flat = numbers("aperture")
    sharp = rotate(turn, ray)
    origin = mi.Point3f(numbers.vector("eye"))
    around = mi.Frame3f(sharp)
    right = dr.select(flat > 0, mi.Vector3f(turn[0], turn[3], turn[6]), around.s)
    down = dr.select(flat > 0, mi.Vector3f(turn[1], turn[4], turn[7]), around.t)
    disc = mi.warp.square_to_uniform_disk_concentric(mi.Point2f(draws[2], draws[3]))
    offset = radius * (disc.x * right + disc.y * down)
    along = focus * dr.select(flat > 0, dr.rcp(dr.maximum(ray.z, 1e-3)), 1)
    return origin + offset, dr.normalize(along * sharp - offset)

# SPDX-License-Identifier: Apache-2.0
"""Adds the smoothed light from other walls to what the kernel has seen by the lamps alone.

Import this file after `render.engine.start`.
"""

from collections.abc import Mapping

import numpy as np

from endoforge.geometry.cameras import Camera
from endoforge.render import constants as fixed
from endoforge.render.denoise import Guides, denoised
from endoforge.render.settings import DenoiseMethod

Rows = Mapping[str, np.ndarray]


def with_incoming(rows: Rows, camera: Camera, method: DenoiseMethod) -> dict[str, np.ndarray]:
    """The kernel's rows with all light: radiance, shading and the mask of highlights change.

    Args:
        rows: As `render.kernel.run` gives them for a layout with bounces.
        camera: The lens.
        method: How the incoming light is smoothed.
    """
    shape = (camera.height, camera.width)
    found = (rows["flags"].reshape(shape) & fixed.FOUND) != 0
    guides = Guides(
        rows["guide_place"].reshape(*shape, 3), rows["guide_normal"].reshape(*shape, 3), found
    )
    incoming = denoised(rows["incoming"].reshape(*shape, 3), guides, method).ravel()
    seen = np.repeat(found.ravel(), 3)
    diffuse = np.where(seen, rows["albedo"] * incoming, np.float32(0))
    radiance = rows["radiance"] + diffuse
    film = np.where(seen, rows["film"], np.float32(0))
    bright = np.asarray(fixed.BRIGHTNESS, np.float32)
    shines = (2 * film - radiance).reshape(-1, 3) @ bright > 0
    flags = rows["flags"] & ~np.uint32(fixed.SPECULAR)
    changed = {
        "radiance": radiance,
        "flags": flags | np.where(shines & found.ravel(), np.uint32(fixed.SPECULAR), np.uint32(0)),
    }
    if "shading" in rows:
        changed["shading"] = rows["shading"] + incoming
    return {**rows, **changed}

# SPDX-License-Identifier: Apache-2.0
"""What a lens does to the light of a picture: vignetting, colour fringes, blur, a field stop.

Every function takes scene-linear RGB and returns a new picture, or the same one where it has
nothing to do. `out` takes the result, as in NumPy; it may be the picture itself. What lies on the
lens is in `optics.haze`.
"""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32

from endoforge.geometry.cameras import Camera
from endoforge.optics.scratch import scratch

Light = Float32[np.ndarray, "height width 3"]
Share = Float32[np.ndarray, "height width"]

_LEAST_COSINE = 0.02
_RED, _BLUE = 0, 2


def vignette(light: Light, camera: Camera, exponent: float, out: Light | None = None) -> Light:
    """Darken what lies off the axis by cos^k of its angle.

    Args:
        light: Scene-linear RGB.
        camera: Says how far off the axis each pixel looks.
        exponent: k; 0 for no vignette.
        out: Where the result goes.
    """
    if exponent == 0:
        return light
    darkened: Light = np.multiply(light, _cosine_power(camera, exponent), out=out)
    return darkened


def blank(light: Light, camera: Camera, edge_px: float, out: Light | None = None) -> Light:
    """Black out what lies outside the lit area, with its soft edge.

    Args:
        light: Sensor values, noise and all: processors paint the border black.
        camera: Says where its field and its content end.
        edge_px: Width over which light falls from all to nothing, px; 0 for a hard edge.
        out: Where the result goes.
    """
    share = _blanking(camera, edge_px)
    if share is None:
        return light
    framed: Light = np.multiply(light, share, out=out)
    return framed


@lru_cache(maxsize=8)
def _cosine_power(camera: Camera, exponent: float) -> Light:
    return _in_each_colour(cosine_power(camera, exponent))


@lru_cache(maxsize=8)
def _blanking(camera: Camera, edge_px: float) -> Light | None:
    share = content_share(camera, edge_px)
    return None if (share == 1).all() else _in_each_colour(share)


def _in_each_colour(share: Share) -> Light:
    alike: Light = np.repeat(share[..., None], 3, axis=-1)
    return alike


def cosine_power(camera: Camera, exponent: float) -> Share:
    """The vignette: the cosine of each pixel's angle to the axis, to the power of k.

    1 where the lens sees nothing. A thin lens without any stop beside its own has k = 4.

    Source:
        The cos⁴ law with a free exponent: Batlle, Montiel, Tardós, *Photometric single-view dense
        3D reconstruction in endoscopy*, IROS 2022, section III.
    """
    cosine = np.nan_to_num(camera.rays()[..., 2], nan=1.0)
    power: Share = (np.maximum(cosine, _LEAST_COSINE) ** exponent).astype(np.float32)
    return power


def fringe(light: Light, corner_px: float, out: Light | None = None) -> Light:
    """Magnify red a little more, and blue a little less, than green (lateral aberration).

    Args:
        light: Scene-linear RGB.
        corner_px: How far red and blue each move away from green in the corners, px; negative
            for the other direction, 0 for none.
        out: Where the result goes.
    """
    if corner_px == 0:
        return light
    height, width = light.shape[:2]
    growth = corner_px / (0.5 * float(np.hypot(height, width)))
    channels = [scratch(f"channel{k}", (height, width)) for k in range(3)]
    moved = [scratch(f"moved{k}", (height, width)) for k in range(3)]
    cv2.split(light, channels)
    for channel, scale in ((_RED, 1 + growth), (_BLUE, 1 - growth)):
        _magnify(channels[channel], scale, moved[channel])
    merged: Light = cv2.merge([moved[_RED], channels[1], moved[_BLUE]], dst=out)
    return merged


def _magnify(channel: Share, scale: float, out: Share) -> None:
    height, width = channel.shape
    shift = ((1 - scale) * (width - 1) / 2, (1 - scale) * (height - 1) / 2)
    forward = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    cv2.warpAffine(
        channel,
        forward,
        (width, height),
        dst=out,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def spread(light: Light, sigma_px: float, out: Light | None = None) -> Light:
    """Blur with the lens's point spread, a Gaussian of this standard deviation; 0 for none."""
    if sigma_px == 0:
        return light
    blurred: Light = cv2.GaussianBlur(light, (0, 0), sigma_px, dst=out)
    return blurred


def spread_outwards(light: Light, sigma_px: float, out: Light | None = None) -> Light:
    """Blur the corners with this standard deviation, the middle not at all (field curvature)."""
    if sigma_px == 0:
        return light
    change = cv2.GaussianBlur(light, (0, 0), sigma_px, dst=scratch("blurred", light.shape))
    change -= light
    change *= _eccentricity(light.shape[0], light.shape[1])
    mixed: Light = np.add(light, change, out=out)
    return mixed


@lru_cache(maxsize=8)
def _eccentricity(height: int, width: int) -> Light:
    """0 in the middle, 1 in the corners, with the square of the distance; alike for each colour."""
    down = (np.arange(height) + 0.5) / height * 2 - 1
    across = (np.arange(width) + 0.5) / width * 2 - 1
    squared = (down * height)[:, None] ** 2 + (across * width)[None] ** 2
    share = (squared / (height**2 + width**2)).astype(np.float32)
    return _in_each_colour(share)


def content_share(camera: Camera, edge_px: float) -> Share:
    """How much light passes at each pixel: 1 inside the lit area, 0 outside it.

    The edge lies inside the camera's field, so that no light is asked of pixels without a ray.
    Half of the light passes at half of `edge_px`; where less does, a label has no picture.
    """
    inside = camera.valid()
    if edge_px == 0 or inside.all():
        return np.asarray(inside, np.float32)
    framed = np.pad(inside.astype(np.uint8), 1, mode="edge")
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    rise = np.clip((depth - 0.5) / edge_px, 0, 1)
    share: Share = (rise**2 * (3 - 2 * rise)).astype(np.float32)
    return share

# SPDX-License-Identifier: Apache-2.0
"""Smooths the noise of indirect light, which has no texture of its own: only shape may mark it.

Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np
from jaxtyping import Bool, Float32

from endoforge.render.arrays import aligned
from endoforge.render.oidn import by_oidn
from endoforge.render.settings import DenoiseMethod

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

Colour = Float32[np.ndarray, "height width 3"]

#: The filter's reach doubles so many times: 1, 2, 4, 8, 16 px.
LEVELS = 5
#: Neighbours count less by exp(-height above the tangent plane / (this * distance from the eye)),
#: and by the eighth power of the cosine between the normals. Both: best of a few on drawn colons.
PLANE_SHARE = 0.1
_ROW = (0.25, 0.5, 0.25)
_GUIDE = 8


@dataclass(frozen=True, eq=False)
class Guides:
    """What is known of each pixel without noise.

    Attributes:
        place_mm: What is seen there, relative to the eye, mm.
        normal: Its unit normal in the same frame.
        found: True where a surface is seen.
    """

    place_mm: Float32[np.ndarray, "height width 3"]
    normal: Float32[np.ndarray, "height width 3"]
    found: Bool[np.ndarray, "height width"]


def denoised(noisy: Colour, guides: Guides, method: DenoiseMethod) -> Colour:
    """Smooth a picture of indirect light; 0 where nothing is seen.

    Args:
        noisy: Radiance before the albedo is multiplied in.
        guides: What is seen.
        method: ``"guided"`` for the filter of this file, ``"oidn"`` or ``"off"``.

    Raises:
        MissingDependency: Open Image Denoise was asked for and is not installed.
    """
    shown = np.where(guides.found[..., None], noisy, np.float32(0))
    if method == "off":
        return shown
    smooth = guided(shown, guides) if method == "guided" else by_oidn(shown)
    return np.where(guides.found[..., None], smooth, np.float32(0))


def guided(noisy: Colour, guides: Guides) -> Colour:
    """Smooth by an à-trous filter that does not cross edges of depth or bends of the wall.

    Source:
        Dammertz et al., *Edge-avoiding À-Trous wavelet transform for fast global illumination
        filtering*, HPG 2010, with the distance to the tangent plane in place of positions.
    """
    height, width = guides.found.shape
    guide = mi.Float(aligned(_records(guides)))
    size = mi.UInt32(np.array([width, height], np.uint32))
    colour = mi.Float(aligned(_padded(noisy)))
    dr.eval(guide, size, colour)
    for level in range(LEVELS):
        colour = _level(colour, guide, size, dr.opaque(mi.Int32, 1 << level))
        dr.eval(colour)
    smooth: Colour = np.array(colour).reshape(height, width, 4)[..., :3]
    return smooth


def _records(guides: Guides) -> Float32[np.ndarray, "pixels 8"]:
    """Eight floats per pixel: place, 1 / (tolerance of height), normal, 1 where seen."""
    seen = guides.found[..., None]
    place = np.where(seen, guides.place_mm, np.float32(0))
    reach = np.linalg.norm(place, axis=-1, keepdims=True) * PLANE_SHARE
    sharp = 1 / np.maximum(reach, 1e-6)
    normal = np.where(seen, guides.normal, np.float32(0))
    return np.concatenate([place, sharp, normal, seen], -1, dtype=np.float32).reshape(-1, _GUIDE)


def _padded(noisy: Colour) -> Float32[np.ndarray, "height width 4"]:
    return np.pad(noisy, ((0, 0), (0, 0), (0, 1)))


def _level(colour: Any, guide: Any, size: Any, stride: Any) -> Any:
    """One round: each pixel's mean with its eight neighbours at a distance."""
    lane = dr.arange(mi.UInt32, dr.width(colour) // 4)
    width, height = (mi.Int32(dr.gather(mi.UInt32, size, k)) for k in (0, 1))
    column, row = mi.Int32(lane) % width, mi.Int32(lane) // width
    here = _guide_at(guide, lane, True)
    place, normal = mi.Vector3f(*here[0:3]), mi.Vector3f(*here[4:7])
    centre = mi.Float(_ROW[1] ** 2)
    total = centre * mi.Color3f(dr.gather(mi.Vector4f, colour, lane).xyz)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if down == right == 0:
                continue
            x, y = column + right * stride, row + down * stride
            inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
            there = mi.UInt32(dr.select(inside, y * width + x, 0))
            other = _guide_at(guide, there, inside)
            rise = dr.abs(dr.dot(normal, mi.Vector3f(*other[0:3]) - place)) * here[3]
            turn = dr.maximum(dr.dot(normal, mi.Vector3f(*other[4:7])), 0)
            weight = _ROW[down + 1] * _ROW[right + 1] * other[7] * dr.exp(-rise)
            weight *= dr.square(dr.square(dr.square(turn)))
            total += weight * mi.Color3f(dr.gather(mi.Vector4f, colour, there, inside).xyz)
            centre += weight
    total *= dr.rcp(centre)
    picture = dr.empty(mi.Float, dr.width(colour))
    dr.scatter(picture, mi.Vector4f(total.x, total.y, total.z, 0), lane)
    return picture


def _guide_at(guide: Any, pixel: Any, active: Any) -> list[Any]:
    shape = (_GUIDE, dr.width(pixel))
    part = dr.gather(mi.ArrayXf, guide, pixel, mi.Bool(active), shape=shape)
    return [part[k] for k in range(_GUIDE)]

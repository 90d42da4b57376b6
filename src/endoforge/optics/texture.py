# SPDX-License-Identifier: Apache-2.0
"""A tileable pattern as a pyramid of 8-bit levels, and how to read it.

It is laid on a surface from three sides (triplanar), in millimetres of the object's rest frame, so
that no mesh needs texture coordinates. What grows in it is the business of `optics.patterns`. All
kinds have the same size (11 MB with every level), because the renderer's kernel finds the levels
of the n-th pattern by arithmetic alone.
"""

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, UInt8

from endoforge.optics import fields
from endoforge.optics.patterns import GROWERS
from endoforge.optics.settings import Pattern

#: Texels along one side of the finest level, and how many levels there are, each half the last.
SIZE = fields.SIZE
LEVELS = 7

#: Slopes are stored as (slope / SLOPE_SPAN + 1) / 2 for a relief of unit root mean square slope.
SLOPE_SPAN = 4.0

COARSE, FINE, BLOTCH, PATCH, SLOPE_U, SLOPE_V, ROUGHENING, FILM = range(8)


@dataclass(frozen=True, eq=False)
class TissueTexture:
    """The pyramid of one pattern.

    Attributes:
        levels: From fine to coarse. Channels: coarse vessels, fine vessels, blotches, redness
            patches (0 to 255 for 0 to 1), slope along u and v, variance of the slopes that the
            averaging of this level has lost (same unit, squared, 0 to 1), film (0 a pool to 1 a
            dry patch).
    """

    levels: tuple[UInt8[np.ndarray, "_ _ 8"], ...]

    def packed(self) -> UInt8[np.ndarray, "bytes"]:
        """All levels in one row of bytes, the finest first."""
        return np.concatenate([level.ravel() for level in self.levels])


@lru_cache(maxsize=24)
def tissue_texture(seed: int, pattern: Pattern = "mucosa") -> TissueTexture:
    """Grow the pattern of a kind and a seed; the last few are remembered."""
    key = (0x7E55E1, zlib.crc32(pattern.encode()))
    planes = GROWERS[pattern](np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key)))
    slope_u, slope_v = fields.slopes(planes.height)
    stack = [planes.coarse, planes.fine, planes.blotch, planes.patch, slope_u, slope_v, planes.film]
    return TissueTexture(_pyramid(np.stack(stack, -1).astype(np.float32)))


def sample_texture(
    texture: TissueTexture,
    points: Float[np.ndarray, "points 2"],
    level: int,
) -> Float[np.ndarray, "points 8"]:
    """Read one level with bilinear interpolation, as numbers between 0 and 1.

    Args:
        texture: The pattern.
        points: Coordinates in periods: the pattern repeats at every whole number.
        level: Which level, 0 the finest.
    """
    pixels = texture.levels[level]
    size = pixels.shape[0]
    place = points * size - 0.5
    corner = np.floor(place)
    along = place - corner
    u0, v0 = (corner.astype(np.int64) % size).T
    u1, v1 = (u0 + 1) % size, (v0 + 1) % size
    fu, fv = along[:, :1], along[:, 1:]
    near = pixels[v0, u0] * (1 - fu) + pixels[v0, u1] * fu
    far = pixels[v1, u0] * (1 - fu) + pixels[v1, u1] * fu
    result: Float[np.ndarray, "points 8"] = (near * (1 - fv) + far * fv) / 255.0
    return result


def _pyramid(
    planes: Float[np.ndarray, "size size 7"],
) -> tuple[UInt8[np.ndarray, "_ _ 8"], ...]:
    """Halve again and again, keeping count of the slope variance that averaging loses."""
    squares = planes[..., SLOPE_U] ** 2 + planes[..., SLOPE_V] ** 2
    levels = []
    for _ in range(LEVELS):
        lost = squares - planes[..., SLOPE_U] ** 2 - planes[..., SLOPE_V] ** 2
        levels.append(_bytes(planes, lost))
        planes, squares = _halved(planes), _halved(squares)
    return tuple(levels)


def _bytes(planes: np.ndarray, lost: np.ndarray) -> UInt8[np.ndarray, "size size 8"]:
    slopes = planes[..., SLOPE_U : SLOPE_V + 1] / (2 * SLOPE_SPAN) + 0.5
    film = planes[..., SLOPE_V + 1 :]
    stack = np.concatenate([planes[..., :SLOPE_U], slopes, lost[..., None], film], axis=-1)
    np.clip(stack, 0, 1, out=stack)
    stack *= 255
    level: UInt8[np.ndarray, "size size 8"] = np.rint(stack, out=stack).astype(np.uint8)
    return level


def _halved(planes: np.ndarray) -> np.ndarray:
    quarter = np.float32(0.25)
    halved: np.ndarray = quarter * (
        planes[::2, ::2] + planes[1::2, ::2] + planes[::2, 1::2] + planes[1::2, 1::2]
    )
    return halved

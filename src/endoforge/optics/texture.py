# SPDX-License-Identifier: Apache-2.0
"""A tileable pattern of mucosa grown from a seed: vessels of two sizes, blotches, fine relief.

The pattern is a pyramid of 8-bit levels. It is laid on a surface from three sides (triplanar), in
world millimetres, so that no mesh needs texture coordinates.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8

#: Texels along one side of the finest level, and how many halvings follow.
SIZE = 1024
LEVELS = 7

#: Slopes are stored as (slope / SLOPE_SPAN + 1) / 2 for a relief of unit root mean square slope.
SLOPE_SPAN = 4.0

COARSE, FINE, BLOTCH, PATCH, SLOPE_U, SLOPE_V, ROUGHENING, _SPARE = range(8)

_SUBPIXEL = 4  # binary digits behind the point in the coordinates of drawn lines


@dataclass(frozen=True, eq=False)
class TissueTexture:
    """The pyramid of one pattern.

    Attributes:
        levels: From fine to coarse. Channels: coarse vessels, fine vessels, blotches, redness
            patches (0 to 255 for 0 to 1), slope along u and v, variance of the slopes that the
            averaging of this level has lost (same unit, squared, 0 to 1), unused.
    """

    levels: tuple[UInt8[np.ndarray, "size size 8"], ...]

    def packed(self) -> UInt8[np.ndarray, "bytes"]:
        """All levels in one row of bytes, the finest first."""
        return np.concatenate([level.ravel() for level in self.levels])


@lru_cache(maxsize=8)
def tissue_texture(seed: int) -> TissueTexture:
    """Grow the pattern of a seed; the last few are remembered."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0x7E55E1,)))
    coarse = cv2.GaussianBlur(_vessels(rng, roots=9, width=9.0, steps=260), (0, 0), 2.2)
    fine = _vessels(rng, roots=46, width=3.6, steps=170)
    fine = np.maximum(fine, 0.55 * _vessels(rng, roots=90, width=1.8, steps=70))
    fine = cv2.GaussianBlur(fine, (0, 0), 0.7) * _contrast(_noise(rng, 2, 6), 0.55, 1.0)
    blotch = 0.5 + 0.5 * np.tanh(0.8 * _noise(rng, 4, 60))
    patch = 0.5 + 0.5 * np.tanh(0.9 * _noise(rng, 1, 9))
    slope_u, slope_v = _relief(rng)
    planes = [coarse, fine, blotch, patch, slope_u, slope_v]
    return TissueTexture(_pyramid(np.stack(planes, -1).astype(np.float32)))


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


def _vessels(
    rng: np.random.Generator, roots: int, width: float, steps: int
) -> Float[np.ndarray, "size size"]:
    """Draw branching trees that wrap around the tile; 1 on a vessel, 0 off it."""
    canvas = np.zeros((3 * SIZE, 3 * SIZE), np.uint8)
    pending = [
        (rng.uniform(SIZE, 2 * SIZE, 2), rng.uniform(0, 2 * np.pi), width, steps)
        for _ in range(roots)
    ]
    while pending:
        start, heading, thick, length = pending.pop()
        path, headings = _walk(rng, start, heading, length)
        _draw(canvas, path, thick)
        if thick < 0.3 * width or length < 24:
            continue
        for place in np.sort(rng.integers(8, length, 1 + length // 50)):
            side = rng.choice([-1.0, 1.0]) * rng.uniform(0.45, 1.2)
            pending.append(
                (path[place], headings[place] + side, thick * rng.uniform(0.5, 0.75), length // 2)
            )
    tiles = canvas.reshape(3, SIZE, 3, SIZE).max(axis=(0, 2))
    return tiles.astype(np.float32) / 255


def _walk(
    rng: np.random.Generator, start: np.ndarray, heading: float, length: int
) -> tuple[Float[np.ndarray, "steps 2"], Float[np.ndarray, "steps"]]:
    """Wander with slowly changing curvature; steps of two texels."""
    bend = np.cumsum(rng.normal(0, 0.035, length)) * 0.5
    bend -= np.linspace(0, bend[-1], length)
    headings = heading + bend + np.cumsum(rng.normal(0, 0.05, length))
    strides = 2.0 * np.stack([np.cos(headings), np.sin(headings)], -1)
    return start + np.cumsum(strides, axis=0), headings


def _draw(canvas: np.ndarray, path: np.ndarray, thick: float) -> None:
    """Draw a path that thins towards its end; paths thinner than a texel are drawn fainter."""
    pieces = np.array_split(path, 3)
    for k, piece in enumerate(pieces):
        joined = piece if k == 2 else np.vstack([piece, pieces[k + 1][:1]])
        size = thick * (1 - 0.22 * k)
        points = np.round(joined * 2**_SUBPIXEL).astype(np.int32).reshape(1, -1, 2)
        tone = int(255 * min(1.0, 0.35 + 0.3 * size))
        cv2.polylines(
            canvas, points, False, tone, max(1, round(size)), cv2.LINE_AA, shift=_SUBPIXEL
        )


def _noise(rng: np.random.Generator, low: float, high: float) -> Float[np.ndarray, "size size"]:
    """Periodic noise with unit variance, between two spatial frequencies in cycles per tile."""
    frequency_v = np.fft.fftfreq(SIZE, 1 / SIZE)[:, None]
    frequency_u = np.fft.rfftfreq(SIZE, 1 / SIZE)[None, :]
    radius = np.hypot(frequency_u, frequency_v)
    band = np.exp(-((radius / high) ** 2)) * (radius >= low) / np.maximum(radius, 1) ** 0.8
    spectrum = band * np.exp(2j * np.pi * rng.random(band.shape))
    noise = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    return (noise / noise.std()).astype(np.float32)


def _relief(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of a height field of pits and wrinkles, unit root mean square."""
    height = 1.0 * _noise(rng, 6, 40) + 0.28 * _noise(rng, 40, 160)
    slope_u = np.roll(height, -1, 1) - np.roll(height, 1, 1)
    slope_v = np.roll(height, -1, 0) - np.roll(height, 1, 0)
    scale = np.sqrt(np.mean(slope_u**2 + slope_v**2))
    return slope_u / scale, slope_v / scale


def _contrast(noise: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map noise to values between low and high."""
    return low + (high - low) * (0.5 + 0.5 * np.tanh(noise))


def _pyramid(
    planes: Float[np.ndarray, "size size 6"],
) -> tuple[UInt8[np.ndarray, "size size 8"], ...]:
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
    spare = np.zeros_like(lost)
    stack = np.concatenate([planes[..., :SLOPE_U], slopes, np.stack([lost, spare], -1)], axis=-1)
    return np.rint(np.clip(stack, 0, 1) * 255).astype(np.uint8)


def _halved(planes: np.ndarray) -> np.ndarray:
    return 0.25 * (planes[::2, ::2] + planes[1::2, ::2] + planes[::2, 1::2] + planes[1::2, 1::2])

# SPDX-License-Identifier: Apache-2.0
"""A tileable pattern of mucosa grown from a seed: vessels of two sizes, blotches, fine relief.

The pattern is a pyramid of 8-bit levels. It is laid on a surface from three sides (triplanar), in
world millimetres, so that no mesh needs texture coordinates.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import scipy.fft
from jaxtyping import Float, UInt8

from endoforge.optics.vessels import VesselPlan, draw, grow

#: Texels along one side of the finest level, and how many halvings follow.
SIZE = 1024
LEVELS = 7

#: Slopes are stored as (slope / SLOPE_SPAN + 1) / 2 for a relief of unit root mean square slope.
SLOPE_SPAN = 4.0

COARSE, FINE, BLOTCH, PATCH, SLOPE_U, SLOPE_V, ROUGHENING, _SPARE = range(8)


@dataclass(frozen=True, eq=False)
class TissueTexture:
    """The pyramid of one pattern.

    Attributes:
        levels: From fine to coarse. Channels: coarse vessels, fine vessels, blotches, redness
            patches (0 to 255 for 0 to 1), slope along u and v, variance of the slopes that the
            averaging of this level has lost (same unit, squared, 0 to 1), unused.
    """

    levels: tuple[UInt8[np.ndarray, "_ _ 8"], ...]

    def packed(self) -> UInt8[np.ndarray, "bytes"]:
        """All levels in one row of bytes, the finest first."""
        return np.concatenate([level.ravel() for level in self.levels])


#: Lengths are fractions of a tile of about 64 mm; one texel of the finest level is 0.06 mm.
_COARSE_PLAN = VesselPlan(
    roots=4,
    thirsty=150,
    reached=0.06,
    stride=0.012,
    wobble=0.30,
    leaf_width=0.0050,
    most_width=0.016,
)
_FINE_PLAN = VesselPlan(
    roots=22,
    thirsty=2600,
    reached=0.012,
    stride=0.006,
    wobble=0.40,
    leaf_width=0.0015,
    most_width=0.0080,
)


@lru_cache(maxsize=8)
def tissue_texture(seed: int) -> TissueTexture:
    """Grow the pattern of a seed; the last few are remembered."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0x7E55E1,)))
    coarse = _blurred(draw(grow(_COARSE_PLAN, rng), SIZE), 3.5)
    fine = _blurred(draw(grow(_FINE_PLAN, rng), SIZE), 0.7) * _contrast(_noise(rng, 1, 7), 0.3, 1)
    blotch = _contrast(_noise(rng, 2, 28), 0, 1)
    patch = _contrast(_noise(rng, 1, 9), 0, 1)
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


def _blurred(picture: np.ndarray, sigma: float) -> Float[np.ndarray, "size size"]:
    """Blur a tile that repeats."""
    border = int(4 * sigma) + 1
    padded = cv2.GaussianBlur(np.pad(picture, border, mode="wrap"), (0, 0), sigma)
    tile: Float[np.ndarray, "size size"] = padded[border:-border, border:-border]
    return tile


def _noise(rng: np.random.Generator, low: float, high: float) -> Float[np.ndarray, "size size"]:
    """Periodic noise with unit variance, between two spatial frequencies in cycles per tile."""
    frequency_v = np.fft.fftfreq(SIZE, 1 / SIZE)[:, None]
    frequency_u = np.fft.rfftfreq(SIZE, 1 / SIZE)[None, :]
    radius = np.hypot(frequency_u, frequency_v)
    band = np.exp(-((radius / high) ** 2)) * (radius >= low) / np.maximum(radius, 1) ** 0.8
    phase = rng.random(band.shape, dtype=np.float32) * np.float32(2 * np.pi)
    spectrum = (band * np.exp(1j * phase)).astype(np.complex64)
    noise = scipy.fft.irfft2(spectrum, s=(SIZE, SIZE))
    unit: Float[np.ndarray, "size size"] = noise / noise.std()
    return unit


def _relief(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of a height field of wrinkles and granules, unit root mean square."""
    height = _noise(rng, 8, 34) + 0.12 * _noise(rng, 34, 110)
    slope_u = np.roll(height, -1, 1) - np.roll(height, 1, 1)
    slope_v = np.roll(height, -1, 0) - np.roll(height, 1, 0)
    scale = np.sqrt(np.mean(slope_u**2 + slope_v**2))
    return slope_u / scale, slope_v / scale


def _contrast(noise: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map noise to values between low and high."""
    mapped: np.ndarray = low + (high - low) * (0.5 + 0.5 * np.tanh(noise))
    return mapped


def _pyramid(
    planes: Float[np.ndarray, "size size 6"],
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
    spare = np.zeros_like(lost)
    stack = np.concatenate([planes[..., :SLOPE_U], slopes, np.stack([lost, spare], -1)], axis=-1)
    level: UInt8[np.ndarray, "size size 8"] = np.rint(np.clip(stack, 0, 1) * 255).astype(np.uint8)
    return level


def _halved(planes: np.ndarray) -> np.ndarray:
    quarter = np.float32(0.25)
    halved: np.ndarray = quarter * (
        planes[::2, ::2] + planes[1::2, ::2] + planes[::2, 1::2] + planes[1::2, 1::2]
    )
    return halved

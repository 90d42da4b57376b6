# SPDX-License-Identifier: Apache-2.0
"""Pictures on a tile that repeats: noise, cells, and what bends and blurs them.

All are squares of `SIZE` texels; u runs along the rows, v along the columns, and frequencies are in
cycles per tile.
"""

from functools import lru_cache

import cv2
import numpy as np
import scipy.fft
from jaxtyping import Float32, Int

#: Texels along one side of a tile.
SIZE = 1024

Tile = Float32[np.ndarray, "size size"]


def noise(
    rng: np.random.Generator, low: float, high: float, stretch: float = 1.0, decay: float = 0.8
) -> Tile:
    """Noise with unit variance, between two spatial frequencies.

    Args:
        rng: Random numbers.
        low: Lowest frequency.
        high: Where the spectrum fades.
        stretch: How many times longer features are along u than along v.
        decay: Power by which amplitudes fall with frequency.
    """
    radius, fall = _frequencies(stretch, decay)
    band = np.exp(-((radius / high) ** 2)) * (radius >= low) / fall
    phase = rng.random(band.shape, dtype=np.float32) * np.float32(2 * np.pi)
    spectrum = np.empty(band.shape, np.complex64)
    spectrum.real, spectrum.imag = band * np.cos(phase), band * np.sin(phase)
    field = scipy.fft.irfft2(spectrum, s=(SIZE, SIZE))
    unit: Tile = field / field.std()
    return unit


@lru_cache(maxsize=8)
def _frequencies(
    stretch: float, decay: float
) -> tuple[Float32[np.ndarray, "rows columns"], Float32[np.ndarray, "rows columns"]]:
    """Spatial frequency of each place of a spectrum, and how far amplitudes fall there."""
    frequency_v = scipy.fft.fftfreq(SIZE, 1 / SIZE).astype(np.float32)[:, None]
    frequency_u = scipy.fft.rfftfreq(SIZE, 1 / SIZE).astype(np.float32)[None, :] * stretch
    radius = np.hypot(frequency_u, frequency_v)
    return radius, np.maximum(radius, 1) ** decay


def ring_noise(rng: np.random.Generator, frequency: float, width: float = 0.12) -> Tile:
    """Noise of one spatial frequency only: bumps or, cut at 0, a labyrinth; unit variance.

    Args:
        rng: Random numbers.
        frequency: Mean frequency.
        width: Standard deviation of the frequency, as a share of it.
    """
    frequency_v = scipy.fft.fftfreq(SIZE, 1 / SIZE).astype(np.float32)[:, None]
    frequency_u = scipy.fft.rfftfreq(SIZE, 1 / SIZE).astype(np.float32)[None, :]
    radius = np.hypot(frequency_u, frequency_v)
    band = np.exp(-0.5 * ((radius / frequency - 1) / width) ** 2)
    phase = rng.random(band.shape, dtype=np.float32) * np.float32(2 * np.pi)
    field = scipy.fft.irfft2((band * np.exp(1j * phase)).astype(np.complex64), s=(SIZE, SIZE))
    unit: Tile = field / field.std()
    return unit


def contrast(field: Tile, low: float = 0.0, high: float = 1.0) -> Tile:
    """Map noise to values between low and high."""
    mapped: Tile = low + (high - low) * (0.5 + 0.5 * np.tanh(field))
    return mapped.astype(np.float32)


def blurred(picture: Tile, sigma: float) -> Tile:
    """Blur a tile that repeats."""
    border = int(4 * sigma) + 1
    padded = cv2.GaussianBlur(np.pad(picture, border, mode="wrap"), (0, 0), sigma)
    tile: Tile = padded[border:-border, border:-border]
    return tile


def bent(picture: Tile, shift_u: Tile, shift_v: Tile) -> Tile:
    """Move every texel's place by some texels, across the tile's border too."""
    place = np.arange(SIZE, dtype=np.float32)
    moved: Tile = cv2.remap(
        picture,
        (place[None, :] + shift_u) % SIZE,
        (place[:, None] + shift_v) % SIZE,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    return moved


def cells(
    rng: np.random.Generator, across: int, jitter: float = 0.8
) -> tuple[Tile, Int[np.ndarray, "size size"]]:
    """Divide the tile into cells around scattered seeds.

    Args:
        rng: Random numbers.
        across: Number of cells along one side.
        jitter: How far seeds leave their grid, 0 to 1 of its spacing.

    Returns:
        How far each texel is from its cell's border, 0 on it to about 1 in the middle of a mean
        cell; and the number of its cell, 0 to across² - 1.
    """
    grid = np.stack(np.meshgrid(np.arange(across), np.arange(across)), -1).reshape(-1, 2)
    seeds = (grid + 0.5 + jitter * (rng.random(grid.shape) - 0.5)) * SIZE / across
    columns, rows = (seeds.astype(np.int64) % SIZE).T
    border = 3 * SIZE // across
    canvas = np.ones((SIZE, SIZE), np.uint8)
    canvas[rows, columns] = 0
    padded = np.pad(canvas, border, mode="wrap")
    _, names = cv2.distanceTransformWithLabels(
        padded, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    numbers = np.full((SIZE, SIZE), -1)
    numbers[rows, columns] = np.arange(len(rows))
    lookup = np.zeros(names.max() + 1, np.int64)
    zero = padded == 0
    lookup[names[zero]] = np.pad(numbers, border, mode="wrap")[zero]
    number = lookup[names]
    inner = np.ones(padded.shape, np.uint8)
    inner[:, 1:] &= number[:, 1:] == number[:, :-1]
    inner[1:] &= number[1:] == number[:-1]
    depth = cv2.distanceTransform(inner, cv2.DIST_L2, cv2.DIST_MASK_5) * (2 * across / SIZE)
    kept = slice(border, -border)
    return depth[kept, kept].astype(np.float32), number[kept, kept]


def slopes(height: Tile) -> tuple[Tile, Tile]:
    """Slopes of a height field along u and v, scaled to unit root mean square."""
    along_u = np.roll(height, -1, 1) - np.roll(height, 1, 1)
    along_v = np.roll(height, -1, 0) - np.roll(height, 1, 0)
    scale = np.float32(np.sqrt(np.mean(along_u**2 + along_v**2)) or 1)
    return along_u / scale, along_v / scale

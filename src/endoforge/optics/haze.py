# SPDX-License-Identifier: Apache-2.0
"""What lies between the lens and the tissue: smears on the lens, condensation, smoke, stray light.

All of them are veils without depth: they lie in front of everything alike. A veil takes sharp
light away and gives back a blurred picture instead, and grey light from all around. Both are
smooth, so they are worked out in a picture of a quarter of the size.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32

from endoforge.optics.exposure import LUMINANCE
from endoforge.optics.lens_faults import Light, Share
from endoforge.optics.scratch import scratch

_MAP = 128  # texels along one side of a veil's map
_STEP = 4  # how much smaller the veils' picture is
_SMOKE_DRIFT = (0.011, 0.006)  # of the map's side, per frame
_SMOKE_SCALE = 0.35  # of the map's side that the picture's height shows
_SOFT_SIGMA, _WIDE_SIGMA = 2.0, 4.0  # px of the small picture, and of one four times smaller
_SMEAR = 0.85  # share of the blurred light that a smear lets through
_SMOKE_WHITE = np.array([1.25, 1.25, 1.3], np.float32)  # scatters the lamp, not the tissue


@dataclass(frozen=True)
class Veils:
    """How much of each veil there is; all shares lie between 0 (none) and 1.

    Attributes:
        glare: Light that the optics scatter over the whole picture.
        dirt: How opaque the smears on the lens are.
        fog: Condensation on the lens.
        smoke: Smoke of a cautery in front of the lens.
        seed: Which smears and which clouds.
    """

    glare: float = 0.0
    dirt: float = 0.0
    fog: float = 0.0
    smoke: float = 0.0
    seed: int = 0

    @property
    def any(self) -> bool:
        """True if there is any veil at all."""
        return max(self.glare, self.dirt, self.fog, self.smoke) > 0


def veil(light: Light, veils: Veils, moment: float, out: Light | None = None) -> Light:
    """Draw the veils over a picture.

    Smears show the picture blurred, smoke and glare the grey light of all of it, fog half of each.

    Args:
        light: Scene-linear RGB, exposed.
        veils: How much of each.
        moment: Frames since the start; smoke drifts with it.
        out: Where the result goes; may be the picture itself.
    """
    if not veils.any:
        return light
    height, width = light.shape[:2]
    small = cv2.resize(
        light, (max(1, width // _STEP), max(1, height // _STEP)), interpolation=cv2.INTER_AREA
    )
    kept, blurred, grey = shares(small.shape[0], small.shape[1], veils, moment)
    instead = cv2.GaussianBlur(small, (0, 0), _SOFT_SIGMA)
    instead *= blurred[..., None]
    instead += grey[..., None] * _surroundings(small)
    stack = cv2.merge([kept, kept, kept])
    large = cv2.resize(stack, (width, height), dst=scratch("kept", light.shape))
    veiled: Light = np.multiply(light, large, out=out)
    veiled += cv2.resize(instead, (width, height), dst=large)
    return veiled


def shares(height: int, width: int, veils: Veils, moment: float) -> tuple[Share, Share, Share]:
    """What each place shows: a share of sharp, a share of blurred and a share of grey light."""
    dirt = dirt_share(height, width, veils.seed) * np.float32(veils.dirt)
    fog = fog_share(height, width, veils.seed) * np.float32(veils.fog)
    clear = (1 - dirt) * (1 - fog) * np.float32(1 - veils.glare)
    smoke = np.zeros_like(clear)
    if veils.smoke > 0:
        smoke = smoke_share(height, width, veils.seed, moment) * np.float32(veils.smoke)
    through = (1 - dirt) * np.float32(1 - veils.glare)
    blurred = (1 - smoke) * (through * fog * np.float32(0.5) + dirt * np.float32(_SMEAR))
    grey = clear * smoke + through * fog * np.float32(0.5) + (1 - dirt) * np.float32(veils.glare)
    return clear * (1 - smoke), blurred, grey


def _surroundings(small: Light) -> Light:
    """Grey light from a large part of the picture."""
    size = (max(1, small.shape[1] // _STEP), max(1, small.shape[0] // _STEP))
    tiny = cv2.resize(small @ LUMINANCE, size, interpolation=cv2.INTER_AREA)
    wide = cv2.resize(cv2.GaussianBlur(tiny, (0, 0), _WIDE_SIGMA), small.shape[1::-1])
    grey: Light = wide[..., None] * _SMOKE_WHITE
    return grey


# ---- where the veils are thick ----


def smoke_share(height: int, width: int, seed: int, moment: float) -> Share:
    """Drifting clouds, 0 to 1."""
    scale = _SMOKE_SCALE * _MAP / height
    moved = [moment * step * _MAP for step in _SMOKE_DRIFT]
    columns = ((np.arange(width) * scale + moved[0]) % _MAP).astype(np.float32)
    rows = ((np.arange(height) * scale + moved[1]) % _MAP).astype(np.float32)
    across = np.broadcast_to(columns, (height, width))
    down = np.broadcast_to(rows[:, None], (height, width))
    cloud: Share = cv2.remap(
        _clouds(seed), np.ascontiguousarray(across), np.ascontiguousarray(down), cv2.INTER_LINEAR
    )
    return cloud


@lru_cache(maxsize=8)
def fog_share(height: int, width: int, seed: int) -> Share:
    """Condensation, 0 to 1: thickest somewhere near the middle, patchy towards the rim."""
    rng = np.random.default_rng((seed, 1))
    middle = rng.uniform(0.3, 0.7, 2)
    down = (np.arange(height) + 0.5) / height - middle[0]
    across = ((np.arange(width) + 0.5) / width - middle[1]) * width / height
    disc = np.exp(-((down**2)[:, None] + (across**2)[None]) / 0.35)
    patches = cv2.resize(_noise(rng, 0.7, 9.0), (width, height), interpolation=cv2.INTER_CUBIC)
    share: Share = np.clip(0.35 + 0.65 * disc + 0.15 * patches, 0, 1).astype(np.float32)
    return share


@lru_cache(maxsize=8)
def dirt_share(height: int, width: int, seed: int) -> Share:
    """A few smears and droplets, 0 to 1."""
    rng = np.random.default_rng((seed, 2))
    ragged = cv2.resize(_noise(rng, 3.0, 16.0), (width, height), interpolation=cv2.INTER_CUBIC)
    rows = ((np.arange(height) + 0.5) / height)[:, None]
    columns = ((np.arange(width) + 0.5) / height)[None]
    total = np.zeros((height, width))
    for _ in range(int(rng.integers(3, 9))):
        radius = rng.uniform(0.03, 0.14)
        place = (rng.random(), rng.random() * width / height)
        stretch, turn = rng.uniform(1, 2.2), rng.uniform(0, np.pi)
        right, down = columns - place[1], rows - place[0]
        along = (right * np.cos(turn) + down * np.sin(turn)) / stretch
        beside = down * np.cos(turn) - right * np.sin(turn)
        inside = 1 - np.hypot(along, beside) / radius + 0.25 * ragged
        total = np.maximum(total, np.clip(inside * 2.5, 0, 1) * rng.uniform(0.4, 1.0))
    share: Share = total.astype(np.float32)
    return share


@lru_cache(maxsize=8)
def _clouds(seed: int) -> Share:
    """A map that repeats, with one more row and column so that reading across the seam works."""
    noise = _noise(np.random.default_rng((seed, 3)), 0.7, 12.0)
    share = np.clip(0.55 + 0.28 * noise, 0, 1).astype(np.float32)
    return np.pad(share, ((0, 1), (0, 1)), mode="wrap")


def _noise(rng: np.random.Generator, low: float, high: float) -> Float32[np.ndarray, "map map"]:
    """Periodic noise of unit variance between two spatial frequencies, cycles per map."""
    frequency = np.fft.fftfreq(_MAP, 1 / _MAP)
    radius = np.hypot(frequency[:, None], frequency[None])
    band = np.exp(-((radius / high) ** 2)) * (radius >= low) / np.maximum(radius, 1) ** 1.4
    turned = np.fft.fft2(rng.normal(size=(_MAP, _MAP))) * band
    noise = np.fft.ifft2(turned).real
    unit: Float32[np.ndarray, "map map"] = (noise / noise.std()).astype(np.float32)
    return unit

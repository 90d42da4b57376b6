# SPDX-License-Identifier: Apache-2.0
"""What a scanner does to a patient: blur in the plane and across slices, streaks, noise.

Noise is white noise through the kernel's own band: no slow part, as filtered back-projection
leaves it (Riederer, Pelc & Chesler 1978), and grains that a soft kernel makes larger.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int16
from scipy import ndimage

from endoforge.distributions import Choice, draw
from endoforge.scene.volume.phantom_settings import ScannerSettings

_FWHM = 2.3548  # of a Gaussian, in standard deviations
#: Width of the point spread and of the noise grain by kernel, mm.
_PLANE_MM = {"soft": (1.2, 1.5), "sharp": (0.6, 0.7)}
_SLOW_MM = 6.0
_COARSE = 4  # streaks are worked out on every fourth voxel


@dataclass(frozen=True)
class Scan:
    """One scan, drawn.

    Attributes:
        kernel: Reconstruction kernel.
        noise_hu: Standard deviation in the middle of the body.
        slice_mm: Width of the slice profile at half height.
        streaks: Strength of dark bands between dense bones.
        seed: Of the noise.
    """

    kernel: Literal["soft", "sharp"]
    noise_hu: float
    slice_mm: float
    streaks: float
    seed: int


def sample_scan(settings: ScannerSettings, rng: np.random.Generator) -> Scan:
    """Draw how one patient is scanned."""
    kernel = settings.kernel
    return Scan(
        kernel=kernel.pick(rng) if isinstance(kernel, Choice) else kernel,
        noise_hu=draw(settings.noise_hu, rng),
        slice_mm=draw(settings.slice_mm, rng),
        streaks=draw(settings.streaks, rng),
        seed=int(rng.integers(2**63)),
    )


def scanned(
    hu: Float32[np.ndarray, "i j k"], step_mm: float, scan: Scan
) -> Int16[np.ndarray, "i j k"]:
    """Scan a patient.

    Args:
        hu: Hounsfield units before the scanner.
        step_mm: Edge of a voxel.
        scan: How.

    Returns:
        Hounsfield units from -1024 to 3071, as scanners store them.
    """
    plane, _ = _PLANE_MM[scan.kernel]
    result = _blurred(hu, (plane, plane, scan.slice_mm), step_mm)
    if scan.streaks > 0:
        result -= _streaks(result, step_mm, scan.streaks)
    if scan.noise_hu > 0:
        result += _noise(hu.shape, step_mm, scan)
    np.rint(result, out=result)
    return np.clip(result, -1024, 3071, out=result).astype(np.int16)


def _blurred(
    values: Float32[np.ndarray, "i j k"], widths_mm: tuple[float, float, float], step_mm: float
) -> Float32[np.ndarray, "i j k"]:
    result = values
    for axis, width in enumerate(widths_mm):
        sigma = width / (_FWHM * step_mm)
        if sigma > 0.15:
            result = ndimage.gaussian_filter1d(result, sigma, axis, truncate=2.6)
    return np.array(result, copy=result is values)


def _noise(shape: tuple[int, ...], step_mm: float, scan: Scan) -> Float32[np.ndarray, "i j k"]:
    """Noise of a band of frequencies, strongest in the middle of the field."""
    rng = np.random.default_rng(scan.seed)
    noise = rng.standard_normal(shape, dtype=np.float32)
    _, grain = _PLANE_MM[scan.kernel]
    noise = _blurred(noise, (grain, grain, 0.8 * scan.slice_mm), step_mm)
    slow = max(int(_SLOW_MM / step_mm) | 1, 3)
    for axis in (0, 1):
        noise -= 0.5 * ndimage.uniform_filter1d(noise, slow, axis)
    place = np.linspace(-1, 1, shape[0], dtype=np.float32) ** 2
    falloff = 1.15 - 0.5 * np.minimum(place[:, None] + place[None, :], 1.0)
    noise *= (falloff * (scan.noise_hu / float(noise[:, :, :32].std())))[:, :, None]
    return np.asarray(noise)


def _streaks(
    hu: Float32[np.ndarray, "i j k"], step_mm: float, strength: float
) -> Float32[np.ndarray, "i j k"]:
    """Dark bands where a ray from side to side passes dense bone on both sides.

    The drop grows with the geometric mean of the bone on the two sides, as beam hardening does.
    """
    coarse = hu[::_COARSE, ::_COARSE, ::_COARSE]
    bone = np.maximum(coarse - 250.0, 0.0) * np.float32(_COARSE * step_mm / 1000.0)
    one = np.cumsum(bone, axis=0)
    band = np.sqrt(one * (one[-1:] - one)) * (bone == 0) * (coarse > -300)
    band = ndimage.gaussian_filter(band, (1.0, 0.7, 0.7))
    zoom = [n / c for n, c in zip(hu.shape, band.shape, strict=True)]
    full = ndimage.zoom(band, zoom, order=1, grid_mode=True, mode="nearest")
    return np.asarray(np.float32(2.2 * strength) * full)

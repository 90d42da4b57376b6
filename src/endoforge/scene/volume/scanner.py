# SPDX-License-Identifier: Apache-2.0
"""What a scanner does to a patient: blur in the plane and across slices, streaks, noise.

Noise is white noise through the kernel's own band: no slow part, as filtered back-projection
leaves it (Riederer, Pelc & Chesler 1978), and grains that a soft kernel makes larger.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32, Int16
from scipy import ndimage

from endoforge.distributions import Choice, draw
from endoforge.scene.volume.phantom_settings import ScannerSettings

_FWHM = 2.3548  # of a Gaussian, in standard deviations
#: Width of the point spread and of the noise grain by kernel, mm.
_PLANE_MM = {"soft": (1.2, 1.5), "sharp": (0.6, 0.7)}
_SLOW_MM = 6.0
_SLAB = 16
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
    across = _bell(plane / step_mm)
    result = filtered(hu, (across, across, _bell(scan.slice_mm / step_mm)))
    if scan.streaks > 0:
        result -= _streaks(result, step_mm, scan.streaks)
    if scan.noise_hu > 0:
        result += _noise(hu.shape, step_mm, scan)
    np.rint(result, out=result)
    return np.clip(result, -1024, 3071, out=result).astype(np.int16)


def filtered(
    values: Float32[np.ndarray, "i j k"], kernels: Sequence[Float32[np.ndarray, "_"]]
) -> Float32[np.ndarray, "i j k"]:
    """Filter along each axis by a symmetric kernel; the outermost values go on beyond the grid."""
    one, edge = np.ones(1, np.float32), cv2.BORDER_REPLICATE
    result = np.empty_like(values)
    for plane, target in zip(values, result, strict=True):
        cv2.sepFilter2D(plane, cv2.CV_32F, kernels[2], kernels[1], dst=target, borderType=edge)
    if len(kernels[0]) > 1:
        flat = result.reshape(len(values), -1)
        result = cv2.sepFilter2D(flat, cv2.CV_32F, one, kernels[0], borderType=edge)
    return np.asarray(result, dtype=np.float32).reshape(values.shape)


def _bell(width: float) -> Float32[np.ndarray, "taps"]:
    """A Gaussian by its width at half height, voxels."""
    sigma = max(width / _FWHM, 0.05)
    reach = np.arange(-int(np.ceil(2.6 * sigma)), int(np.ceil(2.6 * sigma)) + 1)
    bell = np.exp(-0.5 * (reach / sigma) ** 2)
    return np.asarray(bell / bell.sum(), dtype=np.float32)


def _without_slow(kernel: Float32[np.ndarray, "taps"], voxels: int) -> Float32[np.ndarray, "wider"]:
    """The same kernel after half of what is slower than so many voxels was taken away."""
    high = -0.5 * np.ones(voxels) / voxels
    high[voxels // 2] += 1.0
    return np.convolve(kernel, high).astype(np.float32)


def _noise(shape: tuple[int, ...], step_mm: float, scan: Scan) -> Float32[np.ndarray, "i j k"]:
    """Noise of a band of frequencies, strongest in the middle of the field."""
    white = np.empty(shape, np.float32)

    def fill(first: int) -> None:
        rng = np.random.default_rng((scan.seed, first))  # any number of threads, the same noise
        rng.standard_normal(out=white[first : first + _SLAB], dtype=np.float32)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, range(0, shape[0], _SLAB)))
    _, grain = _PLANE_MM[scan.kernel]
    slow = max(int(_SLOW_MM / step_mm) | 1, 3)
    across = _without_slow(_bell(grain / step_mm), slow)
    noise = filtered(white, (across, across, _bell(0.8 * scan.slice_mm / step_mm)))
    place = np.linspace(-1, 1, shape[0], dtype=np.float32) ** 2
    falloff = 1.15 - 0.5 * np.minimum(place[:, None] + place[None, :], 1.0)
    middle = shape[0] // 2
    noise *= (falloff * (scan.noise_hu / float(noise[middle].std())))[:, :, None]
    return noise


def _streaks(
    hu: Float32[np.ndarray, "i j k"], step_mm: float, strength: float
) -> Float32[np.ndarray, "i j k"]:
    """Dark bands where a ray from side to side passes dense bone on both sides.

    The drop grows with the geometric mean of the bone on the two sides, as beam hardening does.
    """
    coarse = hu[::_COARSE, ::_COARSE, ::_COARSE]
    bone = np.maximum(coarse - 250.0, 0.0) * np.float32(_COARSE * step_mm / 1000.0)
    one = np.cumsum(bone, axis=0)
    band = np.sqrt(np.maximum(one * (one[-1:] - one), 0.0)) * (bone == 0) * (coarse > -300)
    band = ndimage.gaussian_filter(band, (1.0, 0.7, 0.7))
    return np.float32(2.2 * strength) * enlarged(band, hu.shape)


def enlarged(
    coarse: Float32[np.ndarray, "a b c"], shape: tuple[int, ...]
) -> Float32[np.ndarray, "i j k"]:
    """Spread a coarse grid over a fine one, linearly in between."""
    planes = np.stack([cv2.resize(p, (shape[2], shape[1])) for p in coarse.astype(np.float32)])
    flat = cv2.resize(planes.reshape(len(coarse), -1), (shape[1] * shape[2], shape[0]))
    return np.asarray(flat, dtype=np.float32).reshape(shape)

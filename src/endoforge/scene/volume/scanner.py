# SPDX-License-Identifier: Apache-2.0
"""What a scanner does to a patient: blur in the plane and across slices, and correlated noise."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from endoforge.distributions import Choice, draw
from endoforge.scene.volume.phantom_settings import ScannerSettings

_FWHM = 2.3548  # of a Gaussian, in standard deviations


@dataclass(frozen=True)
class Scan:
    """One scan, drawn.

    Attributes:
        kernel: Reconstruction kernel.
        noise_hu: Standard deviation in soft tissue.
        slice_mm: Width of the slice profile at half height.
        streaks: Strength of dark bands.
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
) -> Float32[np.ndarray, "i j k"]:
    """Blur a patient and add noise, as the scan says."""
    plane_mm = 1.1 if scan.kernel == "soft" else 0.6  # width at half height
    widths = np.array([plane_mm, plane_mm, scan.slice_mm]) / (_FWHM * step_mm)
    blurred = ndimage.gaussian_filter(hu, widths, truncate=3.0)
    rng = np.random.default_rng(scan.seed)
    noise = rng.standard_normal(hu.shape, dtype=np.float32)
    grain = np.array([1.4, 1.4, scan.slice_mm]) / (_FWHM * step_mm)
    noise = ndimage.gaussian_filter(noise, grain, truncate=3.0)
    blurred += noise * np.float32(scan.noise_hu / max(float(noise.std()), 1e-6))
    return np.asarray(blurred)

# SPDX-License-Identifier: Apache-2.0
"""Exposes a picture until it is good enough: passes that grow, merged without a loss.

Nothing here is random and nothing depends on the renderer's inside: it needs `expose` only.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from endoforge.errors import SettingsError
from endoforge.render.volume.denoise import smoothing_s
from endoforge.render.volume.settings import USUAL_SAMPLES, QualitySettings
from endoforge.render.volume.view import Exposure, VolumeView

Picture = Float32[np.ndarray, "height width 3"]

#: Displayed value = (radiance / white) ** (1 / GAMMA), clipped to 0 to 1; white is this percentile.
GAMMA, WHITE_PERCENTILE = 2.2, 99.0

#: Fewer samples than this say too little about their own noise to stop by it.
FEWEST_FOR_NOISE = 4

#: No pass takes more samples, so that whoever waits hears of it now and then.
LARGEST_PASS = 256

#: A pass takes at most so many times the samples before it, as too little is known of the rest.
_GROWTH = 8

#: A pass that would fit less than this share of the time budget is left out.
_LEFT_OVER = 0.04

_BOX_PX = 7
_DARKEST = 1e-3


@runtime_checkable
class Exposes(Protocol):
    """What exposes: `render.volume.renderer.VolumeRenderer`, or a stand-in in tests."""

    def expose(
        self, view: VolumeView, samples: int, max_bounces: int = 16, first_sample: int = 0
    ) -> Exposure:
        """Mean of the samples from `first_sample` on; the same numbers for the same arguments."""
        ...


@dataclass(frozen=True, eq=False)
class Tally:
    """Sums over the samples so far, in double precision.

    Attributes:
        samples: Paths per pixel.
        mean: Of the radiance.
        squares: Sum over the samples of the squared distance from the mean.
        albedo: Mean of the first collision's albedo.
        seconds: Sum over the passes.
    """

    samples: int
    mean: Float64[np.ndarray, "height width 3"]
    squares: Float64[np.ndarray, "height width 3"]
    albedo: Float64[np.ndarray, "height width 3"]
    seconds: float

    def exposure(self) -> Exposure:
        """The same as a picture; its variance is None for a single sample."""
        pairs = self.samples * (self.samples - 1)
        variance = (self.squares / pairs).astype(np.float32) if pairs else None
        radiance, albedo = (array.astype(np.float32) for array in (self.mean, self.albedo))
        return Exposure(radiance, self.samples, variance, albedo, self.seconds)


def tally(exposure: Exposure) -> Tally:
    """The sums behind an exposure.

    Raises:
        SettingsError: It has several samples and no variance, so that merging would lose noise.
    """
    n, mean = exposure.samples, exposure.radiance.astype(np.float64)
    if n > 1 and exposure.variance is None:
        raise SettingsError(f"an exposure of {n} samples needs its variance to be merged, got None")
    squares = np.zeros_like(mean)
    if exposure.variance is not None:
        squares = exposure.variance.astype(np.float64) * (n * (n - 1))
    return Tally(n, mean, squares, exposure.albedo.astype(np.float64), exposure.seconds)


def merged(one: Tally, other: Tally) -> Tally:
    """Both as if all samples had been taken at once.

    Source:
        Chan, Golub & LeVeque, *Updating formulae and a pairwise algorithm for computing sample
        variances*, COMPSTAT 1982, equation 2.1.
    """
    total = one.samples + other.samples
    share = other.samples / total
    apart = other.mean - one.mean
    return Tally(
        total,
        one.mean + share * apart,
        one.squares + other.squares + np.square(apart) * (one.samples * share),
        one.albedo + share * (other.albedo - one.albedo),
        one.seconds + other.seconds,
    )


def exposed(
    renderer: Exposes,
    view: VolumeView,
    quality: QualitySettings,
    on_progress: Callable[[Exposure], None] | None = None,
) -> Exposure:
    """Expose a picture in growing passes until the rule is met.

    Passes of a progressive picture take 1, 1, 2, 4, 8... samples, all others as many as the rule
    lets foresee: each pass has a cost of its own. Under `samples` and `noise` they follow from the
    settings and from the picture's own numbers alone, so the same view gives the same bits; under
    `seconds` the clock decides. The noise is that of all pixels together, so that stopping by it
    does not favour lucky pixels.

    Args:
        renderer: Exposes the passes; the sample counts are numbers to its kernel, not constants.
        view: What is seen; its seed makes the samples, and no pass repeats another's.
        quality: The rule, its caps and the bounces. A time budget keeps room for denoising.
        on_progress: Called after each pass with the picture so far; changes nothing.

    Returns:
        Unbiased mean of all samples with the variance of that mean.
    """
    clock = time.perf_counter
    start = clock()
    so_far: Tally | None = None
    size = _first_pass(quality)
    while size > 0:
        first = so_far.samples if so_far else 0
        begin = clock()
        new = tally(renderer.expose(view, size, quality.max_bounces, first_sample=first))
        pace = (clock() - begin) / size
        so_far = merged(so_far, new) if so_far else new
        exposure = so_far.exposure()
        if on_progress is not None:
            on_progress(exposure)
        later = smoothing_s(exposure.radiance.size // 3, quality.denoise)
        size = _next_pass(exposure, quality, clock() - start + later, pace)
    return exposure


def _first_pass(quality: QualitySettings) -> int:
    if quality.progressive or quality.seconds is not None:
        return 1
    if quality.noise is not None:
        return min(FEWEST_FOR_NOISE, quality.max_samples)
    return min(quality.samples or USUAL_SAMPLES, LARGEST_PASS)


def _next_pass(exposure: Exposure, quality: QualitySettings, spent_s: float, pace_s: float) -> int:
    """Samples of the next pass; 0 to stop."""
    taken = exposure.samples
    if quality.seconds is not None:
        left = quality.seconds - spent_s
        fits = int(left / max(pace_s, 1e-9)) if left > _LEFT_OVER * quality.seconds else 0
        wanted = min(fits, quality.max_samples - taken)
    elif quality.noise is not None:
        wanted = min(_missing(exposure, quality.noise), quality.max_samples - taken)
    else:
        wanted = (quality.samples or USUAL_SAMPLES) - taken
    most = taken if quality.progressive else _GROWTH * taken
    return max(min(wanted, most, LARGEST_PASS), 0)


def _missing(exposure: Exposure, target: float) -> int:
    """How many more samples the noise target takes, as error falls with their square root."""
    taken = exposure.samples
    if taken < FEWEST_FOR_NOISE:
        return FEWEST_FOR_NOISE - taken
    ratio = noise_of(exposure) / target
    if ratio <= 1:
        return 0
    return max(int(np.ceil(taken * min(ratio, 1e3) ** 2)) - taken, taken // 16, 1)


def noise_of(exposure: Exposure) -> float:
    """Root mean square of the standard error of the displayed value, 0 to about 1.

    The displayed value is (radiance / white) ** (1 / 2.2), white being the 99th percentile of the
    picture. Its standard error in a pixel is that of the radiance times the slope of this curve
    at the mean of the 7 x 7 pixels around, or at white where that is brighter, or at a thousandth
    of white where that is darker. -20 log10 of the result estimates the picture's peak
    signal-to-noise ratio against the converged one; above 0.1, where the curve bends within the
    noise, it is too hopeful.

    Returns:
        infinity for a single sample, whose noise nobody knows; 0 for a black picture.
    """
    if exposure.variance is None:
        return float("inf")
    local = cv2.blur(exposure.radiance, (_BOX_PX, _BOX_PX), borderType=cv2.BORDER_REFLECT)
    white = float(np.percentile(local, WHITE_PERCENTILE))
    if white <= 0:
        return 0.0
    slope = np.clip(local / white, _DARKEST, 1) ** (1 / GAMMA - 1) / (GAMMA * white)
    return float(np.sqrt(np.mean(np.square(slope) * exposure.variance, dtype=np.float64)))


def displayed(radiance: Picture, white: float) -> Picture:
    """The display curve by which noise and quality are measured: gamma 2.2, clipped at white."""
    shown: Picture = np.clip(radiance / np.float32(white), 0, 1) ** np.float32(1 / GAMMA)
    return shown

# SPDX-License-Identifier: Apache-2.0
"""Smooths the noise of a volume picture, guided by its albedo and by its labels.

Labels go in as guides and never come out: they have no noise and are nowhere changed.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from endoforge.errors import ShapeError
from endoforge.render.oidn import by_oidn
from endoforge.render.settings import DenoiseMethod
from endoforge.render.volume.regression import Noisy, fitted
from endoforge.render.volume.view import Exposure, VolumeLabels

Picture = Float32[np.ndarray, "height width 3"]
Plane = Float32[np.ndarray, "height width"]

#: Standard deviations by which guides are smoothed before use, px: the first collision's albedo
#: is a mean over few samples, normals carry the scanner's noise, and labels are those of the
#: pixel's middle. Best of a few on drawn CTs.
_ALBEDO_PX, _NORMAL_PX, _DEPTH_PX, _SLOPE_PX = 1.5, 1.0, 0.7, 1.5

#: Albedo, nearness and opacity with the normals, with the depth's own slopes, and alone. Where
#: tissue is translucent, light comes from below the depth at which normals are taken, and scanner
#: noise turns them about; without them a fit is less free to follow noise.
_CHOICES = ((0, 1, 2, 3, 4, 5, 6, 7), (0, 1, 2, 6, 7, 8, 9, 10), (0, 1, 2, 6, 7))

#: A pixel is a firefly when it outshines its neighbourhood by this many of its standard errors...
_OUTSHINES = 8.0
#: ...and by no more than this many of its own.
_UNSURE = 3.0
_BOX_PX = 7

#: What smoothing a pixel takes on two busy cores, s; time budgets keep it free.
_SMOOTHING_S: dict[DenoiseMethod, float] = {"guided": 1.5e-6, "oidn": 3e-6, "off": 0.0}


def denoised(
    exposure: Exposure,
    labels: VolumeLabels,
    method: DenoiseMethod,
    limit_fireflies: bool = True,
) -> Picture:
    """Smooth a picture of a volume.

    Args:
        exposure: The noisy picture with its variance; a single sample will do, worse.
        labels: Of the same view.
        method: ``"guided"`` for local fits by the guides, ``"oidn"`` for Intel's network by
            colour alone (albedo and normals as guides lost 0.5 to 3 dB where tissue is
            translucent, gained about 1 dB in lumens, and took three times as long), or ``"off"``
            for the picture as it is, unbiased.
        limit_fireflies: Bring single bright pixels down first (`without_fireflies`).

    Raises:
        MissingDependency: Open Image Denoise was asked for and is not installed.
        ShapeError: The labels are of another size.
    """
    if labels.found.shape != exposure.radiance.shape[:2]:
        raise ShapeError(
            f"the labels are {labels.found.shape} but the picture is "
            f"{exposure.radiance.shape[:2]} (height, width); take both from one renderer"
        )
    if method == "off":
        return exposure.radiance
    radiance = without_fireflies(exposure) if limit_fireflies else exposure.radiance
    nothing = _nothing(exposure, labels)
    if method == "oidn":
        smooth = by_oidn(radiance)
    else:
        noisy = Noisy(radiance, _noise(exposure), ~nothing)
        smooth = fitted(noisy, guides_of(exposure, labels), _CHOICES)
    return np.where(nothing[..., None], exposure.radiance, smooth)


def smoothing_s(pixels: int, method: DenoiseMethod) -> float:
    """About how long `denoised` takes, s."""
    return _SMOOTHING_S[method] * pixels


def guides_of(exposure: Exposure, labels: VolumeLabels) -> list[Plane]:
    """What is known of each pixel.

    Three of albedo, three of the normal, nearness, opacity, three of the depth's slope.
    """
    found = np.isfinite(labels.distance_mm)
    albedo = [_blurred(exposure.albedo[..., c], _ALBEDO_PX) for c in range(3)]
    normals = np.nan_to_num(labels.normal_camera)
    normal = [_blurred(normals[..., c], _NORMAL_PX) for c in range(3)]
    near = np.where(found, labels.distance_mm, np.float32(np.inf))
    usual = np.float32(np.median(near[found])) if found.any() else np.float32(1)
    depth = _blurred(np.minimum(usual / np.maximum(near, 1e-3 * usual), 10), _DEPTH_PX)
    opacity = np.nan_to_num(labels.opacity)
    return [*albedo, *normal, depth, opacity, *_slopes(near, found)]


def _slopes(near: Plane, found: Bool[np.ndarray, "height width"]) -> list[Plane]:
    """The normal of the depth map itself, up to a factor: without scale, for any lens."""
    log = np.log(np.where(found, np.maximum(near, 1e-6), np.float32(1)))
    share = _blurred(found.astype(np.float32), _SLOPE_PX) + np.float32(1e-6)
    smooth = _blurred(log, _SLOPE_PX) / share
    steep = max(found.shape) / 5 / 8  # a fifth of the picture for the depth to grow by e
    right, down = (cv2.Sobel(smooth, cv2.CV_32F, *way, scale=steep) for way in ((1, 0), (0, 1)))
    length = np.sqrt(1 + right**2 + down**2)
    parts = (right / length, down / length, 1 / length)
    return [np.where(found, part, np.float32(0)) for part in parts]


def without_fireflies(exposure: Exposure) -> Picture:
    """Bring pixels down to the brightest that their neighbourhood makes plausible.

    That is the mean of the other 7 x 7 pixels and eight times their standard error. Only pixels
    are touched whose own excess lies within three of their own standard errors: such a pixel owes
    its light to few of its samples. Detail is found again by every sample and stays, and with more
    samples ever less is limited. Light is lost, never added: the picture gets darker.
    """
    bright = exposure.radiance.mean(axis=-1)
    noise = _noise(exposure)
    mean, spread = (_others(plane) for plane in (bright, noise))
    most = mean + _OUTSHINES * np.sqrt(np.maximum(spread, 0))
    own = np.sqrt(noise) if exposure.variance is not None else np.float32(np.inf)
    lucky = (bright > most) & (bright - mean < _UNSURE * own)
    factor = np.where(lucky, most / np.maximum(bright, 1e-20), np.float32(1)).astype(np.float32)
    return exposure.radiance * factor[..., None]


def _noise(exposure: Exposure) -> Plane:
    """Variance of a pixel's mean over the colours; from its neighbours for a single sample."""
    if exposure.variance is not None:
        return np.asarray(exposure.variance.mean(axis=-1))
    once = exposure.radiance
    mean, square = (cv2.blur(p, (_BOX_PX, _BOX_PX)) for p in (once, once * once))
    return np.asarray(np.maximum(square - mean * mean, 0).mean(axis=-1))


def _nothing(exposure: Exposure, labels: VolumeLabels) -> Bool[np.ndarray, "height width"]:
    """Pixels outside the lens, and those through which no path met any matter: free of noise."""
    still = exposure.albedo.max(axis=-1) == 0
    if exposure.variance is not None:
        still &= exposure.variance.max(axis=-1) == 0
    return np.asarray(still & ~(labels.opacity > 0))


def _others(plane: Plane) -> Plane:
    """Mean of the other pixels of the box around each."""
    count = _BOX_PX * _BOX_PX
    mean = cv2.blur(plane, (_BOX_PX, _BOX_PX), borderType=cv2.BORDER_REFLECT)
    return np.asarray((mean * count - plane) / (count - 1))


def _blurred(plane: Plane, deviation: float) -> Plane:
    plane = np.ascontiguousarray(plane)
    blurred = cv2.GaussianBlur(plane, (0, 0), deviation, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred)

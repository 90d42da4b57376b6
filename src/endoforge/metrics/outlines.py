# SPDX-License-Identifier: Apache-2.0
"""What is left of a picture when its look is taken away: where edges run and in which direction.

Colour, gain, gamma and smooth light change how strong an edge is and which side is brighter; they
change neither its place nor its direction.
"""

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

#: Gradients below this are noise of the sensor or of 8 bits, display values (0 to 1) per px.
NOISE = 0.006


def outlines(
    image: UInt8[np.ndarray, "height width 3"], sigma_px: float
) -> Float32[np.ndarray, "height width 4"]:
    """Strength and direction of the edges of a picture at one scale.

    The direction is that of the largest change over all three colours together. It stands as
    double and fourfold angle, so that the scalar product of two pixels is m m' (cos 2Δ + cos 4Δ)/2:
    1 for strong edges of one direction whichever side is brighter, 0 on average for chance. The
    strength m is measured against its neighbourhood, 8 sigma wide, and lies between 0 and 1.

    Args:
        image: Display-referred sRGB, 0 to 255.
        sigma_px: Standard deviation of the blur before the gradient, px.

    Source:
        Di Zenzo, *A note on the gradient of a multi-image*, 1986 (the direction); Haber and
        Modersitzki, *Intensity gradient based registration and fusion*, MICCAI 2006 (normalised
        gradient fields). The fourfold angle is our own choice.
    """
    smooth = cv2.GaussianBlur(image.astype(np.float32) / 255, (0, 0), sigma_px)
    du = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    dv = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    double = np.stack([(du**2 - dv**2).sum(-1), 2 * (du * dv).sum(-1)], axis=-1)
    squared = np.hypot(double[..., 0], double[..., 1])
    cosine, sine = (double[..., k] / np.maximum(squared, 1e-12) for k in (0, 1))
    strength = np.sqrt(squared) * np.float32(sigma_px)
    around = _neighbourhood(strength, 8 * sigma_px)
    relative = strength / (strength + around + NOISE) / np.float32(np.sqrt(2))
    fields = (cosine, sine, cosine**2 - sine**2, 2 * cosine * sine)
    return np.stack([relative * one for one in fields], axis=-1).astype(np.float32)


def agreement(
    first: Float32[np.ndarray, "*pixels 4"], second: Float32[np.ndarray, "*pixels 4"]
) -> Float32[np.ndarray, "*pixels"]:
    """How much two pixels' edges support each other, the scalar product of their outlines."""
    return np.asarray(np.einsum("...c,...c->...", first, second))


def energy(fields: Float32[np.ndarray, "*pixels 4"]) -> Float32[np.ndarray, "*pixels"]:
    """Squared strength of the edge at each pixel, below 1."""
    return agreement(fields, fields)


def _neighbourhood(
    values: Float32[np.ndarray, "height width"], sigma_px: float
) -> Float32[np.ndarray, "height width"]:
    """A wide blur, made of a smaller picture where that makes no difference."""
    height, width = values.shape
    step = max(1, min(int(sigma_px // 4), height // 16, width // 16))
    if step == 1:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_px))
    size = (round(width / step), round(height / step))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(small, (0, 0), sigma_px / step)
    return np.asarray(cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR))

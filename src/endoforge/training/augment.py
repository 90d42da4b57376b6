# SPDX-License-Identifier: Apache-2.0
"""Variations of training pictures, so that real frames look like one more of them.

Everything random is drawn into an `AugmentDraw` first; `augment` then applies it to a whole batch
at once and is a pure function of pictures and draw.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor

from endoforge.training.augment_settings import AugmentSettings
from endoforge.training.overlays import (
    TEXTS,
    block_coded,
    blurred,
    content_seen,
    highlight_texture,
    inside_box,
    noise_texture,
    text_masks,
    window,
)

_LUMA = (0.299, 0.587, 0.114)
_FAR = 1e3  # half heights: a content mask that leaves everything visible


@dataclass(frozen=True)
class AugmentDraw:
    """What will be done to each picture of a batch; the first axis of all arrays is the batch.

    Attributes:
        flips: Mirror left-right, mirror up-down.
        gains: Factors on display red, green and blue.
        gamma: Exponent on the display value.
        saturation: Factor on colourfulness.
        vignetting: Darkening in the corners, 0 to 1.
        blur_px: Standard deviation along and across the blur's axis; 0 is none.
        blur_axis_rad: Direction of the first.
        noise: Standard deviation, of full scale.
        blocks: Quantisation step of the 8 x 8 block coding, of full scale; 0 is none.
        highlights: Threshold on the texture of highlights; infinite is none.
        shape: a, b, c, r, u0, v0 of the content mask in half heights: content lies where
            |u - u0| < a, |v - v0| < b, |u - u0| + |v - v0| < c and within r of (u0, v0).
        box: Left, top, right, bottom of a box in shares of width and height; empty is none.
        box_colour: Display values of the box.
        text: Number of the layout of text; 0 is none.
        corner: Where in the textures the picture lies, 0 to 1, down and right.
    """

    flips: Bool[np.ndarray, "batch 2"]
    gains: Float[np.ndarray, "batch 3"]
    gamma: Float[np.ndarray, " batch"]
    saturation: Float[np.ndarray, " batch"]
    vignetting: Float[np.ndarray, " batch"]
    blur_px: Float[np.ndarray, "batch 2"]
    blur_axis_rad: Float[np.ndarray, " batch"]
    noise: Float[np.ndarray, " batch"]
    blocks: Float[np.ndarray, " batch"]
    highlights: Float[np.ndarray, " batch"]
    shape: Float[np.ndarray, "batch 6"]
    box: Float[np.ndarray, "batch 4"]
    box_colour: Float[np.ndarray, "batch 3"]
    text: Int[np.ndarray, " batch"]
    corner: Float[np.ndarray, "batch 2"]


def draw_augment(settings: AugmentSettings, rng: np.random.Generator, batch: int) -> AugmentDraw:
    """Draw what will be done to each picture of a batch."""
    s = settings.strength
    touched = (rng.random(batch) >= settings.clean).astype(float)

    def around(size: float, *shape: int) -> np.ndarray:
        share = touched.reshape(-1, *[1] * len(shape))
        return np.asarray(s * size * share * rng.uniform(-1, 1, (batch, *shape)))

    def some(share: float) -> np.ndarray:
        return np.asarray(touched * (rng.random(batch) < share * min(s, 1.0)))

    def between(ends: tuple[float, float]) -> np.ndarray:
        return rng.uniform(*ends, batch)

    stops = around(settings.exposure, 1) + around(settings.white_balance, 3) * (1, 0, 1)
    spread = between(settings.blur_px)
    area = np.exp(between((np.log(settings.highlights[0]), np.log(settings.highlights[1]))))
    lit = some(settings.highlights_share) > 0
    return AugmentDraw(
        flips=(rng.random((batch, 2)) < 0.5) & settings.flip,
        gains=2.0 ** (stops / 2.2),
        gamma=2.0 ** around(settings.gamma),
        saturation=1.0 + around(settings.saturation),
        vignetting=some(settings.vignetting_share)
        * np.clip(s * between(settings.vignetting), 0, 1),
        blur_px=some(settings.blur_share)[:, None]
        * np.stack([spread, spread * rng.uniform(0.2, 1.0, batch)], axis=1),
        blur_axis_rad=rng.uniform(0, np.pi, batch),
        noise=touched * s * between(settings.noise) * rng.random(batch),
        blocks=some(settings.blocks_share) * s * between(settings.blocks),
        highlights=np.where(lit, _normal_threshold(area), np.inf),
        shape=_draw_shapes(rng, some(settings.mask_share) > 0),
        box=_draw_boxes(rng, some(settings.box_share) > 0),
        box_colour=rng.random((batch, 3)) * (rng.random((batch, 1)) < 0.3),
        text=(some(settings.text_share) * rng.integers(1, TEXTS, batch)).astype(np.int64),
        corner=rng.random((batch, 2)),
    )


def augment(
    image: UInt8[Tensor, "batch 3 height width"],
    labels: Shaped[Tensor, "batch channels height width"],
    draw: AugmentDraw,
) -> tuple[
    Float[Tensor, "batch 3 height width"],
    Shaped[Tensor, "batch channels height width"],
    Bool[Tensor, "batch 1 height width"],
]:
    """Apply a draw to a batch.

    Args:
        image: Display values, 0 to 255.
        labels: What is known of each pixel: depth in mm, class indices, ...
        draw: What to do.

    Returns:
        Pictures in [0, 1], the flipped labels, and where tissue can still be seen.
    """
    image, labels = _flipped(image, draw.flips), _flipped(labels, draw.flips)
    light = _photometric(image, draw)
    light = _degraded(light, draw)
    light, seen = _overlaid(light, draw)
    return light, labels, seen


# ---- inside -------------------------------------------------------------------------------------


def _normal_threshold(area: np.ndarray) -> np.ndarray:
    """Return the value that a standard normal variable exceeds with this probability, roughly.

    Source:
        Abramowitz & Stegun, *Handbook of Mathematical Functions*, 26.2.22 (error below 0.003).
    """
    t = np.sqrt(-2.0 * np.log(area))
    return np.asarray(t - (2.30753 + 0.27061 * t) / (1 + 0.99229 * t + 0.04481 * t**2))


def _draw_shapes(rng: np.random.Generator, masked: np.ndarray) -> np.ndarray:
    """Draw octagons for three masked pictures in four, circles for the rest."""
    batch = len(masked)
    half_width, half_height = rng.uniform(0.85, 1.35, batch), rng.uniform(0.85, 1.1, batch)
    corner = half_width + half_height - rng.uniform(0.15, 0.75, batch)
    radius, centre = rng.uniform(0.9, 1.4, batch), rng.uniform(-0.1, 0.1, (batch, 2))
    everything = np.full(batch, _FAR)
    octagon = np.stack([half_width, half_height, corner, everything], axis=1)
    circle = np.stack([everything, everything, everything, radius], axis=1)
    shape = np.where(rng.random((batch, 1)) < 0.75, octagon, circle)
    shape = np.where(masked[:, None], shape, _FAR)
    return np.concatenate([shape, centre * masked[:, None]], axis=1)


def _draw_boxes(rng: np.random.Generator, boxed: np.ndarray) -> np.ndarray:
    """Draw boxes that fill a corner, the lower left one most often."""
    batch = len(boxed)
    width, height = rng.uniform(0.1, 0.4, batch), rng.uniform(0.1, 0.4, batch)
    right, top = rng.random(batch) < 0.2, rng.random(batch) < 0.2
    left = np.where(right, 1 - width, 0.0)
    upper = np.where(top, 0.0, 1 - height)
    box = np.stack([left, upper, left + width, upper + height], axis=1)
    return np.asarray(box * boxed[:, None])


def _flipped(values: Tensor, flips: np.ndarray) -> Tensor:
    """Mirror some pictures of a batch left-right (first column) or up-down (second)."""
    if not flips.any():
        return values
    found = [
        value.flip([axis - 3 for axis in (2, 1) if flip[2 - axis]]) if flip.any() else value
        for value, flip in zip(values, flips, strict=True)
    ]
    return torch.stack(found)


def _on(values: np.ndarray, like: Tensor) -> Tensor:
    """Return one number per picture, shaped to multiply a batch of pictures."""
    return torch.from_numpy(values.astype(np.float32)).to(like.device).view(len(values), -1, 1, 1)


def _photometric(image: Tensor, draw: AugmentDraw) -> Tensor:
    light = (image.float() * _on(draw.gains / 255.0, image)).clamp_(1e-4, 1.0)
    light = light.pow_(_on(draw.gamma, image))
    weights = torch.tensor(_LUMA, device=light.device).view(1, 3, 1, 1)
    luma = (light * weights).sum(dim=1, keepdim=True)
    light = torch.lerp(luma, light, _on(draw.saturation, image))
    if not draw.vignetting.any():
        return light
    height, width = image.shape[-2:]
    v = torch.linspace(-1, 1, height, device=image.device).view(1, 1, -1, 1)
    u = torch.linspace(-1, 1, width, device=image.device).view(1, 1, 1, -1)
    return light.mul_(1.0 - _on(draw.vignetting, image) * (u.square() + v.square()) / 2.0)


def _degraded(light: Tensor, draw: AugmentDraw) -> Tensor:
    """Add highlights, then blur, then noise, then block coding: the order of a real camera."""
    height, width = light.shape[-2:]
    device = light.device.type
    lit = np.flatnonzero(np.isfinite(draw.highlights))
    if lit.size:
        texture = window(highlight_texture(height, width, device), draw.corner[lit], height, width)
        facing = light[lit].mean(dim=1, keepdim=True) - 0.5  # what faces the light also reflects it
        glare = texture + 1.5 * facing - _on(draw.highlights[lit], light)
        glare = (glare * 4.0).clamp_(0.0, 1.0)
        light[lit] = light[lit].lerp(torch.ones_like(glare), glare)
    soft = np.flatnonzero(draw.blur_px[:, 0])
    if soft.size:
        spread = torch.from_numpy(draw.blur_px[soft].astype(np.float32)).to(light.device)
        axis = torch.from_numpy(draw.blur_axis_rad[soft].astype(np.float32)).to(light.device)
        light[soft] = blurred(light[soft], spread, axis)
    noise = window(noise_texture(height, width, device), draw.corner, height, width)
    light = light.addcmul_(noise, _on(draw.noise, light))
    coded = np.flatnonzero(draw.blocks)
    if coded.size:
        step = torch.from_numpy(draw.blocks[coded].astype(np.float32)).to(light.device)
        light[coded] = block_coded(light[coded], step)
    return light.clamp_(0.0, 1.0)


def _overlaid(light: Tensor, draw: AugmentDraw) -> tuple[Tensor, Tensor]:
    height, width = light.shape[-2:]
    written = np.flatnonzero(draw.text)
    if written.size:
        masks = text_masks(height, width, light.device.type)[torch.from_numpy(draw.text[written])]
        light[written] = light[written].lerp(torch.ones_like(masks), masks)
    seen = content_seen(_on(draw.shape, light).flatten(1), height, width)
    light = light.mul_(seen)
    boxed = np.flatnonzero(draw.box[:, 2])
    if boxed.size:
        inside = inside_box(_on(draw.box[boxed], light).flatten(1), height, width)
        light[boxed] = torch.where(inside, _on(draw.box_colour[boxed], light), light[boxed])
        seen[boxed] &= ~inside
    return light, seen

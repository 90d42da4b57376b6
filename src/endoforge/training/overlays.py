# SPDX-License-Identifier: Apache-2.0
"""What lies over an endoscope's picture: content masks, text, boxes, reflections, noise, blocks.

Textures are made once per size from fixed seeds and then only shifted, which costs little.
"""

import math
from functools import lru_cache

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

TEXTS = 16


def content_seen(
    shape: Float[Tensor, "batch 6"], height: int, width: int
) -> Bool[Tensor, "batch 1 height width"]:
    """Return where the endoscope's content lies: an octagon, a circle or what both share.

    Args:
        shape: a, b, c, r, and the centre u, v, in half heights; see `AugmentDraw.shape`.
        height: Of the picture, px.
        width: Of the picture, px.
    """
    half = height / 2
    v = (torch.arange(height, device=shape.device) + 0.5 - half).view(1, 1, -1, 1) / half
    u = (torch.arange(width, device=shape.device) + 0.5 - width / 2).view(1, 1, 1, -1) / half
    a, b, c, r, centre_u, centre_v = (shape[:, k].view(-1, 1, 1, 1) for k in range(6))
    u, v = (u - centre_u).abs(), (v - centre_v).abs()
    return (u < a) & (v < b) & (u + v < c) & (u.square() + v.square() < r.square())


def inside_box(
    box: Float[Tensor, "batch 4"], height: int, width: int
) -> Bool[Tensor, "batch 1 height width"]:
    """Return where boxes lie; left, top, right, bottom in shares of width and height."""
    v = ((torch.arange(height, device=box.device) + 0.5) / height).view(1, 1, -1, 1)
    u = ((torch.arange(width, device=box.device) + 0.5) / width).view(1, 1, 1, -1)
    left, top, right, bottom = (box[:, k].view(-1, 1, 1, 1) for k in range(4))
    return (u >= left) & (u < right) & (v >= top) & (v < bottom)


def window(
    texture: Float[Tensor, "channels tall wide"], corner: np.ndarray, height: int, width: int
) -> Float[Tensor, "batch channels height width"]:
    """Cut one window of a texture for each picture; `corner` in [0, 1) says where (v, u)."""
    room = np.array(texture.shape[-2:]) - (height, width) + 1
    places = (corner * room).astype(int)
    return torch.stack([texture[:, v : v + height, u : u + width] for v, u in places])


@lru_cache(maxsize=4)
def noise_texture(height: int, width: int, device: str) -> Float[Tensor, "3 tall wide"]:
    """Return standard normal noise, twice as tall and wide as a picture."""
    noise = np.random.default_rng(1).standard_normal((3, 2 * height, 2 * width), np.float32)
    return torch.from_numpy(noise).to(device)


@lru_cache(maxsize=4)
def highlight_texture(height: int, width: int, device: str) -> Float[Tensor, "1 tall wide"]:
    """Return smooth normal blobs; the few above a threshold look like reflections."""
    white = np.random.default_rng(2).standard_normal((2 * height, 4 * width)).astype(np.float32)
    blobs = cv2.GaussianBlur(white, (0, 0), max(height / 50.0, 0.8))
    blobs += 0.5 * cv2.GaussianBlur(white[::-1], (0, 0), max(height / 110.0, 0.5))
    blobs = blobs[:, : 2 * width] / blobs.std()
    return torch.from_numpy(blobs[None]).to(device)


@lru_cache(maxsize=4)
def text_masks(height: int, width: int, device: str) -> Float[Tensor, "texts 1 height width"]:
    """Return how opaque the lines of text are in each of `TEXTS` layouts; layout 0 has none."""
    rng = np.random.default_rng(3)
    layouts = [np.zeros((height, width), np.uint8)]
    layouts += [_text_layout(rng, height, width) for _ in range(TEXTS - 1)]
    return torch.from_numpy(np.stack(layouts)[:, None].astype(np.float32) / 255.0).to(device)


def _text_layout(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Draw some lines of digits at the left, four times too large, and shrink them."""
    big = np.zeros((4 * height, 4 * width), np.uint8)
    size = float(rng.uniform(0.6, 1.0)) * height / 128
    left, line = int(rng.uniform(0.005, 0.08) * 4 * width), rng.uniform(0.1, 0.6) * 4 * height
    for _ in range(int(rng.integers(2, 8))):
        text = "".join(rng.choice(list("0123456789/: AQNCD."), int(rng.integers(3, 14))))
        place = (left, int(line))
        cv2.putText(big, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, 255, max(1, round(2 * size)))
        line += float(rng.uniform(30, 60)) * size
    return np.asarray(cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA))


def blurred(
    image: Float[Tensor, "batch 3 height width"],
    spread_px: Float[Tensor, "batch 2"],
    axis_rad: Float[Tensor, " batch"],
) -> Float[Tensor, "batch 3 height width"]:
    """Return pictures under Gaussian blurs, each along its own axis (7 x 7 px)."""
    batch, channels, height, width = image.shape
    ticks = torch.arange(-3.0, 4.0, device=image.device)
    v, u = ticks.view(1, -1, 1), ticks.view(1, 1, -1)
    cos, sin = axis_rad.cos().view(-1, 1, 1), axis_rad.sin().view(-1, 1, 1)
    along, across = spread_px.clamp(min=0.1).unbind(dim=1)
    exponent = ((u * cos + v * sin) / along.view(-1, 1, 1)).square()
    exponent = exponent + ((v * cos - u * sin) / across.view(-1, 1, 1)).square()
    kernels = torch.exp(-0.5 * exponent)
    kernels = (kernels / kernels.sum(dim=(1, 2), keepdim=True)).repeat_interleave(channels, dim=0)
    padded = functional.pad(image, (3, 3, 3, 3), mode="replicate")
    stacked = padded.reshape(1, batch * channels, height + 6, width + 6)
    found = functional.conv2d(stacked, kernels[:, None], groups=batch * channels)
    return found.reshape(image.shape)


def block_coded(
    image: Float[Tensor, "batch 3 height width"], step: Float[Tensor, " batch"]
) -> Float[Tensor, "batch 3 height width"]:
    """Return pictures whose 8 x 8 cosine coefficients were rounded, coarser at high frequencies.

    A margin below or to the right that fills no whole block stays as it is.
    """
    batch, channels, height, width = image.shape
    tall, wide = height // 8, width // 8
    if not (tall and wide):
        return image
    basis = _cosine_basis(image.device.type)
    whole = image[..., : tall * 8, : wide * 8]
    tiles = whole.reshape(batch, channels, tall, 8, wide, 8).transpose(3, 4)
    ramp = 1.0 + 0.5 * torch.arange(8, device=image.device)
    quantum = step.view(-1, 1, 1, 1, 1, 1) * 8.0 * 0.25 * (ramp.view(-1, 1) + ramp)
    coded = torch.round(basis @ tiles @ basis.T / quantum) * quantum
    tiles = basis.T @ coded @ basis
    result = image.clone()
    result[..., : tall * 8, : wide * 8] = tiles.transpose(3, 4).reshape(whole.shape)
    return result


@lru_cache(maxsize=2)
def _cosine_basis(device: str) -> Float[Tensor, "8 8"]:
    """Return the orthonormal discrete cosine transform of eight samples."""
    k, n = torch.arange(8.0).view(-1, 1), torch.arange(8.0)
    basis = torch.cos(math.pi * (n + 0.5) * k / 8) * 0.5
    basis[0] /= math.sqrt(2.0)
    return basis.to(device)

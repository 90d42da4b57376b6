# SPDX-License-Identifier: Apache-2.0
"""Toy domains whose translation is known: one pattern in two palettes, or in many hues."""

import numpy as np
import torch
from torch import Tensor

from endoforge.streams import stream

SIDE, CELL = 32, 4
SOURCE_GAINS, SOURCE_BASE = (0.9, 0.5, 0.1), (0.0, 0.1, -0.2)
TARGET_GAINS, TARGET_BASE = (0.1, 0.6, 0.8), (-0.3, 0.0, 0.2)


def pattern(rng: np.random.Generator, count: int) -> Tensor:
    """Few bright patches of many heights on a dark ground, so that no inverted picture fits."""
    shape = (count, 1, SIDE // CELL, SIDE // CELL)
    values = np.where(rng.random(shape) < 0.3, rng.uniform(-0.2, 1.0, shape), -0.6)
    return torch.from_numpy(np.kron(values, np.ones((CELL, CELL))).astype(np.float32))


def in_palette(values: Tensor, gains: tuple[float, ...], base: tuple[float, ...]) -> Tensor:
    return values * torch.tensor(gains).view(1, -1, 1, 1) + torch.tensor(base).view(1, -1, 1, 1)


def palettes_batch(step: int, count: int = 4) -> dict[str, Tensor]:
    """Unpaired: the answer for a source is its pattern in the target's palette."""
    rng = stream(11, "toy", step)
    whole = torch.ones(count, 1, SIDE, SIDE)
    return {
        "source": in_palette(pattern(rng, count), SOURCE_GAINS, SOURCE_BASE),
        "source_counts": whole,
        "target": in_palette(pattern(rng, count), TARGET_GAINS, TARGET_BASE),
        "target_counts": whole,
    }


def palettes_answer(count: int = 32) -> tuple[Tensor, Tensor]:
    values = pattern(stream(12, "toy", 0), count)
    return (
        in_palette(values, SOURCE_GAINS, SOURCE_BASE),
        in_palette(values, TARGET_GAINS, TARGET_BASE),
    )


def in_hue(values: Tensor, hue: Tensor) -> Tensor:
    """Colour a grey pattern: hue -1 is red, 1 is blue; the mean over channels stays."""
    shift = 0.3 * hue.view(-1, 1, 1, 1) * torch.tensor([-1.0, 0.0, 1.0]).view(1, -1, 1, 1)
    return 0.6 * values + shift


def hue_of(pictures: Tensor) -> Tensor:
    """Read the hue back off pictures of `in_hue`."""
    return (pictures[:, 2] - pictures[:, 0]).mean(dim=(1, 2)) / 0.6


def hues_batch(step: int, count: int = 4) -> dict[str, Tensor]:
    """Unpaired: grey patterns, and patterns that have one hue each."""
    rng = stream(13, "toy", step)
    hue = torch.from_numpy(rng.uniform(-1, 1, count).astype(np.float32))
    whole = torch.ones(count, 1, SIDE, SIDE)
    return {
        "source": 0.6 * pattern(rng, count).expand(-1, 3, -1, -1).contiguous(),
        "source_counts": whole,
        "target": in_hue(pattern(rng, count), hue),
        "target_counts": whole,
    }

# SPDX-License-Identifier: Apache-2.0
"""Windows of training pictures enlarged to the whole: tissue then fills the corners too.

Simulated pictures are often round; real ones often fill the screen.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class ZoomDraw:
    """Which window of each picture is kept.

    Attributes:
        zoom: How many times it is enlarged; 1 keeps the picture.
        place: Where the window lies in the room that is left, right and down, 0 to 1.
    """

    zoom: Float[np.ndarray, " batch"]
    place: Float[np.ndarray, "batch 2"]


def draw_zoom(ends: tuple[float, float], rng: np.random.Generator, batch: int) -> ZoomDraw:
    """Draw a window for each picture of a batch; enlargements are uniform between the ends."""
    return ZoomDraw(rng.uniform(*ends, batch), rng.random((batch, 2)))


def zoomed(
    image: UInt8[Tensor, "batch 3 height width"],
    label: UInt8[Tensor, "batch 1 height width"],
    draw: ZoomDraw,
) -> tuple[UInt8[Tensor, "batch 3 height width"], UInt8[Tensor, "batch 1 height width"]]:
    """Enlarge a window of each picture (bilinear) and of its mask (nearest) to the whole."""
    if (draw.zoom == 1).all():
        return image, label
    size = 1.0 / draw.zoom
    centre = (2 * draw.place - 1) * (1 - size[:, None])
    matrix = np.zeros((len(size), 2, 3), np.float32)
    matrix[:, 0, 0] = matrix[:, 1, 1] = size
    matrix[:, :, 2] = centre
    shape = [len(image), 1, *image.shape[-2:]]
    grid = functional.affine_grid(torch.from_numpy(matrix), shape, align_corners=False)
    grid = grid.to(image.device)
    light = functional.grid_sample(
        image.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    mask = functional.grid_sample(
        label.float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    return light.round().to(torch.uint8), mask.to(torch.uint8)

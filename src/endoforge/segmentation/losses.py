# SPDX-License-Identifier: Apache-2.0
"""Losses between class scores and masks; pixels labelled 255 weigh exactly nothing."""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from endoforge.frames.frame import IGNORE

_TINY = 1e-6


def cross_entropy(
    scores: Float[Tensor, "batch classes height width"],
    label: Int64[Tensor, "batch height width"],
    weights: Float[Tensor, " classes"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean of -log p(true class) over all pixels that count, 0 if none does.

    Args:
        scores: Logits.
        label: Class indices; 255 does not count.
        weights: Of each class's pixels; the mean is weighted likewise.
    """
    pixelwise = functional.cross_entropy(
        scores, label, weights, ignore_index=IGNORE, reduction="sum"
    )
    counts = label != IGNORE
    if weights is None:
        return pixelwise / counts.sum().clamp(min=1)
    weight = weights[label[counts]].sum()
    return pixelwise / weight.clamp(min=_TINY)


def overlap_loss(
    scores: Float[Tensor, "batch classes height width"],
    label: Int64[Tensor, "batch height width"],
    kind: Literal["dice", "jaccard"] = "dice",
) -> Float[Tensor, ""]:
    """Return 1 - the soft overlap, averaged over the classes that the batch's masks show.

    With probabilities p and truth y of one class over all pixels that count: Dice is
    2 Σpy / (Σp + Σy), Jaccard Σpy / (Σp + Σy - Σpy). It gives a small organ as much say as a large
    one.

    Source:
        Dice: Sudre et al., *Generalised Dice overlap*, 2017, section 2.1; Jaccard: Rahman & Wang,
        2016, equation 3.
    """
    counts = (label != IGNORE)[:, None]
    classes = scores.shape[1]
    probability = torch.where(counts, scores.softmax(dim=1), 0.0)
    inside = torch.where(counts[:, 0], label, 0)
    truth = functional.one_hot(inside, classes).movedim(-1, 1) * counts
    both = (probability * truth).sum(dim=(0, 2, 3))
    sizes = probability.sum(dim=(0, 2, 3)), truth.sum(dim=(0, 2, 3))
    total = sizes[0] + sizes[1]
    share = 2 * both / (total + _TINY) if kind == "dice" else both / (total - both + _TINY)
    present = sizes[1] > 0
    return torch.where(present, 1 - share, 0.0).sum() / present.sum().clamp(min=1)

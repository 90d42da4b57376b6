# SPDX-License-Identifier: Apache-2.0
"""Losses between predicted and true log depth; invalid pixels weigh exactly nothing."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_TINY = 1e-6  # inside the root, so that its slope stays finite at a perfect prediction


def log_error(
    log_depth: Float[Tensor, "batch 1 height width"],
    depth_mm: Float[Tensor, "batch 1 height width"],
    valid: Bool[Tensor, "batch 1 height width"],
) -> Float[Tensor, "batch 1 height width"]:
    """Return log(predicted / true) where valid, and 0 without a gradient elsewhere."""
    true_log = torch.where(valid, depth_mm, 1.0).log()
    return torch.where(valid, log_depth - true_log, 0.0)


def absolute_loss(
    error: Float[Tensor, "batch 1 height width"], valid: Bool[Tensor, "batch 1 height width"]
) -> Float[Tensor, ""]:
    """Return the mean absolute log error over all valid pixels of the batch, 0 if there are none.

    It follows the metric AbsRel closely: a depth wrong by 5 % costs about 0.05.
    """
    return error.abs().sum() / valid.sum().clamp(min=1)


def scale_invariant_loss(
    error: Float[Tensor, "batch 1 height width"],
    valid: Bool[Tensor, "batch 1 height width"],
    variance_focus: float,
) -> Float[Tensor, ""]:
    """Return the root of mean(e²) - variance_focus · mean(e)², per picture, then averaged.

    Source:
        Eigen et al., *Depth map prediction from a single image*, 2014, equation 4; the root as in
        Lee et al., *From big to small*, 2019.
    """
    count = valid.sum(dim=(1, 2, 3)).clamp(min=1)
    mean = error.sum(dim=(1, 2, 3)) / count
    mean_square = error.square().sum(dim=(1, 2, 3)) / count
    inside = (mean_square - variance_focus * mean.square()).clamp(min=0.0)
    roots: Tensor = (inside + _TINY).sqrt() - _TINY**0.5
    return roots.mean()


def gradient_loss(
    error: Float[Tensor, "batch 1 height width"],
    valid: Bool[Tensor, "batch 1 height width"],
    scales: int,
) -> Float[Tensor, ""]:
    """Return the mean absolute difference of neighbouring log errors, summed over scales.

    It keeps edges sharp and flat walls smooth. Scale k takes every 2^k-th pixel; a pair counts when
    both of its pixels are valid.

    Source:
        Li & Snavely, *MegaDepth*, 2018, equation 3.
    """
    total = error.new_zeros(())
    for k in range(scales):
        thin_error, thin_valid = error[..., :: 2**k, :: 2**k], valid[..., :: 2**k, :: 2**k]
        total = total + _pair_loss(thin_error, thin_valid, -1)
        total = total + _pair_loss(thin_error, thin_valid, -2)
    return total


def _pair_loss(error: Tensor, valid: Tensor, axis: int) -> Tensor:
    length = error.shape[axis] - 1
    both = valid.narrow(axis, 0, length) & valid.narrow(axis, 1, length)
    step = error.narrow(axis, 1, length) - error.narrow(axis, 0, length)
    return torch.where(both, step.abs(), 0.0).sum() / both.sum().clamp(min=1)

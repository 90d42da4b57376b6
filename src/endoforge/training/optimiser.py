# SPDX-License-Identifier: Apache-2.0
"""The optimiser of supervised tasks."""

import torch
from torch import nn

from endoforge.training.settings import TrainerSettings


def adamw(network: nn.Module, settings: TrainerSettings) -> torch.optim.Optimizer:
    """AdamW that shrinks kernels and matrices but neither biases nor normalisations."""
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)

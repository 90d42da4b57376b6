# SPDX-License-Identifier: Apache-2.0
"""The adversarial objectives: what a judge is to say of pictures, and what deceives it.

A judge gives scores without bounds, one map per scale; means are taken within a scale and summed
over scales. No factors are hidden here: a method's settings hold the weights.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from endoforge.translation.networks.discriminators import Scores
from endoforge.translation.settings import ObjectiveName


def judge_losses(objective: ObjectiveName, true: Scores, made: Scores) -> Mapping[str, Tensor]:
    """Return what a judge is to make small, as ``true`` and ``made``.

    Args:
        objective: Which one.
        true: Scores of pictures of the domain.
        made: Scores of a generator's pictures, detached from the generator.

    Source:
        ``non-saturating``: Goodfellow et al., 2014, equation 1 (the scores are logits).
        ``least-squares``: Mao et al., 2017, equation 9, without its factor 1/2; 1 true, 0 made.
        ``hinge``: Lim & Ye, 2017; Miyato et al., 2018, equation 16.
        ``wasserstein``: Arjovsky et al., 2017, equation 2; needs a `gradient_penalty`.
    """
    match objective:
        case "non-saturating":
            return _pair(true, made, lambda t: functional.softplus(-t), functional.softplus)
        case "least-squares":
            return _pair(true, made, lambda t: (t - 1).square(), torch.square)
        case "hinge":
            return _pair(
                true, made, lambda t: functional.relu(1 - t), lambda m: functional.relu(1 + m)
            )
        case "wasserstein":
            return _pair(true, made, torch.neg, lambda m: m)


def generator_loss(objective: ObjectiveName, made: Scores) -> Float[Tensor, ""]:
    """Return what a generator is to make small, from the judge's scores of its pictures."""
    match objective:
        case "non-saturating":
            return _summed(made, lambda m: functional.softplus(-m))
        case "least-squares":
            return _summed(made, lambda m: (m - 1).square())
        case "hinge" | "wasserstein":
            return _summed(made, torch.neg)


def gradient_penalty(
    judge: Callable[[Tensor], Scores],
    true: Float[Tensor, "batch channels height width"],
    made: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, ""]:
    """Return the mean of (slope - 1)², the judge's slope being taken between true and made.

    The scores of a picture are averaged within a scale and summed over scales first. Judges with
    batch normalisation have no slope per picture; do not use one.

    Source:
        Gulrajani et al., *Improved training of Wasserstein GANs*, 2017, equation 3; they weigh it
        with 10.
    """
    with torch.autocast(true.device.type, enabled=False):
        true, made = true.detach().float(), made.detach().float()
        share = torch.rand(len(true), 1, 1, 1).to(
            true.device
        )  # drawn on the CPU: one state to keep
        between = torch.lerp(true, made, share).requires_grad_(True)
        with torch.compiler.set_stance("force_eager"):  # compiled code has no second derivative
            scores = judge(between)
        total = torch.stack([s.float().mean(dim=(1, 2, 3)) for s in scores]).sum()
        (slope,) = torch.autograd.grad(total, between, create_graph=True)
        length = slope.flatten(1).norm(dim=1)
        penalty: Tensor = (length - 1).square().mean()
        return penalty


Term = Callable[[Tensor], Tensor]


def _pair(true: Scores, made: Scores, of_true: Term, of_made: Term) -> Mapping[str, Tensor]:
    return {"true": _summed(true, of_true), "made": _summed(made, of_made)}


def _summed(scores: Scores, term: Term) -> Float[Tensor, ""]:
    return torch.stack([term(score.float()).mean() for score in scores]).sum()

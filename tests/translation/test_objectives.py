# SPDX-License-Identifier: Apache-2.0
"""The adversarial objectives have the optima that their papers derive."""

import math

import pytest
import torch
from torch import nn

from endoforge.translation.objectives import generator_loss, gradient_penalty, judge_losses

TRUE = torch.tensor([0.5, 0.3, 0.2])  # how often a true picture is a, b or c
MADE = torch.tensor([0.1, 0.3, 0.6])


def scores_of(probabilities, score, total=1000):
    """Scores of pictures that occur as often as the probabilities say."""
    counts = (probabilities * total).round().long()
    return (torch.repeat_interleave(score, counts)[:, None, None, None],)


def best_scores(objective, steps=400):
    score = nn.Parameter(torch.zeros(3))
    optimiser = torch.optim.LBFGS([score], max_iter=steps, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        terms = judge_losses(objective, scores_of(TRUE, score), scores_of(MADE, score))
        loss = terms["true"] + terms["made"]
        loss.backward()
        return loss

    return score.detach(), float(optimiser.step(closure).detach()), closure


def test_a_non_saturating_judge_learns_the_log_of_the_ratio():
    score, _, closure = best_scores("non-saturating")
    torch.testing.assert_close(score, (TRUE / MADE).log(), atol=1e-3, rtol=0)
    middle = (TRUE + MADE) / 2
    divergence = 0.5 * ((TRUE * (TRUE / middle).log()) + MADE * (MADE / middle).log()).sum()
    expected = 2 * math.log(2) - 2 * float(divergence)  # Goodfellow 2014, theorem 1
    assert float(closure().detach()) == pytest.approx(expected, abs=1e-4)


def test_a_least_squares_judge_learns_the_share_of_true_pictures():
    score, _, closure = best_scores("least-squares")
    torch.testing.assert_close(score, TRUE / (TRUE + MADE), atol=1e-3, rtol=0)
    expected = float((TRUE * MADE / (TRUE + MADE)).sum())
    assert float(closure().detach()) == pytest.approx(expected, abs=1e-4)


def test_a_hinge_judge_reaches_twice_the_overlap():
    score = torch.sign(TRUE - MADE)  # any score in [-1, 1] is best where both are equally likely
    terms = judge_losses("hinge", scores_of(TRUE, score), scores_of(MADE, score))
    overlap = float(torch.minimum(TRUE, MADE).sum())
    assert float(terms["true"] + terms["made"]) == pytest.approx(2 * overlap, abs=1e-6)
    worse = judge_losses("hinge", scores_of(TRUE, 0.5 * score), scores_of(MADE, 0.5 * score))
    assert float(worse["true"] + worse["made"]) > 2 * overlap


def test_a_wasserstein_judge_of_slope_one_measures_the_distance_of_the_means():
    true, made = torch.tensor([3.0, 5.0]), torch.tensor([0.0, 1.0, 2.0])
    terms = judge_losses("wasserstein", (true[:, None, None, None],), (made[:, None, None, None],))
    assert float(terms["true"] + terms["made"]) == pytest.approx(-3.0)


@pytest.mark.parametrize("objective", ["non-saturating", "least-squares", "hinge", "wasserstein"])
def test_a_generator_gains_when_its_pictures_look_more_real(objective):
    scores = [(torch.full((2, 1, 3, 3), value),) for value in (-2.0, -1.0, 0.0, 0.9)]
    losses = [float(generator_loss(objective, score)) for score in scores]
    assert losses == sorted(losses, reverse=True)


def test_scales_count_alike_whatever_their_size():
    fine, coarse = torch.full((1, 1, 16, 16), 0.0), torch.full((1, 1, 2, 2), 0.5)
    both = float(generator_loss("least-squares", (fine, coarse)))
    assert both == pytest.approx(1.0 + 0.25)


def test_the_penalty_of_a_linear_judge_is_its_slope_minus_one_squared():
    direction = torch.randn(1, 3, 4, 4)
    direction = 2.5 * direction / direction.norm()

    def judge(picture):
        return ((picture * direction).sum(dim=(1, 2, 3))[:, None, None, None],)

    value = gradient_penalty(judge, torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4))
    assert float(value) == pytest.approx(1.5**2, rel=1e-4)


def test_the_penalty_teaches_a_judge_its_slope():
    """The gradient goes through a gradient: double backward."""
    torch.manual_seed(0)
    judge = nn.Sequential(nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3))
    optimiser = torch.optim.Adam(judge.parameters(), lr=2e-2)
    true, made = torch.randn(8, 1, 5, 5), torch.randn(8, 1, 5, 5)
    found = []
    for _ in range(150):
        optimiser.zero_grad()
        loss = gradient_penalty(lambda x: (judge(x),), true, made)
        loss.backward()
        optimiser.step()
        found.append(float(loss.detach()))
    assert found[-1] < 0.05 * found[0]


def test_a_compiled_judge_can_be_taught_its_slope():
    judge = nn.Conv2d(1, 1, 3)
    judge.compile(backend="aot_eager")
    judge(torch.randn(2, 1, 5, 5))
    loss = gradient_penalty(lambda x: (judge(x),), torch.randn(2, 1, 5, 5), torch.zeros(2, 1, 5, 5))
    loss.backward()
    assert judge.weight.grad is not None

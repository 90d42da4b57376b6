# SPDX-License-Identifier: Apache-2.0
"""Losses of masks: values by hand, nothing from ignored pixels, slopes that point the right way."""

import math

import pytest
import torch

from endoforge.segmentation.losses import cross_entropy, overlap_loss

SURE = 60.0


def scores_for(label, classes=3, sure=SURE):
    inside = torch.where(label == 255, 0, label)
    return sure * torch.nn.functional.one_hot(inside, classes).movedim(-1, 1).float()


def some_label(seed=0):
    label = torch.randint(0, 3, (2, 6, 5), generator=torch.Generator().manual_seed(seed))
    label[0, 0, :3] = 255
    return label


def test_a_uniform_guess_costs_the_logarithm_of_the_number_of_classes():
    label = some_label()
    assert cross_entropy(torch.zeros(2, 3, 6, 5), label).item() == pytest.approx(math.log(3))


def test_class_weights_change_the_mean_as_stated():
    label = torch.tensor([[[0, 1, 1, 255]]])
    scores = torch.zeros(1, 2, 1, 4)
    scores[:, 0] = 1.0
    right, wrong = math.log(1 + math.exp(-1)), math.log(1 + math.e)
    found = cross_entropy(scores, label, torch.tensor([4.0, 1.0])).item()
    assert found == pytest.approx((4 * right + 2 * wrong) / 6, rel=1e-6)


@pytest.mark.parametrize("kind", ["dice", "jaccard"])
def test_a_perfect_mask_costs_nothing_and_a_wrong_one_everything(kind):
    label = some_label()
    assert overlap_loss(scores_for(label), label, kind).item() == pytest.approx(0, abs=1e-5)
    wrong = torch.where(label == 255, label, (label + 1) % 3)
    assert overlap_loss(scores_for(wrong), label, kind).item() == pytest.approx(1, abs=1e-5)


def test_overlaps_by_hand():
    label = torch.tensor([[[0, 0, 1, 1]]])
    guess = torch.tensor([[[0, 1, 1, 1]]])
    dice = 1 - (2 * 1 / 3 + 2 * 2 / 5) / 2
    jaccard = 1 - (1 / 2 + 2 / 3) / 2
    assert overlap_loss(scores_for(guess, 2), label, "dice").item() == pytest.approx(dice, abs=1e-5)
    found = overlap_loss(scores_for(guess, 2), label, "jaccard").item()
    assert found == pytest.approx(jaccard, abs=1e-5)


def test_a_class_that_the_mask_does_not_show_has_no_term_of_its_own():
    label = torch.zeros(1, 4, 4, dtype=torch.long)
    assert overlap_loss(scores_for(label, 5), label).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    "loss", [cross_entropy, overlap_loss, lambda s, y: overlap_loss(s, y, "jaccard")]
)
def test_ignored_pixels_have_neither_influence_nor_slope(loss):
    label = some_label()
    scores = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(1))
    changed = scores.clone()
    changed[0, :, 0, :3] = 50 * torch.rand(3, 3)
    assert torch.equal(loss(scores, label), loss(changed, label))
    scores.requires_grad_(True)
    loss(scores, label).backward()
    assert (scores.grad[0, :, 0, :3] == 0).all()
    assert (scores.grad[1] != 0).any()


@pytest.mark.parametrize("loss", [cross_entropy, overlap_loss])
def test_nothing_that_counts_gives_zero(loss):
    label = torch.full((1, 3, 3), 255)
    scores = torch.randn(1, 2, 3, 3, requires_grad=True)
    value = loss(scores, label)
    value.backward()
    assert value.item() == 0
    assert (scores.grad == 0).all()

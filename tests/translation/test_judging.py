# SPDX-License-Identifier: Apache-2.0
"""Judges of unpaired methods: what is hidden from them, and both sides in one pass."""

import pytest
import torch

from endoforge.errors import SettingsError, ShapeError
from endoforge.translation.judging import Judge, counts_of, refuse_different
from endoforge.translation.networks.settings import PatchSettings
from endoforge.translation.objectives import judge_losses
from endoforge.translation.translator import Channels

SMALL = PatchSettings(width=4, layers=1)


def half_counted() -> torch.Tensor:
    counts = torch.ones(2, 1, 16, 16)
    counts[..., :5] = 0
    return counts


def test_what_does_not_count_has_no_influence_on_anyone():
    torch.manual_seed(0)
    judge, counts = Judge(3, SMALL, "least-squares"), half_counted()
    true, made = torch.randn(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
    other = torch.where(counts > 0, made, 9.0)
    assert judge.deceived(made, counts).item() == judge.deceived(other, counts).item()
    assert judge.learns(true, made, counts) == judge.learns(true, other, counts)
    made.requires_grad_(True)
    judge.deceived(made, counts).backward()
    assert float((made.grad * (1 - counts)).abs().max()) == 0
    assert float(made.grad.abs().max()) > 0


@pytest.mark.parametrize("norm", ["instance", "none", "batch"])
def test_one_pass_over_both_sides_equals_two(norm):
    torch.manual_seed(0)
    judge = Judge(3, SMALL.model_copy(update={"norm": norm, "scales": 2}), "hinge")
    true, made = torch.randn(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
    found = judge.learns(true, made, torch.ones(2, 1, 16, 16))
    expected = judge_losses("hinge", judge.network(true), judge.network(made))
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, atol=1e-5, rtol=1e-4)


def test_an_objective_without_its_penalty_is_refused():
    with pytest.raises(SettingsError, match="got wasserstein"):
        Judge(3, SMALL, "wasserstein")


def batch_of(source, target):
    return {
        "source": torch.zeros(source),
        "target": torch.zeros(target),
        "source_counts": torch.ones(source[0], 1, *source[2:]),
        "target_counts": torch.ones(target[0], 1, *target[2:]),
    }


def test_batches_of_other_channels_or_unequal_sizes_are_refused_with_what_came():
    with pytest.raises(ShapeError, match="of 3 and 3 channels, got 4 and 3"):
        counts_of(batch_of((1, 4, 8, 8), (1, 3, 8, 8)), Channels(3, 3))
    with pytest.raises(ShapeError, match=r"\(1, 3, 8, 8\) and target \(1, 3, 8, 16\)"):
        counts_of(batch_of((1, 3, 8, 8), (1, 3, 8, 16)), Channels(3, 3))


def test_a_method_that_needs_equal_channels_names_both_counts_and_a_remedy():
    with pytest.raises(SettingsError, match="got 7 of the source and 3 of the target; use munit"):
        refuse_different(Channels(7, 3), "cut", "use munit")
    refuse_different(Channels(4, 4), "cut", "use munit")

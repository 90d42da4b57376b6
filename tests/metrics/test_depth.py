# SPDX-License-Identifier: Apache-2.0
"""Depth metrics against values worked out by hand, against TorchMetrics, and their laws."""

import math

import numpy as np
import pytest
import torch
import torchmetrics.functional.regression as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import ShapeError
from endoforge.metrics.depth import ALIGNMENTS, DepthTotals, align, compute, update


def picture(seed=0, height=12, width=9):
    rng = np.random.default_rng(seed)
    true = rng.uniform(2, 80, (height, width))
    predicted = true * np.exp(rng.normal(0, 0.3, true.shape)) + rng.uniform(0, 3)
    return predicted, true, rng.random(true.shape) < 0.8


def scores_of(predicted, true, valid):
    return compute(update(DepthTotals(), predicted, true, valid))


def test_figures_of_two_pixels_are_those_of_a_hand_calculation():
    predicted, true = np.array([[11.0, 30.0]]), np.array([[10.0, 20.0]])
    found = scores_of(predicted, true, np.ones((1, 2), bool))["none"]
    assert found.abs_rel == pytest.approx((0.1 + 0.5) / 2)
    assert found.sq_rel == pytest.approx((1 / 10 + 100 / 20) / 2)
    assert found.rmse == pytest.approx(math.sqrt((1 + 100) / 2))
    assert found.rmse_log == pytest.approx(math.sqrt((math.log(1.1) ** 2 + math.log(1.5) ** 2) / 2))
    assert found.log10 == pytest.approx((math.log10(1.1) + math.log10(1.5)) / 2)
    assert (found.delta1, found.delta2, found.delta3) == (0.5, 1.0, 1.0)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_figures_agree_with_torchmetrics(alignment):
    predicted, true, valid = picture()
    found = scores_of(predicted, true, valid)[alignment]
    p = torch.from_numpy(_aligned_independently(predicted[valid], true[valid], alignment))
    t = torch.from_numpy(true[valid])
    assert found.abs_rel == pytest.approx(float(oracle.mean_absolute_percentage_error(p, t)))
    assert found.rmse == pytest.approx(float(oracle.mean_squared_error(p, t, squared=False)))
    log_error = oracle.mean_squared_error(p.log(), t.log(), squared=False)
    assert found.rmse_log == pytest.approx(float(log_error))
    assert found.log10 == pytest.approx(float(oracle.mean_absolute_error(p.log10(), t.log10())))
    weighted = oracle.weighted_mean_absolute_percentage_error(p, t)
    assert found.sq_rel == pytest.approx(float(((p - t) ** 2 / t).mean()))
    assert weighted > 0


def _aligned_independently(predicted, true, alignment):
    if alignment == "median":
        middle = sorted(predicted)[len(predicted) // 2 - 1 : len(predicted) // 2 + 1]
        wanted = sorted(true)[len(true) // 2 - 1 : len(true) // 2 + 1]
        if len(true) % 2:
            middle, wanted = [sorted(v)[len(v) // 2] for v in (predicted, true)]
        return predicted * (np.mean(wanted) / np.mean(middle))
    if alignment == "scale_shift":
        slope, offset = np.polyfit(predicted, true, 1)
        return np.maximum(slope * predicted + offset, 1e-3)
    return predicted


@given(scale=st.floats(0.01, 100), seed=st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_median_alignment_forgives_any_scale(scale, seed):
    predicted, true, valid = picture(seed)
    plain = scores_of(predicted, true, valid)["median"]
    scaled = scores_of(predicted * scale, true, valid)["median"]
    assert scaled.as_dict() == pytest.approx(plain.as_dict(), rel=1e-9)


@given(scale=st.floats(0.1, 10), shift=st.floats(0, 50), seed=st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_scale_shift_alignment_forgives_any_line(scale, shift, seed):
    predicted, true, valid = picture(seed)
    plain = scores_of(predicted, true, valid)["scale_shift"]
    moved = scores_of(predicted * scale + shift, true, valid)["scale_shift"]
    assert moved.as_dict() == pytest.approx(plain.as_dict(), rel=1e-6)


def test_a_constant_prediction_is_shifted_to_the_mean():
    aligned = align(np.full(3, 7.0), np.array([1.0, 2.0, 6.0]), "scale_shift")
    assert aligned == pytest.approx(np.full(3, 3.0))


def test_a_perfect_prediction_has_no_error_under_any_alignment():
    _, true, valid = picture()
    for found in scores_of(true.copy(), true, valid).values():
        assert found.abs_rel == pytest.approx(0, abs=1e-12)
        assert found.rmse == pytest.approx(0, abs=1e-9)
        assert (found.delta1, found.delta2, found.delta3) == (1, 1, 1)


def test_what_is_not_valid_changes_nothing():
    predicted, true, valid = picture()
    plain = scores_of(predicted, true, valid)
    predicted[~valid], true[~valid] = np.inf, np.nan
    assert scores_of(predicted, true, valid) == plain


def test_pictures_count_equally_whatever_their_valid_area():
    small, large = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    small[0, 0] = True
    true = np.full((4, 4), 10.0)
    totals = update(DepthTotals(), np.full((4, 4), 11.0), true, small)
    totals = update(totals, np.full((4, 4), 13.0), true, large)
    assert compute(totals)["none"].abs_rel == pytest.approx((0.1 + 0.3) / 2)
    assert (totals.frames, totals.pixels) == (2, 17)


def test_a_picture_without_valid_pixels_is_counted_and_left_out():
    totals = update(DepthTotals(), np.ones((2, 2)), np.ones((2, 2)), np.zeros((2, 2), bool))
    assert (totals.frames, totals.empty_frames) == (0, 1)
    assert math.isnan(compute(totals)["none"].abs_rel)


def test_updates_leave_the_older_totals_alone():
    predicted, true, valid = picture()
    first = update(DepthTotals(), predicted, true, valid)
    before = {name: sums.copy() for name, sums in first.sums.items()}
    update(first, predicted * 2, true, valid)
    assert all((first.sums[name] == before[name]).all() for name in ALIGNMENTS)


@pytest.mark.usefixtures("plain_shapes")
def test_arrays_of_different_sizes_are_refused_with_their_sizes():
    with pytest.raises(ShapeError, match=r"\(2, 2\).*\(2, 3\)"):
        update(DepthTotals(), np.ones((2, 2)), np.ones((2, 3)), np.ones((2, 3), bool))


@pytest.mark.parametrize(("predicted", "true"), [(np.nan, 1.0), (np.inf, 1.0), (1.0, 0.0)])
def test_impossible_values_where_valid_are_refused(predicted, true):
    with pytest.raises(ShapeError, match="positive depth"):
        update(
            DepthTotals(),
            np.full((2, 2), predicted),
            np.full((2, 2), true),
            np.ones((2, 2), bool),
        )

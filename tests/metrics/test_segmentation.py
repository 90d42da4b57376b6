# SPDX-License-Identifier: Apache-2.0
"""Agreement of masks: values by hand, and TorchMetrics as an oracle."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassF1Score, MulticlassJaccardIndex

from endoforge.errors import ShapeError
from endoforge.metrics.segmentation import ConfusionTotals, compute, update


def scores_of(predicted, label, classes=3):
    totals = ConfusionTotals.empty(classes)
    return compute(update(totals, np.array(predicted, np.uint8), np.array(label, np.uint8)))


def test_figures_by_hand():
    found = scores_of([[0, 0, 1, 1]], [[0, 1, 1, 255]])
    assert found.iou[:2] == (0.5, 0.5)
    assert found.dice[:2] == pytest.approx((2 / 3, 2 / 3))
    assert math.isnan(found.iou[2])
    assert found.mean_iou == 0.5
    assert found.accuracy == pytest.approx(2 / 3)


def test_an_invented_class_counts_as_zero_and_an_absent_one_not_at_all():
    found = scores_of([[0, 2, 0, 0]], [[0, 0, 0, 0]])
    assert found.iou[2] == 0.0
    assert math.isnan(found.iou[1])
    assert found.mean_iou == pytest.approx((0.75 + 0.0) / 2)


def test_totals_of_frames_added_equal_those_of_all_pixels_at_once():
    rng = np.random.default_rng(0)
    predicted, label = rng.integers(0, 5, (2, 6, 10, 12), dtype=np.uint8)
    label[rng.random(label.shape) < 0.1] = 255
    one_by_one = ConfusionTotals.empty(5)
    for found, true in zip(predicted, label, strict=True):
        one_by_one = update(one_by_one, found, true)
    whole = update(ConfusionTotals.empty(5), predicted.reshape(60, 12), label.reshape(60, 12))
    assert np.array_equal(one_by_one.pixels, whole.pixels)
    assert one_by_one.frames == 6


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_torchmetrics(seed):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 4, (30, 40), dtype=np.uint8)  # of six classes two never appear
    predicted = np.where(rng.random(label.shape) < 0.7, label, (label + 1) % 5).astype(np.uint8)
    label[rng.random(label.shape) < 0.2] = 255
    ours = compute(update(ConfusionTotals.empty(6), predicted, label))
    tensors = torch.from_numpy(predicted).int(), torch.from_numpy(label).int()
    for name, metric in (("iou", MulticlassJaccardIndex), ("dice", MulticlassF1Score)):
        oracle = metric(num_classes=6, average="none", ignore_index=255)(*tensors).numpy()
        shown = np.isfinite(getattr(ours, name))
        assert shown.tolist() == [True] * 5 + [False]
        np.testing.assert_allclose(np.array(getattr(ours, name))[shown], oracle[shown], rtol=1e-6)
    macro = MulticlassJaccardIndex(num_classes=6, ignore_index=255)(*tensors)
    assert ours.mean_iou == pytest.approx(float(macro), rel=1e-6)


def test_without_a_pixel_that_counts_all_means_are_nan():
    found = scores_of([[1]], [[255]])
    assert math.isnan(found.mean_iou)
    assert math.isnan(found.accuracy)


@pytest.mark.usefixtures("plain_shapes")
def test_masks_of_two_sizes_and_unknown_classes_are_refused():
    with pytest.raises(ShapeError, match=r"\(1, 2\) and truth \(1, 3\)"):
        scores_of([[0, 1]], [[0, 1, 1]])
    with pytest.raises(ShapeError, match="0 to 2, or 255 in the truth, got 7"):
        scores_of([[0, 7]], [[0, 1]])

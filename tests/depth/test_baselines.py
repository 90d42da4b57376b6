# SPDX-License-Identifier: Apache-2.0
"""Predictors that never look at the picture: hand values and sizes."""

import numpy as np
import pytest

from endoforge.depth.baselines import fit_baselines
from endoforge.depth.data import TrainingFrames

DEPTH = np.array([[[[4.0, 2.0]]], [[[9.0, 0.0]]]], np.float16)  # frames, 1, rows, columns
FRAMES = TrainingFrames(np.zeros((2, 3, 1, 2), np.uint8), DEPTH, np.zeros(2, np.int64))


def test_both_are_geometric_means_of_valid_pixels():
    constant, mean_map = fit_baselines(FRAMES, np.arange(2))
    assert constant.constant_mm == pytest.approx((4 * 2 * 9) ** (1 / 3))
    assert mean_map.mean_mm.tolist() == [pytest.approx([6.0, 2.0])]


def test_where_nothing_was_ever_valid_the_overall_mean_stands_in():
    depth = DEPTH.copy()
    depth[..., 1] = 0
    constant, mean_map = fit_baselines(
        TrainingFrames(FRAMES.image, depth, FRAMES.sequence), np.arange(2)
    )
    assert mean_map.mean_mm[0].tolist() == pytest.approx([6.0, constant.constant_mm])


def test_predictions_have_the_pictures_size_and_ignore_what_it_shows():
    picture = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    for predictor in fit_baselines(FRAMES, np.arange(2)):
        found = predictor.predict(picture)
        assert found.shape == (30, 50)
        assert found.dtype == np.float32
        assert np.array_equal(found, predictor.predict(picture[::-1].copy()))


def test_only_the_chosen_frames_count():
    constant, _ = fit_baselines(FRAMES, np.array([1]))
    assert constant.constant_mm == pytest.approx(9.0)

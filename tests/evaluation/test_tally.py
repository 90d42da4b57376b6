# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.evaluation.tally import DEPTH_EDGES_MM, Tally, merged
from endoforge.metrics.depth import DepthTotals, compute, update


def picture(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(2, 120, (8, 9)).astype(np.float32)
    predicted = (depth * rng.uniform(0.7, 1.3, depth.shape)).astype(np.float32)
    return predicted, depth, rng.random(depth.shape) < 0.7


def test_merging_the_sequences_equals_adding_all_frames_to_one():
    tally, together = Tally(), DepthTotals()
    for number in range(6):
        tally = tally.add(number % 3, *picture(number))
        together = update(together, *picture(number))
    parts = merged(tally.by_sequence.values())
    assert (parts.frames, parts.pixels) == (together.frames, together.pixels)
    for alignment, scores in compute(together).items():
        assert compute(parts)[alignment].as_dict() == pytest.approx(scores.as_dict())


def test_a_frame_without_pixels_counts_as_empty():
    predicted, depth, _ = picture(0)
    tally = Tally().add(0, predicted, depth, np.zeros(depth.shape, bool))
    parts = merged(tally.by_sequence.values())
    assert (parts.frames, parts.empty_frames) == (0, 1)


def test_ranges_split_at_their_edges():
    depth = np.array([list(DEPTH_EDGES_MM[1:-1])], np.float32)  # 5, 10, 20, 40, 80
    counts = np.ones(depth.shape, bool)
    rows = Tally().add(0, 2 * depth, depth, counts).ranges()
    assert [row["pixels"] for row in rows] == [0, 1, 1, 1, 1, 1]
    assert [row["range"] for row in rows] == ["0–5", "5–10", "10–20", "20–40", "40–80", "over 80"]
    assert all(row["abs_rel"] == pytest.approx(1) for row in rows[1:])

# SPDX-License-Identifier: Apache-2.0
"""Enlarged windows: picture and mask stay together, and nothing is invented."""

import numpy as np
import pytest
import torch

from endoforge.segmentation.zoom import ZoomDraw, draw_zoom, zoomed


def ramp(height=16, width=32):
    v, u = np.mgrid[0:height, 0:width]
    image = np.stack([8 * u, 8 * v, 0 * u]).astype(np.uint8)
    return torch.from_numpy(image)[None], torch.from_numpy((u // 8).astype(np.uint8))[None, None]


def test_a_zoom_of_one_changes_nothing():
    image, label = ramp()
    found = zoomed(image, label, ZoomDraw(np.ones(1), np.array([[0.3, 0.9]])))
    assert torch.equal(found[0], image)
    assert torch.equal(found[1], label)


def test_twice_as_large_at_the_far_corner_is_the_lower_right_quarter():
    image, label = ramp()
    light, mask = zoomed(image, label, ZoomDraw(np.array([2.0]), np.array([[1.0, 1.0]])))
    u = 16 + (np.arange(32) + 0.5) / 2 - 0.5  # where each pixel's centre comes from
    assert light[0, 0, 4, 1:-1].tolist() == pytest.approx(8 * u[1:-1], abs=0.51)
    assert torch.equal(mask[0, 0, 0], torch.from_numpy((np.floor(u + 0.5) // 8).astype(np.uint8)))
    assert set(mask.unique().tolist()) == {2, 3}


def test_masks_get_no_new_classes():
    label = torch.from_numpy(np.random.default_rng(0).choice([0, 7, 255], (4, 1, 16, 16)))
    image = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    draw = draw_zoom((1.0, 2.0), np.random.default_rng(1), 4)
    _, mask = zoomed(image, label.to(torch.uint8), draw)
    assert set(mask.unique().tolist()) <= {0, 7, 255}


def test_a_draw_stays_between_its_ends():
    draw = draw_zoom((1.2, 1.7), np.random.default_rng(0), 1000)
    assert 1.2 <= draw.zoom.min() < 1.25
    assert 1.65 < draw.zoom.max() <= 1.7

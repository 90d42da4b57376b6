# SPDX-License-Identifier: Apache-2.0
"""Variations of training pictures: pure functions of a draw; picture and depth stay together."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from endoforge.training.augment import AugmentDraw, augment, draw_augment
from endoforge.training.augment_settings import AugmentSettings
from endoforge.training.overlays import block_coded, blurred, content_seen, inside_box

BATCH = 12


def batch(height=32, width=40):
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(40, 200, (BATCH, 3, height, width), dtype=np.uint8))
    depth = torch.from_numpy(rng.uniform(5, 50, (BATCH, 1, height, width)).astype(np.float32))
    depth[:, :, :4] = 0
    return image, depth


def draw(settings=None, seed=0):
    return draw_augment(settings or AugmentSettings(), np.random.default_rng(seed), BATCH)


def neutral():
    return draw(AugmentSettings(strength=0.0, flip=False))


def test_the_same_stream_gives_the_same_draw_and_the_same_pictures():
    one, two = draw(seed=3), draw(seed=3)
    assert all(np.array_equal(getattr(one, f.name), getattr(two, f.name)) for f in fields(one))
    for ours, theirs in zip(augment(*batch(), one), augment(*batch(), two), strict=True):
        assert torch.equal(ours, theirs)


def test_applying_a_draw_leaves_its_inputs_alone():
    image, depth = batch()
    before = image.clone(), depth.clone()
    augment(image, depth, draw())
    assert torch.equal(image, before[0])
    assert torch.equal(depth, before[1])


def test_without_strength_and_flips_the_picture_stays_as_it_is():
    image, depth = batch()
    light, same, seen = augment(image, depth, neutral())
    torch.testing.assert_close(light, image.float() / 255, atol=1e-5, rtol=0)
    assert torch.equal(same, depth)
    assert seen.all()


def test_flips_move_picture_and_depth_together():
    image, depth = batch()
    flips = np.zeros((BATCH, 2), bool)
    flips[1], flips[2], flips[3] = (True, False), (False, True), (True, True)
    light, flipped, _ = augment(image, depth, replace(neutral(), flips=flips))
    for k, axes in ((0, ()), (1, (-1,)), (2, (-2,)), (3, (-2, -1))):
        expected = (image[k].float() / 255).flip(axes)
        torch.testing.assert_close(light[k], expected, atol=1e-5, rtol=0)
        assert torch.equal(flipped[k], depth[k].flip(axes))


@pytest.mark.parametrize("seed", range(5))
def test_pictures_stay_in_range(seed):
    image, depth = batch()
    light, _, seen = augment(image, depth, draw(AugmentSettings(strength=2.0), seed))
    assert light.min() >= 0
    assert light.max() <= 1
    assert light.isfinite().all()
    assert seen.any()


def test_what_a_content_mask_covers_is_black_and_does_not_count():
    shape = np.tile([1e3, 1e3, 1e3, 0.8, 0.1, 0.0], (BATCH, 1))
    light, _, found = augment(*batch(), replace(neutral(), shape=shape))
    seen = content_seen(torch.tensor(shape[:1], dtype=torch.float32), 32, 40)[0]
    assert 0.3 < seen.float().mean() < 0.6
    assert (light[0][:, ~seen[0]] == 0).all()
    assert torch.equal(found[0], seen)


def test_an_octagon_has_cut_corners():
    octagon = torch.tensor([[1.0, 0.9, 1.5, 1e3, 0.0, 0.0]])
    seen = content_seen(octagon, 100, 100)[0, 0]
    assert seen[50, 1]
    assert not seen[2, 50]
    assert seen[10, 50]
    assert not seen[8, 8]


def test_a_box_hides_what_is_known_and_shows_its_colour():
    box = np.tile([0.0, 0.5, 0.25, 1.0], (BATCH, 1))
    colour = np.tile([0.1, 0.6, 0.4], (BATCH, 1))
    light, _, seen = augment(*batch(), replace(neutral(), box=box, box_colour=colour))
    inside = inside_box(torch.tensor(box[:1], dtype=torch.float32), 32, 40)[0, 0]
    assert inside.sum() == 16 * 10
    assert torch.equal(seen[0, 0], ~inside)
    assert light[0][:, inside].mean(dim=1).tolist() == pytest.approx([0.1, 0.6, 0.4], abs=1e-5)


def test_text_is_white_and_hides_nothing():
    light, _, seen = augment(*batch(), replace(neutral(), text=np.full(BATCH, 5)))
    plain, _, _ = augment(*batch(), neutral())
    assert seen.all()
    assert (light >= plain - 1e-6).all()
    assert 0.001 < (light > plain + 0.05).float().mean() < 0.3


def test_brightness_moves_by_the_stated_stops():
    image, depth = batch()
    brighter = replace(neutral(), gains=np.full((BATCH, 3), 2 ** (0.25 / 2.2)))
    light, _, _ = augment(image, depth, brighter)
    linear = (light / (image.float() / 255)) ** 2.2
    assert linear.median().item() == pytest.approx(2**0.25, rel=1e-3)


def test_a_blur_keeps_flat_areas_and_spreads_a_point_as_stated():
    point = torch.zeros(1, 3, 31, 31)
    point[..., 15, 15] = 1.0
    found = blurred(point, torch.tensor([[1.0, 1.0]]), torch.tensor([0.3]))
    assert found.sum().item() == pytest.approx(3.0, rel=1e-5)
    v = (torch.arange(31.0) - 15).view(-1, 1)
    assert (found[0, 0] * v**2).sum().item() == pytest.approx(1.0, abs=0.05)
    flat = torch.full((1, 3, 16, 16), 0.4)
    torch.testing.assert_close(blurred(flat, torch.tensor([[1.3, 0.3]]), torch.tensor([1.0])), flat)


def test_block_coding_with_a_tiny_step_changes_nothing_and_a_large_one_flattens_blocks():
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.random((1, 3, 20, 24), np.float32))
    fine = block_coded(image, torch.tensor([1e-5]))
    torch.testing.assert_close(fine, image, atol=1e-3, rtol=0)
    coarse = block_coded(image, torch.tensor([1.0]))
    assert coarse[0, 0, :8, :8].std() < 0.1 * image[0, 0, :8, :8].std()
    assert torch.equal(coarse[..., 16:, :], image[..., 16:, :])


def test_the_stated_share_of_pictures_is_touched():
    settings = AugmentSettings(clean=0.5, mask_share=1.0, text_share=0.0)
    large = draw_augment(settings, np.random.default_rng(0), 4000)
    masked = (large.shape[:, :4] < 100).any(axis=1)
    assert masked.mean() == pytest.approx(0.5, abs=0.03)
    assert (large.text == 0).all()


def test_every_array_of_a_draw_has_one_row_per_picture():
    assert {len(getattr(draw(), f.name)) for f in fields(AugmentDraw)} == {BATCH}

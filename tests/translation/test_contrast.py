# SPDX-License-Identifier: Apache-2.0
"""Patch contrast against closed forms; patches lie only where everything counts."""

import math

import pytest
import torch

from endoforge.translation.contrast import PatchProjector, choose_places, patch_contrast


def test_patches_that_all_look_alike_are_told_apart_by_chance():
    same = torch.ones(2, 7, 4)
    assert patch_contrast(same, same, 0.07).item() == pytest.approx(math.log(7))


def test_perpendicular_patches_are_told_apart_as_the_temperature_allows():
    patches = torch.eye(5)[None]
    expected = math.log1p(4 * math.exp(-1 / 0.5))
    assert patch_contrast(patches, patches, 0.5).item() == pytest.approx(expected)


def test_patches_of_another_picture_are_no_competitors():
    torch.manual_seed(0)
    queries, keys = torch.randn(3, 6, 4), torch.randn(3, 6, 4)
    alone = [patch_contrast(queries[k : k + 1], keys[k : k + 1], 0.1) for k in range(3)]
    together = patch_contrast(queries, keys, 0.1)
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_keys_get_no_slope_and_no_places_cost_nothing():
    queries, keys = (torch.randn(1, 3, 4, requires_grad=True) for _ in range(2))
    patch_contrast(queries, keys, 0.1).backward()
    assert queries.grad is not None
    assert keys.grad is None
    assert patch_contrast(torch.ones(1, 0, 4), torch.ones(1, 0, 4), 0.1).item() == 0


def test_places_are_different_and_only_where_every_pixel_counts():
    torch.manual_seed(0)
    counts = torch.zeros(2, 1, 16, 16)
    counts[0, :, :9, :8] = 1  # of cells of 4 px two rows and two columns are whole
    counts[1, :, 4:, 4:] = 1
    places = choose_places(counts, (4, 4), 256)
    assert places.shape == (2, 4)
    assert set(places[0].tolist()) == {0, 1, 4, 5}
    allowed = {4 * row + column for row in (1, 2, 3) for column in (1, 2, 3)}
    assert set(places[1].tolist()) <= allowed
    assert len(set(places[1].tolist())) == 4
    assert choose_places(torch.zeros(1, 1, 8, 8), (4, 4), 9).shape == (1, 0)


def test_the_projector_reads_the_chosen_places_and_returns_unit_vectors():
    torch.manual_seed(0)
    projector = PatchProjector([3], 8)
    features = torch.randn(2, 3, 4, 4)
    places = torch.tensor([[0, 5], [15, 2]])
    (found,) = projector([features], [places])
    torch.testing.assert_close(found.norm(dim=2), torch.ones(2, 2))
    raw = projector.layers[0](features[1, :, 3, 3])
    torch.testing.assert_close(found[1, 0], raw / raw.norm())

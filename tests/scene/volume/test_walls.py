# SPDX-License-Identifier: Apache-2.0
"""Distances to a CT's walls against closed forms."""

import numpy as np
import pytest

from endoforge.errors import SceneError
from endoforge.scene.volume.walls import pushed_clear, tissue_of
from scene.volume.gas_volumes import SPACING, ct

MIDDLE, RADIUS = np.array([1.3, -2.1, 0.7]), 16.0


def ball(noise=0.0):
    volume = ct(lambda p: np.linalg.norm(p - MIDDLE, axis=1) - RADIUS, (60, 60, 50), noise)
    excess = volume.hu.astype(np.float32) + 480  # half-way from gas to its 40 HU
    edge = np.ones(excess.shape, dtype=bool)
    edge[1:-1, 1:-1, 1:-1] = False
    excess[edge | (np.hypot(*np.indices(excess.shape)[:2] - 29.5) > 26)] = 540.0
    return tissue_of(excess, volume.world_from_voxel)


def directions(count, rng):
    way = rng.normal(size=(count, 3))
    return way / np.linalg.norm(way, axis=1, keepdims=True)


def test_the_distance_to_a_ball_is_right_to_a_fifth_of_a_voxel_on_both_sides():
    rng = np.random.default_rng(0)
    radius = rng.uniform(0.2, 20.0, 4000)
    points = MIDDLE + radius[:, None] * directions(4000, rng)
    error = ball().distance(points) - (RADIUS - radius)
    assert np.abs(error).max() < 0.2 * SPACING.min()
    assert np.abs(error).mean() < 0.05


def test_the_sign_is_that_of_the_interpolated_values():
    tissue = ball(noise=15.0)
    points = np.random.default_rng(1).uniform(-22, 22, (3000, 3))
    assert np.array_equal(tissue.distance(points) > 0, tissue.excess_at(points) < 0)
    assert np.array_equal(tissue.holds(points), tissue.excess_at(points) < 0)


def test_points_in_tissue_or_near_a_wall_are_pushed_until_they_are_clear():
    rng, tissue = np.random.default_rng(2), ball()
    points = MIDDLE + rng.uniform(0, 18.0, (300, 1)) * directions(300, rng)
    moved = pushed_clear(points, tissue, 4.0)
    assert tissue.distance(moved).min() > 3.98
    clear = tissue.distance(points) > 4.0
    assert clear.any() and not clear.all()
    np.testing.assert_array_equal(moved[clear], points[clear])
    shift = np.linalg.norm(moved - points, axis=1)
    need = np.maximum(4.0 - tissue.distance(points), 0.0)
    assert (shift < 1.5 * need + 0.5).all()  # no detours


def test_a_place_without_room_is_refused_with_its_figures():
    with pytest.raises(SceneError, match=r"keep 17 mm clear .* lower the clearance"):
        pushed_clear(MIDDLE[None] + 1.0, ball(), 17.0)


@pytest.mark.parametrize("value", [-500.0, 500.0])
def test_a_grid_of_one_matter_only_is_refused(value):
    with pytest.raises(SceneError, match="needs both gas and tissue"):
        tissue_of(np.full((5, 5, 5), value, dtype=np.float32), np.eye(4))


def test_what_lies_beyond_the_grid_is_as_told():
    excess = np.full((5, 5, 5), 500.0, dtype=np.float32)
    excess[2, 2, 2] = -500.0
    far = np.array([[50.0, 0.0, 0.0]])
    assert not tissue_of(excess, np.eye(4)).holds(far)[0]
    assert tissue_of(-excess, np.eye(4), free_beyond=True).holds(far)[0]

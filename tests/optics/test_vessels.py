# SPDX-License-Identifier: Apache-2.0
"""Vessels reach what is thirsty, thicken towards their roots and wrap around the tile."""

import numpy as np
import pytest

from endoforge.optics.vessels import Network, VesselPlan, draw, grow, wrapped

PLAN = VesselPlan(
    roots=3,
    thirsty=120,
    reached=0.05,
    stride=0.02,
    wobble=0.3,
    leaf_width=0.004,
    most_width=0.02,
)


@pytest.fixture(scope="module")
def network() -> Network:
    return grow(PLAN, np.random.default_rng(5))


def test_every_thirsty_point_is_reached(network):
    rng = np.random.default_rng(5)
    rng.random((PLAN.roots, 2))  # the roots are drawn first
    thirsty = rng.random((PLAN.thirsty, 2))
    gaps = np.linalg.norm(wrapped(thirsty[:, None] - network.place[None]), axis=-1).min(axis=1)
    assert gaps.max() <= PLAN.reached


def test_branches_are_one_stride_long_and_come_after_their_parents(network):
    child = np.flatnonzero(network.parent != np.arange(len(network.parent)))
    assert len(child) == len(network.parent) - PLAN.roots
    assert (network.parent[child] < child).all()
    step = wrapped(network.place[child] - network.place[network.parent[child]])
    np.testing.assert_allclose(np.linalg.norm(step, axis=1), PLAN.stride)


def test_widths_grow_towards_the_root_up_to_the_limit(network):
    assert (network.width[network.parent] >= network.width).all()
    assert network.width.min() == PLAN.leaf_width
    assert network.width.max() <= PLAN.most_width


def test_a_vessel_across_the_border_is_drawn_on_both_sides():
    across = Network(
        place=np.array([[0.98, 0.5], [0.01, 0.5]]),
        parent=np.array([0, 0]),
        width=np.array([0.02, 0.02]),
    )
    picture = draw(across, 100)
    assert picture[50, 99] > 0.5
    assert picture[50, 0] > 0.5
    assert picture[:, 30:70].max() == 0


def test_the_shortest_way_wraps():
    np.testing.assert_allclose(wrapped(np.array([0.9, -0.6])), [-0.1, 0.4])

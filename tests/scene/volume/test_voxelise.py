# SPDX-License-Identifier: Apache-2.0
"""Shares of voxels within closed surfaces against volumes that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from endoforge.scene.volume.voxelise import filled_share


def box(low, high):
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    return hull(np.asarray(low) + corners * (np.asarray(high) - np.asarray(low)))


def hull(points):
    """Vertices and outward triangles around points."""
    found = ConvexHull(points)
    faces = found.simplices.astype(np.int64)
    middle = points[found.vertices].mean(axis=0)
    a, b, c = (points[faces[:, k]] for k in range(3))
    inwards = (np.cross(b - a, c - a) * (a - middle)).sum(axis=1) < 0
    faces[inwards] = faces[inwards][:, ::-1]
    return points, faces


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_the_shares_of_a_convex_body_add_up_to_its_volume(seed):
    points = np.random.default_rng(seed).uniform(2.0, 21.0, (14, 3))
    share = filled_share(*hull(points), (24, 24, 24), lines=3)
    assert share.sum() == pytest.approx(ConvexHull(points).volume, rel=0.03, abs=6.0)


def test_a_box_is_cut_exactly_along_the_third_axis():
    share = filled_share(*box((1.5, 1.5, 2.25), (4.5, 5.5, 6.75)), (8, 8, 9))
    inner = share[2:5, 2:6]
    np.testing.assert_allclose(inner[..., 2], 0.25, atol=1e-6)  # voxel 2 reaches from 1.5 to 2.5
    np.testing.assert_allclose(inner[..., 3:7], [1, 1, 1, 1] * np.ones((3, 4, 1)), atol=1e-6)
    np.testing.assert_allclose(inner[..., 7], 0.25, atol=1e-6)
    assert share.sum() == pytest.approx(3 * 4 * 4.5, abs=1e-4)


def test_a_body_that_faces_inwards_takes_away():
    outer, inner = box((1, 1, 1), (9, 9, 9)), box((3, 3, 3), (6, 6, 6))
    vertices = np.concatenate([outer[0], inner[0]])
    faces = np.concatenate([outer[1], inner[1][:, ::-1] + len(outer[0])])
    share = filled_share(vertices, faces, (11, 11, 11))
    assert share.sum() == pytest.approx(8**3 - 3**3, abs=0.5)
    assert share[4, 4, 4] == pytest.approx(0.0, abs=1e-6)


def test_bodies_that_overlap_count_once():
    one, other = box((1, 1, 1), (6, 6, 6)), box((3, 3, 3), (9, 9, 9))
    vertices = np.concatenate([one[0], other[0]])
    faces = np.concatenate([one[1], other[1] + len(one[0])])
    share = filled_share(vertices, faces, (11, 11, 11))
    assert share.max() == pytest.approx(1.0)
    assert share.sum() == pytest.approx(125 + 216 - 27, rel=0.02)


def test_what_reaches_beyond_the_grid_is_cut_off():
    share = filled_share(*box((-4.5, 1.5, -3.5), (2.5, 4.5, 20.5)), (6, 6, 6))
    np.testing.assert_allclose(share[:3, 2:5], 1.0, atol=1e-6)
    assert share.sum() == pytest.approx(3 * 3 * 6, abs=1e-4)

# SPDX-License-Identifier: Apache-2.0
"""Bodies as distances: cutting, joining and tubes keep their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endoforge.scene.anatomy.abdomen.organs import organ_from
from endoforge.scene.anatomy.abdomen.volumes import (
    FAR_MM,
    Volume,
    carved,
    ellipsoid,
    grid_over,
    kept_inside,
    smooth_max,
    smooth_min,
    tube_volume,
)
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.surfaces import open_edges

numbers = st.floats(-30, 30, width=32)


def ball(middle, radius, step=1.0):
    grid = grid_over(np.array(middle) - radius - 6, np.array(middle) + radius + 6, step)
    return Volume(grid, ellipsoid(grid.axes(), middle, (radius,) * 3))


@given(numbers, numbers, st.floats(0, 10))
def test_a_smooth_maximum_never_lets_through_what_the_plain_one_cuts(a, b, round_mm):
    one, two = np.array([a]), np.array([b])
    smooth = smooth_max(one, two, round_mm)
    assert smooth >= np.maximum(one, two)
    assert smooth <= np.maximum(one, two) + 0.25 * round_mm + 1e-9
    assert smooth_min(-one, -two, round_mm) == -smooth


def test_a_ball_s_distances_are_those_of_a_ball():
    body = ball((3.0, -2.0, 5.0), 20.0)
    points = np.array([[3.0, -2, 5 + 14], [3 + 24, -2, 5], [3, -2 - 20, 5]])
    assert body.at(points) == pytest.approx([-6.0, 4.0, 0.0], abs=0.05)


def test_another_grid_sees_the_same_body():
    body = ball((0.0, 0, 0), 15.0)
    other = body.on(grid_over((-30, -5, -5), (30, 5, 5), 1.5))
    x, y, z = grid_over((-30, -5, -5), (30, 5, 5), 1.5).axes()
    true = np.minimum(np.sqrt(x**2 + y**2 + z**2) - 15.0, FAR_MM)
    known = np.broadcast_to(np.abs(x) < 20, true.shape)
    assert np.abs(other - true)[known].max() < 0.4
    assert (other[np.broadcast_to(np.abs(x) > 24, true.shape)] == FAR_MM).all()


def test_what_is_carved_out_stays_a_gap_away():
    body, other = ball((0.0, 0, 0), 15.0), ball((14.0, 0, 0), 10.0)
    left = organ_from("a", 1, "liver", carved(body, [other], 0.5, 2.0), smoothing=2)
    away = np.linalg.norm(left.vertices_mm - (14.0, 0, 0), axis=1) - 10.0
    assert away.min() > 0.2
    assert np.linalg.norm(left.vertices_mm, axis=1).max() < 15.2


def test_what_is_kept_inside_leaves_no_room():
    body, room = ball((10.0, 0, 0), 15.0), ball((0.0, 0, 0), 20.0)
    left = organ_from("a", 1, "liver", kept_inside(body, room, 1.0, 2.0), smoothing=2)
    assert np.linalg.norm(left.vertices_mm, axis=1).max() < 19.5


def test_a_tube_has_its_radius():
    points = np.column_stack([np.linspace(0, 60, 121), np.zeros(121), np.zeros(121)])
    body = tube_volume(points, np.full(121, 8.0), 1.0)
    assert body.at(np.array([[30.0, 0, 0], [30, 8, 0], [30, 0, 11]])) == pytest.approx(
        [-8, 0, 3], abs=0.05
    )


def test_a_surface_is_closed_and_faces_outwards():
    organ = organ_from("a", 1, "liver", ball((0.0, 0, 0), 15.0))
    assert open_edges(organ.faces) == 0
    volume = signed_volume(organ.vertices_mm, organ.faces)
    assert volume == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.02)
    assert ((organ.normals * organ.vertices_mm).sum(1) > 0).all()

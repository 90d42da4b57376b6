# SPDX-License-Identifier: Apache-2.0
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.scene.anatomy.attachment import attach
from endoforge.scene.records import Centreline


def straight_line(length_mm=120.0, radius_mm=15.0):
    z = np.arange(0.0, length_mm + 1)
    return Centreline(np.stack([0 * z, 0 * z, z], axis=1), np.full(len(z), radius_mm))


def ring_line(bend_mm=60.0, radius_mm=18.0, turn=3.0):
    t = np.linspace(0, turn, int(turn * bend_mm) + 1)
    points = bend_mm * np.stack([np.cos(t), np.sin(t), 0 * t], axis=1)
    return Centreline(points, np.full(len(t), radius_mm))


@given(z=st.floats(30, 90), rho=st.floats(0.1, 20), angle=st.floats(0, 6.28))
@settings(max_examples=60, deadline=None)
def test_a_point_of_a_straight_tube_belongs_to_its_own_height(z, rho, angle):
    point = np.array([[rho * np.cos(angle), rho * np.sin(angle), z]])
    found = attach(point, straight_line())
    np.testing.assert_allclose(found.arc_mm, [z], atol=0.35)
    np.testing.assert_allclose(found.anchor_mm + found.out_mm, point, atol=1e-9)


def test_a_point_of_a_bend_belongs_to_its_own_angle():
    rng = np.random.default_rng(1)
    turn, rho, angle = rng.uniform(0.7, 2.3, 300), rng.uniform(0, 18, 300), rng.uniform(0, 6.3, 300)
    out = 60 + rho * np.cos(angle)
    points = np.stack([out * np.cos(turn), out * np.sin(turn), rho * np.sin(angle)], axis=1)
    found = attach(points, ring_line())
    np.testing.assert_allclose(found.arc_mm, 60 * turn, atol=1.0)


def test_places_change_smoothly_from_point_to_point():
    turn = np.linspace(0.4, 2.6, 4000)
    for out in (44.0, 60.0, 78.0):  # the inner side of the bend, the axis and the outer side
        points = out * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
        arc = attach(points, ring_line()).arc_mm
        steps = np.diff(arc) / np.diff(out * turn)
        assert (steps > 0).all()
        assert steps.max() < 2.0


def test_a_wide_loops_wall_is_not_taken_for_a_narrow_ones():
    z = np.arange(0.0, 101.0)
    wide = np.stack([0 * z, 0 * z, z], axis=1)
    narrow = np.stack([0 * z + 38, 0 * z, z[::-1]], axis=1)
    turn = np.linspace(0, np.pi, 61)[1:-1]
    over = np.stack([19 - 19 * np.cos(turn), 0 * turn, 100 + 19 * np.sin(turn)], axis=1)
    line = np.concatenate([wide, over, narrow])
    way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    radius = np.interp(way, [0, 100, 160, 260], [26.0, 26.0, 8.0, 8.0])
    wall = np.array([[25.0, 0, 40.0]])  # 13 mm from the narrow loop's axis, 25 mm from its own
    assert attach(wall, Centreline(line, radius)).arc_mm[0] < 60

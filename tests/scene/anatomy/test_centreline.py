# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial import cKDTree

from endoforge.errors import SceneError
from endoforge.scene.anatomy.centreline import lumen_centreline
from endoforge.scene.anatomy.colon import colon
from endoforge.scene.anatomy.lumen import lumen_from_mask, lumen_surface
from endoforge.scene.anatomy.mesh import lumen_from_surface
from endoforge.streams import stream
from scene.tubes import SMALL, hairpin, straight, tube_mask


def line_of(mask, step_mm=1.25):
    lumen = lumen_from_mask(mask, np.eye(4), step_mm)
    return lumen_centreline(lumen, *lumen_surface(lumen, 8))


def test_the_line_of_a_straight_tube_is_its_axis():
    line = line_of(tube_mask(straight(120), 9.0, (40, 40, 150)))
    np.testing.assert_allclose(line.points_mm[:, :2], 20.0, atol=2.0)
    np.testing.assert_allclose(line.points_mm[15:-15, :2], 20.0, atol=0.6)
    np.testing.assert_allclose(line.radius_mm[10:-10], 9.0, atol=0.8)
    assert 100 < line.length_mm < 135


def test_the_line_begins_at_the_end_nearer_the_feet():
    mask = tube_mask(straight(120), 9.0, (40, 40, 150))
    for volume in (mask, mask[:, :, ::-1]):
        points = line_of(np.ascontiguousarray(volume)).points_mm
        assert points[0, 2] < points[-1, 2]


def test_points_are_a_millimetre_apart():
    points = line_of(tube_mask(hairpin(), 10.0, (58, 34, 150))).points_mm
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(steps, 1.0, atol=0.05)


@pytest.mark.parametrize("radius", [7.0, 10.0])
def test_the_line_follows_a_bend_and_stays_clear_of_the_wall(radius):
    course = hairpin()
    line = line_of(tube_mask(course, radius, (58, 34, 150)))
    away = cKDTree(course).query(line.points_mm)[0]
    assert away.max() < 4.0
    assert line.radius_mm.min() > 0.45 * radius


def test_a_window_between_two_loops_is_no_short_cut():
    mask = tube_mask(hairpin(), 10.0, (58, 34, 150))
    closed = line_of(mask)
    mask[24:34, 11:21, 40:48] = 1
    opened = line_of(mask)
    assert opened.length_mm == pytest.approx(closed.length_mm, rel=0.06)
    assert cKDTree(closed.points_mm).query(opened.points_mm)[0].max() < 4.0


def test_a_pouch_at_the_side_does_not_divert_the_line():
    mask = tube_mask(straight(120), 9.0, (60, 40, 150))
    mask[26:46, 16:24, 70:78] = 1
    np.testing.assert_allclose(line_of(mask).points_mm[:, :2], 20.0, atol=2.0)


def test_the_line_of_a_drawn_colon_is_found_again():
    surface, truth = colon(SMALL, stream(4, "anatomy"))
    lumen = lumen_from_surface(surface.vertices_mm, surface.faces, 1.25)
    found = lumen_centreline(lumen, surface.vertices_mm, surface.faces)
    away = cKDTree(truth.points_mm).query(found.points_mm)[0]
    assert np.median(away) < 3.0
    assert found.radius_mm.min() > 3.0
    assert found.length_mm > 0.8 * truth.length_mm


def test_a_ball_has_no_course():
    ball = tube_mask(np.array([[15.0, 15, 15]]), 9.0, (30, 30, 30))
    with pytest.raises(SceneError, match="course"):
        line_of(ball)

# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.distributions import draw_count
from endoforge.scene.anatomy.bodies import site_on_grid
from endoforge.scene.anatomy.diverticula import (
    Diverticulum,
    open_diverticulum,
    sample_diverticula,
)
from endoforge.scene.anatomy.findings_settings import DiverticulumSettings
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.surfaces import open_edges
from endoforge.scene.anatomy.wall import wall_surface
from endoforge.streams import stream

RADIUS = 20.0


def pipe():
    turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    ring = RADIUS * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    wall = ring[None] + 0.6 * np.arange(100)[:, None, None] * np.array([0, 0, 1.0])
    return wall, wall_surface(wall, np.ones(wall.shape, np.float32), np.ones((99, 120), np.uint8))


@pytest.mark.parametrize(("opening", "depth"), [(3.0, 3.0), (5.0, 8.0), (7.0, 6.0)])
def test_a_pouch_keeps_the_wall_closed_and_has_its_size(opening, depth):
    wall, surface = pipe()
    pouch = Diverticulum(opening, depth, 0.2, (0.0, 0.0))
    opened = open_diverticulum(surface, pouch, site_on_grid(wall, 50, 30), 7)
    assert open_edges(opened.faces) == 0
    assert signed_volume(opened.vertices_mm, opened.faces) < signed_volume(
        surface.vertices_mm, surface.faces
    ), "the lumen, which faces inwards, must have grown"
    own = opened.faces[opened.face_instance == 7]
    np.testing.assert_array_equal(opened.face_label == 4, opened.face_instance == 7)
    away = np.linalg.norm(opened.vertices_mm[np.unique(own), :2], axis=1) - RADIUS
    assert 0.9 * depth < away.max() < 1.3 * depth
    rim = np.intersect1d(own, opened.faces[opened.face_instance == 0])
    wide = np.ptp(opened.vertices_mm[rim, 2])
    assert 0.7 * opening < wide < 1.3 * opening
    middle = opened.vertices_mm[rim].mean(axis=0)
    off = np.linalg.norm((opened.vertices_mm[rim] - middle)[:, [0, 2]], axis=1)
    assert off.max() / off.min() < 1.15  # round, not as jagged as the cut


def test_triangles_of_the_pouch_face_its_inside():
    wall, surface = pipe()
    opened = open_diverticulum(
        surface, Diverticulum(5.0, 6.0, 0.2, (0.1, 0.1)), site_on_grid(wall, 50, 30), 7
    )
    axis = site_on_grid(wall, 50, 30)
    own = opened.faces[opened.face_label == 4]
    a, b, c = (opened.vertices_mm[own[:, k]].astype(float) for k in range(3))
    centre = axis.point_mm - 3.0 * axis.normal
    assert ((np.cross(b - a, c - a) * (centre - a)).sum(axis=1) > 0).mean() > 0.95  # the neck bends


def test_where_a_hole_would_be_no_opening_there_is_none():
    wall, surface = pipe()
    tiny = Diverticulum(0.1, 1.0, 0.0, (0.0, 0.0))
    assert open_diverticulum(surface, tiny, site_on_grid(wall, 50, 30), 1) is None


def test_sizes_are_drawn_within_the_settings():
    some = sample_diverticula(
        DiverticulumSettings(count=(40, 40), opening_mm=(3, 6), depth=(1, 1)), stream(1, "a")
    )
    assert len(some) == 40
    assert all(3 <= d.opening_mm <= 6 and d.depth_mm == d.opening_mm for d in some)
    assert draw_count((2, 2), stream(1, "a")) == 2

# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.scene.anatomy.fluid import basin_of, low_places, pool
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.surfaces import open_edges
from endoforge.scene.anatomy.wall import wall_surface

RADIUS, SAG = 20.0, 4.0
UP = np.array([-1.0, 0.0, 0.0])  # +x is down
AXIS = np.stack([np.zeros(121), np.zeros(121), np.arange(121.0)], axis=1)


def pipe(sag_mm=SAG):
    """A level pipe along z that is wider around z = 60."""
    turn = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    z = np.arange(0.0, 120.0, 0.7)
    radius = RADIUS + sag_mm * np.exp(-(((z - 60) / 12) ** 2))
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    wall = radius[:, None, None] * ring + z[:, None, None] * np.array([0, 0, 1.0])
    return wall_surface(wall, np.ones(wall.shape, np.float32), np.ones((len(z) - 1, 160), np.uint8))


@pytest.fixture(scope="module")
def basin():
    return basin_of(pipe(), AXIS, UP)


@pytest.fixture(scope="module")
def pooled(basin):
    return pool(basin, int(low_places(basin)[0]), 3.0, 9, 4)


def test_the_lowest_place_is_the_hollows_ground(basin):
    lowest = basin.surface.vertices_mm[low_places(basin)[0]]
    np.testing.assert_allclose(lowest, [RADIUS + SAG, 0, 60], atol=1.0)


def test_the_surface_is_level_and_a_closed_sheet(pooled):
    assert open_edges(pooled.faces) == 0
    assert signed_volume(pooled.vertices_mm, pooled.faces) > 0
    height = pooled.vertices_mm @ UP
    top = height.max()
    assert top == pytest.approx(-(RADIUS + SAG) + 3.0, abs=0.05)
    assert set(np.round(height - top, 3).tolist()) == {0.0, -0.5}
    assert set(pooled.face_label.tolist()) == {7} and set(pooled.face_instance.tolist()) == {9}
    assert set(pooled.face_material.tolist()) == {4}


def test_its_edge_follows_the_wall_and_reaches_just_behind_it(pooled):
    x, y, z = pooled.vertices_mm.astype(float).T
    radius = RADIUS + SAG * np.exp(-(((z - 60) / 12) ** 2))
    beyond = np.hypot(x, y) - radius
    top = pooled.vertices_mm @ UP > (pooled.vertices_mm @ UP).max() - 0.1
    assert beyond[top].max() < 0.75
    area = 0.5 * np.linalg.norm(_cross(pooled)[(_cross(pooled) @ UP) > 1e-9], axis=1).sum()
    level = RADIUS + SAG - 3.0
    across = np.linspace(0, 120, 20_000)
    wide = 2 * np.sqrt(
        np.maximum((RADIUS + SAG * np.exp(-(((across - 60) / 12) ** 2))) ** 2 - level**2, 0)
    )
    assert area == pytest.approx(np.trapezoid(wide, across), rel=0.12)  # with what lies in the wall


def _cross(surface):
    a, b, c = (surface.vertices_mm[surface.faces[:, k]].astype(float) for k in range(3))
    return np.cross(b - a, c - a)


def test_fluid_that_would_run_away_stands_lower(basin):
    filled = pool(basin, int(low_places(basin)[0]), 12.0, 1, 4)
    depth = (filled.vertices_mm @ UP).max() + RADIUS + SAG
    assert depth < SAG


def test_nothing_stays_in_a_level_pipe_without_a_hollow():
    basin = basin_of(pipe(0.0), AXIS, UP)
    middle = np.flatnonzero(np.abs(basin.surface.vertices_mm[:, 2] - 60) < 0.4)
    assert pool(basin, int(middle[basin.height_mm[middle].argmin()]), 6.0, 1, 4) is None


def test_the_axis_stays_above_the_fluid(pooled):
    assert ((AXIS @ UP).min() - (pooled.vertices_mm @ UP).max()) > 6.0

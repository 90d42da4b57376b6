# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.scene.anatomy.bodies import Form, Look, body_surface, grid_ground, site_on_grid
from endoforge.scene.anatomy.debris import clump_surface, place_clump, sample_stool
from endoforge.scene.anatomy.findings_settings import StainSettings, StoolSettings
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.meshground import mesh_ground
from endoforge.scene.anatomy.relief import plain_surface
from endoforge.scene.anatomy.stains import sample_stains, stained
from endoforge.scene.anatomy.surfaces import open_edges
from endoforge.scene.records import Centreline
from endoforge.streams import stream
from scene.tubes import cylinder

RADIUS = 18.0
AXIS = np.stack([np.zeros(121), np.zeros(121), np.arange(121.0)], axis=1)


def pipe():
    turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    ring = RADIUS * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    return ring[None] + 0.6 * np.arange(200)[:, None, None] * np.array([0, 0, 1.0])


def lumen():
    points, faces = cylinder(120.0, RADIUS, 101, 80)
    surface = plain_surface(points.astype(np.float32), faces[:, ::-1].astype(np.int32))
    return surface, Centreline(AXIS, np.full(len(AXIS), RADIUS))


def test_a_place_faces_into_the_lumen_and_knows_its_lengths():
    site = site_on_grid(pipe(), 100, 30)
    np.testing.assert_allclose(site.point_mm, [0, RADIUS, 60], atol=1e-9)
    np.testing.assert_allclose(site.normal, [0, -1, 0], atol=1e-9)
    np.testing.assert_allclose(np.cross(site.along, site.side), site.normal, atol=1e-9)
    quarter = site.point(np.zeros(1), np.array([RADIUS * np.pi / 2]))[0]
    assert abs(quarter[0]) == pytest.approx(RADIUS, abs=0.1)


def test_a_body_follows_the_wall_at_its_foot_and_keeps_its_shape_above():
    site = site_on_grid(pipe(), 100, 30)
    rho, turn = np.meshgrid([0.5, 4.0, 8.0], np.linspace(0, 2 * np.pi, 24, endpoint=False),
                            indexing="ij")  # fmt: skip
    height = np.array([5.0, 5.0, 0.0])[:, None] * np.ones(24)
    form = Form(rho * np.cos(turn), rho * np.sin(turn), height, (0.0, 0.0, 5.0))
    body = body_surface(form, site, Look(3, 1, np.ones((74, 3), np.float32)), 4)
    assert open_edges(body.faces) == 0
    foot, upper = body.vertices_mm[48:72], body.vertices_mm[:48]
    np.testing.assert_allclose(np.hypot(foot[:, 0], foot[:, 1]), RADIUS, atol=0.1)
    np.testing.assert_allclose(upper[:, 1], RADIUS - 5, atol=1e-4)


@pytest.mark.parametrize("up", [(0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)])
def test_low_places_face_up_on_a_grid_and_on_a_mesh(up):
    rng = stream(1, "sites")
    for ground in (grid_ground(pipe(), (20, 180), AXIS), mesh_ground(*lumen())):
        facing = [ground.draw_site(rng, 12, np.array(up)).normal @ up for _ in range(6)]
        assert np.mean(facing) > 0.6


def test_a_grid_laid_over_a_mesh_lies_on_it():
    surface, line = lumen()
    site = mesh_ground(surface, line).draw_site(stream(2, "sites"), 6, None)
    along, around = np.meshgrid(np.linspace(-8, 8, 9), np.linspace(-8, 8, 9))
    points = site.point(along.ravel(), around.ravel())
    np.testing.assert_allclose(np.hypot(points[:, 0], points[:, 1]), RADIUS, atol=0.25)
    assert 20 < site.point_mm[2] < 100


def test_stool_is_closed_of_its_size_and_lies_on_the_wall():
    settings = StoolSettings(clumps=(6, 6), clump_mm=(4, 8), specks=(5, 5), speck_mm=(0.6, 1.5))
    clumps, specks = sample_stool(settings, stream(3, "stool"))
    assert len(clumps) == 6 and len(specks) == 5
    ground, rng, up = (
        grid_ground(pipe(), (30, 170), AXIS),
        stream(4, "stool"),
        np.array([0, 1.0, 0]),
    )
    for clump in (*clumps, *specks):
        site = place_clump(clump, ground, up, rng)
        body = clump_surface(clump, site, 2, 5)
        assert open_edges(body.faces) == 0
        assert signed_volume(body.vertices_mm, body.faces) > 0
        away = np.hypot(body.vertices_mm[:, 0], body.vertices_mm[:, 1])
        assert away.min() > 6.0 and away.max() > RADIUS - 0.01
        size = np.ptp(body.vertices_mm, axis=0).max()
        assert 0.6 * clump.width_mm < size < 2.2 * clump.width_mm + 1.6
    assert len(clump_surface(specks[0], site, 2, 5).faces) < 200


def test_no_place_is_no_clump():
    narrow = pipe() * np.array([0.3, 0.3, 1.0])
    clump = sample_stool(StoolSettings(clumps=(1, 1), clump_mm=8), stream(3, "stool"))[0][0]
    ground = grid_ground(narrow, (30, 170), AXIS)
    assert place_clump(clump, ground, np.array([0, 1.0, 0]), stream(1, "stool")) is None


def test_stains_run_downhill_and_keep_their_shares():
    surface, _ = lumen()
    up = np.array([0.0, 0.0, 1.0])
    blood = sample_stains(StainSettings(blood=(3, 3), width_mm=12), stream(5, "stains"))
    shares = stained(surface, blood, up, stream(6, "stains")).stain
    assert shares[:, 0].max() > 0.5 and shares[:, 1].max() == 0
    assert stained(surface, (), up, stream(6, "stains")).stain is None
    one = stained(surface, blood[:1], up, stream(6, "stains")).stain[:, 0]
    middle = surface.vertices_mm[np.argmax(one)]
    below = surface.vertices_mm[one > 0.2, 2].min()
    above = surface.vertices_mm[one > 0.2, 2].max()
    assert above - below < 3.5 * blood[0].width_mm
    assert abs(below - middle[2]) + abs(above - middle[2]) > 1.0

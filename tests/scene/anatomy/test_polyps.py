# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from endoforge.distributions import Choice
from endoforge.scene.anatomy.bodies import Site, grid_ground
from endoforge.scene.anatomy.findings_settings import Paris, PolypSettings
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.polyps import place_polyp, polyp_surface, press_wall, sample_polyps
from endoforge.scene.anatomy.surfaces import open_edges
from endoforge.streams import stream

SHAPES = ("Ip", "Isp", "Is", "IIa", "IIb", "IIc")
MANY = PolypSettings(
    count=(90, 90), diameter_mm=(3, 16), paris=Choice[Paris](choice=SHAPES, weights=(1,) * 6)
)


@pytest.fixture(scope="module")
def polyps():
    return sample_polyps(MANY, stream(1, "anatomy"))


def pipe(radius_mm=20.0):
    """The inside of a pipe along z as a grid, columns turning counter-clockwise."""
    turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    ring = radius_mm * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    return ring[None] + 0.6 * np.arange(200)[:, None, None] * np.array([0, 0, 1.0])


def site():
    return Site(pipe(), 100, 0, 0.6, 2 * np.pi * 20 / 120, np.array([-1.0, 0, 0]),
                np.array([0.0, 0, 1]))  # fmt: skip


def of_shape(polyps, paris, **changes):
    polyp = next(p for p in polyps if p.paris == paris and p.diameter_mm > 7)
    share = changes.get("diameter_mm", polyp.diameter_mm) / polyp.diameter_mm
    tall = polyp.height_mm * (share if paris in ("Ip", "Isp", "Is") else 1.0)
    return replace(polyp, height_mm=tall, **changes)


def heights(body):
    return 20 - np.linalg.norm(body.vertices_mm[:, :2], axis=1)


def test_all_shapes_are_drawn_within_the_sizes(polyps):
    assert {p.paris for p in polyps} == set(SHAPES)
    assert all(3 <= p.diameter_mm <= 16 for p in polyps)
    assert all(p.diameter_mm >= 5 for p in polyps if p.paris in ("Ip", "Isp"))


def test_shapes_come_as_often_as_their_weights():
    wanted = PolypSettings(
        count=(200, 200), paris=Choice[Paris](choice=("Is", "IIa"), weights=(3, 1))
    )
    some = [p.paris for s in range(5) for p in sample_polyps(wanted, stream(s, "anatomy"))]
    assert 0.68 < some.count("Is") / len(some) < 0.82


@pytest.mark.parametrize("paris", SHAPES)
def test_a_polyp_is_a_closed_body_of_its_size_in_the_lumen(polyps, paris):
    polyp = of_shape(polyps, paris)
    body = polyp_surface(polyp, site(), 5, 2)
    assert open_edges(body.faces) == 0
    assert signed_volume(body.vertices_mm, body.faces) > 0
    assert set(body.face_label.tolist()) == {3} and set(body.face_instance.tolist()) == {5}
    assert set(body.face_material.tolist()) == {0, 2}  # stalk and foot are of mucosa
    size = np.ptp(body.vertices_mm, axis=0).max()
    assert 0.75 * polyp.diameter_mm < size < 2.6 * polyp.diameter_mm
    assert -2.5 < heights(body).min() < 0  # its foot reaches below the wall, so no gap is seen


def test_heights_follow_the_paris_classification(polyps):
    tall = {p: heights(polyp_surface(of_shape(polyps, p, diameter_mm=8.0), site(), 1)).max()
            for p in SHAPES}  # fmt: skip
    assert tall["IIb"] < 0.8
    assert tall["IIb"] < tall["IIa"] < 3 < tall["Is"] < 8
    assert tall["Is"] < tall["Isp"]
    assert tall["Ip"] > 6


def test_a_neck_is_narrower_than_its_head_and_a_stalk_narrower_still(polyps):
    def narrowest(paris):
        polyp = of_shape(polyps, paris, diameter_mm=10.0, bend_rad=1e-6)
        body = polyp_surface(polyp, site(), 1)
        low, high = heights(body), np.hypot(body.vertices_mm[:, 1], body.vertices_mm[:, 2] - 60)
        neck = (low > 0.4) & (low < (2.0 if paris == "Isp" else polyp.stalk_mm))
        return high[neck].max() / high[low > 1].max()

    assert narrowest("Ip") < 0.6 < narrowest("Isp") < 0.95


def test_the_middle_of_a_depressed_polyp_lies_below_its_rim_and_the_wall_makes_room(polyps):
    polyp = of_shape(polyps, "IIc", lobe_depth=0.0)
    body = polyp_surface(polyp, site(), 1)
    off = np.hypot(body.vertices_mm[:, 1], body.vertices_mm[:, 2] - 60) / (polyp.diameter_mm / 2)
    upper = np.arange(len(off)) < len(off) - 1  # all but the root
    rim, middle = (off > 0.7) & (off < 0.85), (off < 0.2) & upper
    assert heights(body)[rim].max() > 0.3
    assert heights(body)[middle].max() < -0.2
    pressed = press_wall(pipe(), polyp, site())
    behind = 20 - np.linalg.norm(pressed[100, 0, :2])
    assert behind < heights(body)[middle].min()
    far = np.abs(np.arange(200) - 100) * 0.6 > polyp.diameter_mm
    np.testing.assert_array_equal(pressed[far], pipe()[far])


def test_normals_are_unit_and_tints_are_positive(polyps):
    for polyp in polyps[:8]:
        body = polyp_surface(polyp, site(), 1)
        np.testing.assert_allclose(np.linalg.norm(body.normals, axis=1), 1.0, atol=1e-5)
        assert body.tint.min() > 0.5 and body.tint.max() < 1.35


def test_polyps_leave_the_axis_free_and_do_not_touch():
    wall = pipe(12.0)
    axis = np.stack([0 * np.arange(120.0), 0 * np.arange(120.0), np.arange(120.0)], axis=1)
    ground = grid_ground(wall, (30, 170), axis)
    rng = stream(2, "anatomy")
    bodies = []
    for number, polyp in enumerate(sample_polyps(MANY, rng)[:8], start=1):
        bodies.append(place_polyp(polyp, ground, bodies, (number, 1), rng)[0])
    for i, one in enumerate(bodies):
        assert np.linalg.norm(one.vertices_mm[:, :2], axis=1).min() > 6.9
        for other in bodies[:i]:
            assert cKDTree(one.vertices_mm).query(other.vertices_mm)[0].min() > 1.9


def test_a_patch_of_wall_is_found_by_lengths():
    np.testing.assert_allclose(site().point(np.array([3.0]), np.array([0.0])), [[20, 0, 63.0]])
    around = site().point(np.array([0.0]), np.array([20 * np.pi / 2]))
    np.testing.assert_allclose(around, [[0, 20, 60.0]], atol=1e-9)


def test_the_top_is_no_pit(polyps):
    for polyp in polyps[:20]:
        body = polyp_surface(polyp, site(), 1)
        top = len(body.vertices_mm) - 2  # the last but one; the root is last
        ring = np.unique(body.faces[(body.faces == top).any(axis=1)])
        gap = np.linalg.norm(body.vertices_mm[ring] - body.vertices_mm[top], axis=1).max()
        assert gap < 0.06 * polyp.diameter_mm + 0.05

# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.polyps import (
    Ground,
    Site,
    place_polyp,
    polyp_surface,
    sample_polyps,
)
from endoforge.scene.anatomy.settings import PolypSettings
from endoforge.scene.anatomy.surfaces import open_edges
from endoforge.streams import stream

MANY = PolypSettings(count=(60, 60), diameter_mm=(3, 16), flat_share=0.3, stalked_share=0.4)


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


def test_all_three_kinds_are_drawn_within_the_sizes(polyps):
    assert {p.kind for p in polyps} == {"dome", "plaque", "stalked"}
    assert all(3 <= p.diameter_mm <= 16 for p in polyps)
    assert all(p.diameter_mm >= 6 for p in polyps if p.kind == "stalked")


@pytest.mark.parametrize("kind", ["dome", "plaque", "stalked"])
def test_a_polyp_is_a_closed_body_of_its_size_in_the_lumen(polyps, kind):
    polyp = next(p for p in polyps if p.kind == kind and p.diameter_mm > 7)
    body = polyp_surface(polyp, site(), 5)
    assert open_edges(body.faces) == 0
    assert signed_volume(body.vertices_mm, body.faces) > 0
    assert set(body.face_label.tolist()) == {3} and set(body.face_instance.tolist()) == {5}
    size = np.ptp(body.vertices_mm, axis=0).max()
    assert 0.75 * polyp.diameter_mm < size < 2.6 * polyp.diameter_mm
    height = 20 - np.linalg.norm(body.vertices_mm[:, :2], axis=1)
    assert height.max() > 0.1 * polyp.diameter_mm
    assert -2.5 < height.min() < 0  # its foot reaches below the wall, so no gap is seen


def test_a_plaque_is_lower_than_a_dome_and_a_stalk_lifts_its_head(polyps):
    def height(kind):
        polyp = replace(next(p for p in polyps if p.kind == kind and p.diameter_mm > 6),
                        diameter_mm=8.0)  # fmt: skip
        body = polyp_surface(polyp, site(), 1)
        return (20 - np.linalg.norm(body.vertices_mm[:, :2], axis=1)).max()

    assert height("plaque") < 3 < height("dome") < 8
    assert height("stalked") > 3


def test_normals_are_unit_and_tints_are_positive(polyps):
    for polyp in polyps[:8]:
        body = polyp_surface(polyp, site(), 1)
        np.testing.assert_allclose(np.linalg.norm(body.normals, axis=1), 1.0, atol=1e-5)
        assert body.tint.min() > 0.5 and body.tint.max() < 1.3


def test_polyps_leave_the_axis_free_and_do_not_touch():
    wall = pipe(12.0)
    ground = Ground(wall, (30, 170), np.stack([0 * np.arange(120.0), 0 * np.arange(120.0),
                                               np.arange(120.0)], axis=1))  # fmt: skip
    rng = stream(2, "anatomy")
    bodies = []
    for number, polyp in enumerate(sample_polyps(MANY, rng)[:8], start=1):
        bodies.append(place_polyp(polyp, ground, bodies, number, rng))
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

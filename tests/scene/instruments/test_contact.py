# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.scene.instruments.contact import closest_weights, cover, nearest, touchable
from endoforge.scene.records import Surface


def surface_of(mesh: trimesh.Trimesh) -> Surface:
    count = len(mesh.vertices)
    return Surface(
        vertices_mm=np.array(mesh.vertices, np.float32),
        faces=np.array(mesh.faces, np.int32),
        normals=np.array(mesh.vertex_normals, np.float32),
        tint=np.ones((count, 3), np.float32),
        face_label=np.ones(len(mesh.faces), np.uint8),
        face_instance=np.full(len(mesh.faces), 3, np.uint16),
    )


def winding_number(mesh: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    """How often the surface goes round each point: the sum of its triangles' solid angles."""
    a, b, c = (mesh.triangles[None, :, k] - points[:, None] for k in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=2) for x in (a, b, c))
    above = (a * np.cross(b, c)).sum(2)
    below = la * lb * lc + (a * b).sum(2) * lc + (b * c).sum(2) * la + (c * a).sum(2) * lb
    return np.arctan2(above, below).sum(1) / (2 * np.pi)


@pytest.mark.parametrize("level", [2, 4])
def test_distances_are_those_of_another_library(level):
    """trimesh searches all triangles whose boxes may hold the nearest point."""
    rng = np.random.default_rng(level)
    mesh = trimesh.creation.icosphere(subdivisions=level, radius=30.0)
    mesh.vertices += rng.normal(0, 0.3, mesh.vertices.shape)
    mesh.vertices[:, 0] *= 1.6
    points = rng.uniform(-45, 45, (400, 3))
    mine = nearest(touchable(surface_of(mesh)), points)
    place, distance, _ = trimesh.proximity.closest_point_naive(mesh, points)
    assert np.abs(np.abs(mine.distance_mm) - distance).max() < 1e-4
    near = np.abs(distance) < 25
    assert np.linalg.norm(mine.point_mm[near] - place[near], axis=1).max() < 1e-2
    inside = winding_number(mesh, points) > 0.5
    assert ((mine.distance_mm < 0) == inside)[np.abs(distance) > 0.01].all()


def test_a_box_of_large_triangles_is_measured_exactly():
    mesh = trimesh.creation.box((80, 50, 30))
    points = np.random.default_rng(0).uniform(-50, 50, (500, 3))
    half = np.array([40.0, 25, 15])
    out = np.linalg.norm(np.maximum(np.abs(points) - half, 0), axis=1)
    exact = np.where(out > 0, out, (np.abs(points) - half).max(axis=1))
    found = nearest(touchable(surface_of(mesh)), points).distance_mm
    assert np.abs(found - exact).max() < 1e-6


def test_points_beyond_a_sharp_edge_are_outside():
    """A thin wedge, where a single triangle's normal would say inside."""
    mesh = trimesh.Trimesh(
        [[0, 0, 0], [10, 1, 0], [10, -1, 0], [0, 0, 20], [10, 1, 20], [10, -1, 20]],
        [[0, 1, 2], [3, 5, 4], [0, 3, 4], [0, 4, 1], [0, 2, 5], [0, 5, 3], [1, 4, 5], [1, 5, 2]],
    )
    trimesh.repair.fix_normals(mesh)
    points = np.array([[-3.0, 0.5, 10], [-3.0, -0.5, 10], [5.0, 0.0, 10]])
    assert (np.sign(nearest(touchable(surface_of(mesh)), points).distance_mm) == [1, 1, -1]).all()


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_no_other_point_of_a_triangle_is_nearer(seed):
    rng = np.random.default_rng(seed)
    triangle, point = rng.normal(size=(1, 3, 3)), rng.normal(size=(1, 3)) * 2
    best = closest_weights(point, triangle)
    assert best.min() >= 0 and best.sum() == pytest.approx(1)
    others = rng.dirichlet([0.6, 0.6, 0.6], 500) @ triangle[0]
    distance = np.linalg.norm(best @ triangle[0] - point)
    assert distance <= np.linalg.norm(others - point, axis=1).min() + 1e-9


def test_a_surface_that_moves_is_measured_where_it_is():
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=30.0)
    ready = cover(surface_of(mesh))
    points = np.random.default_rng(3).uniform(-40, 40, (50, 3))
    shift = np.array([3.0, -7.0, 2.0])
    moved = nearest(ready.at(mesh.vertices + shift), points + shift).distance_mm
    assert np.abs(moved - nearest(ready.at(mesh.vertices), points).distance_mm).max() < 1e-9


def test_a_surface_without_area_cannot_be_touched():
    flat = surface_of(
        trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], process=False)
    )
    assert touchable(flat) is None

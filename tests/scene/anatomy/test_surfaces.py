# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import trimesh

from endoforge.scene.anatomy.surfaces import (
    face_normals,
    fan_faces,
    grid_faces,
    join,
    open_edges,
    vertex_normals,
    wall_distance,
)
from endoforge.scene.records import Surface
from scene.tubes import cylinder


@pytest.fixture(scope="module")
def ball():
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=10.0)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def test_normals_of_a_ball_point_away_from_its_middle(ball):
    vertices, faces = ball
    np.testing.assert_allclose(vertex_normals(vertices, faces), vertices / 10.0, atol=0.02)
    assert (face_normals(vertices, faces) * vertices[faces].mean(1)).sum(1).min() > 0


def test_vertex_normals_agree_with_another_library(ball):
    vertices, faces = ball
    vertices = vertices * [1.0, 0.5, 2.0]
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    agreement = (vertex_normals(vertices, faces) * mesh.vertex_normals).sum(axis=1)
    assert agreement.min() > 0.99


def test_a_lonely_vertex_has_a_unit_normal_too():
    normals = vertex_normals(np.eye(4, 3), np.array([[0, 1, 2]]))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0)


def test_distance_to_a_ball_is_that_of_its_facets(ball):
    vertices, faces = ball
    points = np.array([[0.0, 0, 0], [4, 0, 0], [20, 0, 0], [0, 9, 3]])
    _, expected, _ = trimesh.proximity.closest_point_naive(
        trimesh.Trimesh(vertices, faces, process=False), points
    )
    np.testing.assert_allclose(wall_distance(vertices, faces, points), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("point", "distance"),
    [((0.2, 0.2, 3.0), 3.0), ((-2.0, 0.5, 0.0), 2.0), ((2.0, 0.0, 0.0), 1.0), ((0.5, -3, 4), 5.0)],
)
def test_distance_to_one_triangle(point, distance):
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    found = wall_distance(corners, np.array([[0, 1, 2]]), np.array([point]))
    assert found[0] == pytest.approx(distance)


def test_a_closed_mesh_has_no_open_edges_and_a_hole_has_three():
    _, faces = cylinder()
    assert open_edges(faces) == 0
    assert open_edges(faces[1:]) == 3
    turned = faces.copy()
    turned[0] = turned[0, ::-1]
    assert open_edges(turned) > 0
    assert open_edges(np.zeros((0, 3), int)) == 0


def test_a_tube_of_a_grid_and_two_fans_is_closed_and_faces_inwards():
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    grid = ring[None] + np.arange(5.0)[:, None, None] * np.array([0, 0, 1.0])
    index = np.arange(12, dtype=np.int32)
    faces = np.concatenate(
        [grid_faces(grid), fan_faces(60, index), fan_faces(61, 48 + index)[:, ::-1]]
    )
    points = np.concatenate([grid.reshape(-1, 3), [[0, 0, 0], [0, 0, 4.0]]])
    assert open_edges(faces) == 0
    side = face_normals(points, faces[: 2 * 4 * 12])
    outwards = points[faces[: 2 * 4 * 12]].mean(axis=1) * [1, 1, 0]
    assert (side * outwards).sum(axis=1).max() < 0


def test_cells_are_cut_along_the_shorter_diagonal():
    grid = np.zeros((2, 4, 3))
    grid[1, :, 2] = 1.0
    grid[0, :, 0] = [0, 1, 2, 3]
    grid[1, :, 0] = [0.5, 1.5, 2.5, 3.5]  # sheared, so one diagonal is shorter
    faces = grid_faces(grid)
    longest = max(
        np.linalg.norm(grid.reshape(-1, 3)[a] - grid.reshape(-1, 3)[b])
        for face in faces[[0, 1, 2, 4, 5, 6]]
        for a, b in ((face[0], face[1]), (face[1], face[2]), (face[2], face[0]))
    )
    assert longest == pytest.approx(np.hypot(0.5, 1.0))


def test_joined_surfaces_keep_their_triangles(ball):
    vertices, faces = ball
    one = Surface(
        vertices_mm=vertices.astype(np.float32),
        faces=faces.astype(np.int32),
        normals=vertex_normals(vertices, faces),
        tint=np.ones((len(vertices), 3), np.float32),
        face_label=np.ones(len(faces), np.uint8),
        face_instance=np.zeros(len(faces), np.uint16),
    )
    both = join([one, one])
    second = both.vertices_mm[both.faces[len(faces) :]]
    np.testing.assert_array_equal(second, one.vertices_mm[one.faces])
    assert open_edges(both.faces) == 0 and both.faces.dtype == np.int32

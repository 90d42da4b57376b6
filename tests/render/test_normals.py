# SPDX-License-Identifier: Apache-2.0
"""Normals turn with the mesh: exactly in a rigid motion, like a sphere's when squeezed."""

import numpy as np
import pytest
import trimesh

from endoforge.render.arrays import padded
from endoforge.render.engine import start
from endoforge.render.normals import TurningNormals, cross, mesh_normals
from endoforge.render.partition import partition
from render import worlds


def rotation(seed: int) -> np.ndarray:
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    turn = q * np.sign(np.diag(r))
    return turn * np.sign(np.linalg.det(turn))


@pytest.mark.parametrize("seed", range(4))
def test_a_rigid_motion_turns_any_given_normals_exactly(seed):
    surface = worlds.tube().surface
    rng = np.random.default_rng(seed)
    given = surface.normals + rng.normal(0, 0.4, surface.normals.shape)  # not the mesh's own
    given = (given / np.linalg.norm(given, axis=1, keepdims=True)).astype(np.float32)
    turn = rotation(seed)
    moved = (surface.vertices_mm @ turn.T + rng.normal(0, 20, 3)).astype(np.float32)
    turned = TurningNormals(surface.vertices_mm, surface.faces, given).at(moved)
    np.testing.assert_allclose(turned, given @ turn.T, atol=2e-4)


def test_a_squeezed_sphere_gets_the_normals_of_an_ellipsoid():
    ball = trimesh.creation.icosphere(subdivisions=5, radius=20.0)
    place = np.array(ball.vertices, np.float32)
    squeeze = np.array([1.0, 0.6, 1.3])
    given = -place / 20.0  # the inside is seen
    turned = TurningNormals(place, np.array(ball.faces[:, ::-1], np.int32), given).at(
        (place * squeeze).astype(np.float32)
    )
    expected = -(place / 20.0) / squeeze
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    angle = np.degrees(np.arccos(np.clip(np.sum(turned * expected, axis=1), -1, 1)))
    assert angle.max() < 0.5


def test_nothing_changes_at_rest():
    surface = worlds.tube().surface
    turning = TurningNormals(surface.vertices_mm, surface.faces, surface.normals)
    np.testing.assert_allclose(turning.at(surface.vertices_mm), surface.normals, atol=1e-5)


def test_mesh_normals_are_those_of_an_independent_library():
    surface = worlds.tube().surface
    mesh = trimesh.Trimesh(surface.vertices_mm, surface.faces, process=False)
    weights = np.zeros((len(surface.vertices_mm), 3))
    area = mesh.face_normals * mesh.area_faces[:, None]
    for corner in range(3):
        np.add.at(weights, surface.faces[:, corner], area)
    expected = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    found = mesh_normals(surface.vertices_mm, surface.faces)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_cross_product_is_numpys():
    a, b = np.random.default_rng(0).normal(size=(2, 50, 3))
    np.testing.assert_allclose(cross(a, b), np.cross(a, b))


def test_the_device_turns_normals_as_numpy_does():
    start("cpu")
    from endoforge.render.turning import Turning, mi

    scene = worlds.living_tube((worlds.CHALK,))
    parts, given = partition(scene), scene.surface.normals
    rest, moved = (scene.motion.vertices_at(k)[parts.vertices] for k in (0, 3))
    expected = given[parts.vertices]
    first = parts.fixed_vertices
    turning = TurningNormals(
        rest[first:], parts.corners[parts.fixed_faces :] - first, expected[first:]
    )
    expected = np.concatenate([expected[:first], turning.at(moved[first:])])
    found = Turning(parts, rest, given[parts.vertices]).at(mi.Float(padded(moved).ravel()))
    np.testing.assert_allclose(np.array(found).reshape(-1, 4)[:, :3], expected, atol=2e-5)
    assert np.abs(expected - given[parts.vertices]).max() > 0.1

# SPDX-License-Identifier: Apache-2.0
"""A surface is split into what stays and what moves, and every face keeps its corners."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.render.partition import partition
from render import worlds

TUBE = worlds.tube(rings=9, around=7)


class Chosen:
    """A motion of some vertices; nobody asks where to."""

    def __init__(self, moving: np.ndarray) -> None:
        self.moving = moving

    def vertices_at(self, frame: int) -> np.ndarray:
        raise AssertionError(f"nobody may ask for frame {frame}")


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 62), max_size=12))
def test_every_face_is_there_once_with_its_corners(chosen):
    moving = np.zeros(63, bool)
    moving[list(chosen)] = True
    surface = TUBE.surface
    parts = partition(replace(TUBE, motion=Chosen(moving)))
    np.testing.assert_array_equal(np.sort(parts.faces), np.arange(len(surface.faces)))
    np.testing.assert_array_equal(parts.vertices[parts.corners], surface.faces[parts.faces])
    touched = moving[surface.faces[parts.faces]].any(axis=1)
    np.testing.assert_array_equal(
        np.flatnonzero(touched), np.arange(parts.still_faces, len(touched))
    )
    assert parts.moves == bool(chosen)
    assert parts.corners[: parts.fixed_faces].max(initial=-1) < parts.fixed_vertices
    assert parts.corners[parts.fixed_faces :].min(initial=10**6) >= parts.fixed_vertices


def test_a_face_beside_a_moving_one_belongs_to_what_is_rebuilt():
    moving = np.zeros(63, bool)
    moving[30] = True
    parts = partition(replace(TUBE, motion=Chosen(moving)))
    faces = TUBE.surface.faces
    near = np.unique(faces[(faces == 30).any(axis=1)])
    turning = np.isin(faces, near).any(axis=1)  # their normals change with the vertex
    assert set(parts.faces[parts.fixed_faces :]) == set(np.flatnonzero(turning))


def test_a_scene_without_motion_stays_as_it_is():
    parts = partition(TUBE)
    assert not parts.moves
    assert parts.fixed_faces == parts.still_faces == len(TUBE.surface.faces)
    np.testing.assert_array_equal(parts.corners, TUBE.surface.faces)

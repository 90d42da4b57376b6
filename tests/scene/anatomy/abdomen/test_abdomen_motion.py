# SPDX-License-Identifier: Apache-2.0
"""Organs move as one smooth space: nothing folds, nothing runs into anything, the wall stands."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from endoforge.errors import SceneError
from endoforge.scene.anatomy.abdomen.motion import beat_at, breath_at
from endoforge.scene.pulls import Pull
from endoforge.scene.records import Motion
from scene.abdomens import abdomen_of

FRAMES = range(-1, 131, 10)  # more than a breath


def pull_of(anatomy, way_mm, reach_mm=70.0, target="fundus"):
    target = next(t for t in anatomy.targets if t.name == target)
    ramp = np.clip(np.arange(-1, 41) / 30.0, 0, 1)[:, None]
    way = ramp * np.asarray(way_mm, dtype=np.float64)
    return Pull(anatomy.instances["gallbladder"], target.point_mm, way, reach_mm)


def determinants(field, points, frame):
    slope = np.stack(
        [
            (field.moved(points + axis, frame) - field.moved(points - axis, frame)) / 1.0
            for axis in 0.5 * np.eye(3)
        ],
        axis=2,
    )
    return np.linalg.det(slope)


def test_it_is_a_motion_and_rests_at_the_end_of_a_breath():
    anatomy = abdomen_of(0)
    assert isinstance(anatomy.motion, Motion)
    assert np.array_equal(anatomy.motion.rest_mm, anatomy.surface.vertices_mm)
    moves = anatomy.motion.field.moves
    still = replace(moves, beat_mm=np.zeros(3), phase=(0.0, 0.0))
    field = replace(anatomy.motion.field, moves=still)
    assert field.moved(anatomy.surface.vertices_mm, 0) == pytest.approx(
        anatomy.surface.vertices_mm, abs=1e-6
    )


@settings(max_examples=40, deadline=None)
@given(st.floats(-3, 3))
def test_breath_and_beat_repeat(phase):
    assert breath_at(phase) == pytest.approx(breath_at(phase + 1), abs=1e-9)
    assert beat_at(phase) == pytest.approx(beat_at(phase + 1), abs=1e-9)
    assert 0 <= breath_at(phase) <= 1
    assert 0 <= beat_at(phase) <= 1.3


def test_a_frame_is_a_pure_function():
    motion = abdomen_of(0).motion
    first = motion.vertices_at(7)
    motion.vertices_at(50)
    assert np.array_equal(first, motion.vertices_at(7))


def test_what_is_not_moving_never_moves():
    motion = abdomen_of(0).motion
    for frame in FRAMES:
        moved = motion.vertices_at(frame) != motion.rest_mm
        assert not moved[~motion.moving].any()


def test_points_follow_their_vertices():
    motion = abdomen_of(0).motion
    pulled = motion.pulled([pull_of(abdomen_of(0), (-10.0, 5.0, 5.0))])
    free = np.flatnonzero(~motion.wall)[::50]
    for field, vertices in (
        (motion.field, motion.vertices_at(33)),
        (pulled.field, pulled.vertices_at(33)),
    ):
        assert field.moved(motion.rest_mm[free], 33) == pytest.approx(vertices[free], abs=2e-3)


def test_the_dome_moves_most_and_the_front_wall_stands():
    anatomy = abdomen_of(0)
    motion = anatomy.motion
    way = np.max(
        [np.linalg.norm(motion.vertices_at(k) - motion.rest_mm, axis=1) for k in FRAMES], axis=0
    )
    of = np.zeros(len(way), int)
    of[anatomy.surface.faces.ravel()] = np.repeat(anatomy.surface.face_label, 3)
    place = motion.rest_mm
    front = (of == 3) & (place[:, 1] > 60) & (place[:, 2] < 0)
    assert way[front].max() < 0.5
    dome = (of == 13) & (place[:, 2] > 80)
    breath = np.linalg.norm(motion.field.moves.breath_mm)
    assert way[dome].mean() > 0.7 * breath
    assert way.max() < breath + np.linalg.norm(motion.field.moves.beat_mm) * 1.3 + 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_space_never_folds(seed):
    motion = abdomen_of(seed).motion
    points = motion.rest_mm[::23].astype(np.float64)
    for frame in FRAMES:
        assert determinants(motion.field, points, frame).min() > 0.3


@pytest.mark.parametrize("way", [(-18.0, 16.0, 16.0), (25.0, 8.0, -8.0), (0.0, -10.0, -30.0)])
def test_a_pull_takes_the_point_along_and_does_not_fold(way):
    anatomy = abdomen_of(0)
    pull = pull_of(anatomy, way, 100.0)
    motion = anatomy.motion.pulled([pull])
    free = anatomy.motion.field.moved(pull.point_mm[None], 39)
    held = motion.field.moved(pull.point_mm[None], 39)
    assert held - free == pytest.approx(np.array([way]), abs=1e-3)
    around = pull.point_mm + np.random.default_rng(0).uniform(-100, 100, (4000, 3))
    assert determinants(motion.field, around, 39).min() > 0.04


def test_a_pull_ends_at_its_reach():
    anatomy = abdomen_of(0)
    pull = pull_of(anatomy, (20.0, 10.0, 5.0))
    motion = anatomy.motion.pulled([pull])
    far = np.linalg.norm(motion.rest_mm - pull.point_mm, axis=1) > pull.reach_mm
    assert np.array_equal(motion.vertices_at(39)[far], anatomy.motion.vertices_at(39)[far])


def test_a_pull_that_would_fold_tissue_is_refused():
    anatomy = abdomen_of(0)
    with pytest.raises(SceneError, match=r"pull of 60\.0 mm with a reach of 20\.0 mm.*would fold"):
        anatomy.motion.pulled([pull_of(anatomy, (-60.0, 0.0, 0.0), 20.0)])


def contact_pairs(surface, one, two):
    """Vertices of one object that all but touch a triangle of another, and that triangle."""
    ours = np.unique(surface.faces[surface.face_instance == one])
    theirs = surface.faces[surface.face_instance == two]
    middle = surface.vertices_mm[theirs].mean(axis=1)
    away, face = cKDTree(middle).query(surface.vertices_mm[ours], distance_upper_bound=2.0)
    near = np.isfinite(away)
    return ours[near], theirs[face[near]]


def heights(vertices, points, faces):
    corners = vertices[faces].astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return ((vertices[points] - corners.mean(axis=1)) * normal).sum(axis=1)


@pytest.mark.parametrize(
    ("one", "two"), [("gallbladder", "liver"), ("bed", "liver"), ("omentum", "colon")]
)
def test_organs_that_move_do_not_run_into_each_other(one, two):
    anatomy = abdomen_of(0)
    motion = anatomy.motion.pulled([pull_of(anatomy, (-20.0, 15.0, 20.0), 90.0)])
    pair = anatomy.instances[one], anatomy.instances[two]
    points, faces = contact_pairs(anatomy.surface, *pair)
    assert len(points) > 20
    rest = heights(motion.rest_mm, points, faces)
    for frame in (20, 39, 75):
        moved = heights(motion.vertices_at(frame), points, faces)
        assert (np.minimum(rest, 0.0) - moved).max() < 0.5


def test_organs_that_are_pulled_to_the_wall_stop_there():
    anatomy = abdomen_of(0)
    motion = anatomy.motion.pulled([pull_of(anatomy, (0.0, 12.0, 6.0), 90.0)])
    surface, room = anatomy.surface, motion.field.room
    free = np.unique(surface.faces[np.isin(surface.face_label, (1, 2))])
    for frame in (0, 39):
        shift = motion.vertices_at(frame)[free] - anatomy.motion.vertices_at(frame)[free]
        out = room.at(motion.rest_mm[free] + shift)
        assert (out - np.maximum(room.at(motion.rest_mm[free]), -0.5)).max() < 0.5

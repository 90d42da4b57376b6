# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import SettingsError
from endoforge.scene.anatomy.build import build_anatomy, motion_of
from endoforge.scene.anatomy.findings_settings import FluidSettings, MotilitySettings
from endoforge.scene.anatomy.peristalsis import (
    Peristalsis,
    radius_scale,
    sample_motility,
    sway,
)
from endoforge.scene.anatomy.surfaces import face_normals, wall_distance
from endoforge.scene.records import Motion
from endoforge.settings import validate
from endoforge.streams import stream
from scene.tubes import SMALL

LIVELY = MotilitySettings(
    rings_per_metre=(6, 6), ring_depth=(0.6, 0.6), haustral_depth=(0.12, 0.12), inflation=(0.1, 0.1)
)
FRAMES = (-1, 0, 7, 40)


@pytest.fixture(scope="module")
def anatomy():
    settings = SMALL.model_copy(
        update={"segment": "transverse", "length_mm": 260.0, "fluid": FluidSettings(pools=(2, 2))}
    )
    return build_anatomy(settings, stream(3, "anatomy"))


@pytest.fixture(scope="module")
def lively(anatomy):
    return motion_of(anatomy, LIVELY, stream(1, "motility"))


def test_it_is_a_motion_and_everything_moves(anatomy, lively):
    assert isinstance(lively, Motion)
    assert lively.moving.shape == (len(anatomy.surface.vertices_mm),) and lively.moving.all()
    assert np.ptp([lively.vertices_at(k) for k in FRAMES], axis=0).max(axis=1).min() > 0.01


def test_positions_are_a_pure_function_of_the_frame(anatomy, lively):
    again = motion_of(anatomy, LIVELY, stream(1, "motility"))
    order = [lively.vertices_at(k).tobytes() for k in (5, 2, 5)]
    assert order[0] == order[2] != order[1]
    assert again.vertices_at(5).tobytes() == order[0]


def test_no_settings_no_motion(anatomy):
    assert motion_of(anatomy, None, stream(1, "motility")) is None


@given(seed=st.integers(0, 10_000), frame=st.integers(-1, 2000), depth=st.floats(0, 0.7))
@settings(max_examples=60, deadline=None)
def test_the_calibre_stays_between_its_ends(seed, frame, depth):
    wild = MotilitySettings(rings_per_metre=(10, 10), ring_depth=(depth, depth), inflation=(0, 0.1))
    motility = sample_motility(wild, 400.0, stream(seed, "motility"))
    scale = radius_scale(motility, frame, np.linspace(0, 400, 200))
    assert wild.least_calibre < scale.min() and scale.max() <= 1.1 + 1e-9


def test_a_lone_ring_narrows_by_its_depth_where_it_is_and_travels_at_its_speed():
    quiet = MotilitySettings(
        frames_per_second=25, rings_per_metre=2.5, ring_speed_mm=10, backward_share=1,
        ring_width_mm=15, ring_depth=0.1, haustral_depth=0, inflation=0,
    )  # fmt: skip
    motility = sample_motility(quiet, 400.0, stream(2, "motility"))
    one = replace(
        motility, ring_start_mm=np.array([150.0]), ring_speed_mm=np.array([0.4]),
        ring_width_mm=np.array([15.0]), ring_depth=np.array([0.1]),
    )  # fmt: skip
    arc = np.arange(0.0, 400.0, 0.1)
    for frame in (0, 25, 250):
        scale = radius_scale(one, frame, arc)
        assert arc[scale.argmin()] == pytest.approx(150 + 0.4 * frame, abs=0.06)
        assert scale.min() == pytest.approx(0.45 + 0.55 * np.exp(-0.1 / 0.55), abs=1e-6)
    assert np.abs(motility.ring_speed_mm).min() >= 0.8 * 0.4 - 1e-9
    assert np.abs(motility.ring_speed_mm).max() <= 1.25 * 0.4 + 1e-9


def test_a_ring_that_leaves_at_one_end_comes_in_at_the_other_without_a_jump():
    motility = sample_motility(LIVELY, 200.0, stream(4, "motility"))
    arc = np.linspace(0, 200, 100)
    scales = np.array([radius_scale(motility, k, arc) for k in range(3000)])
    assert np.abs(np.diff(scales, axis=0)).max() < 0.03


def test_the_surface_does_not_turn_inside_out(anatomy, lively):
    faces = anatomy.surface.faces
    rest = face_normals(anatomy.surface.vertices_mm, faces)
    whole = np.linalg.norm(rest, axis=1) > 0.1  # twice the area, mm²: not the slivers of the fluid
    for frame in FRAMES:
        moved = face_normals(lively.vertices_at(frame), faces)
        assert ((moved * rest).sum(axis=1)[whole] > 0).all()


def test_the_room_promised_to_a_camera_is_there_at_every_frame(anatomy, lively):
    safe = lively.safe_centreline(40)
    np.testing.assert_array_equal(safe.points_mm, anatomy.centreline.points_mm)
    assert (safe.radius_mm <= anatomy.centreline.radius_mm).all()
    for frame in (-1, 0, 13, 27, 41):
        room = wall_distance(lively.vertices_at(frame), anatomy.surface.faces, safe.points_mm)
        assert (room >= safe.radius_mm - 0.1).all()


def test_the_centre_line_sways_with_the_wall(anatomy, lively):
    moved = lively.centreline_at(9)
    way = moved.points_mm - anatomy.centreline.points_mm
    np.testing.assert_allclose(way, np.tile(sway(lively.motility, 9), (len(way), 1)), atol=1e-9)
    room = wall_distance(lively.vertices_at(9), anatomy.surface.faces, moved.points_mm)
    assert (room >= moved.radius_mm - 0.1).all()


def test_fluid_and_polyps_move_with_the_wall_beside_them(anatomy, lively):
    surface = anatomy.surface
    rest, moved = surface.vertices_mm, lively.vertices_at(30)
    kinds = np.zeros(len(rest), int)
    kinds[surface.faces.ravel()] = np.repeat(surface.face_label, 3)
    wall = np.flatnonzero(kinds <= 2)
    from scipy.spatial import cKDTree

    for label in (3, 7):
        some = np.flatnonzero(kinds == label)
        away, beside = cKDTree(rest[wall]).query(rest[some])
        near = away < 0.7
        gap = np.linalg.norm((moved - rest)[some] - (moved - rest)[wall[beside]], axis=1)
        assert near.any() and gap[near].max() < 0.7


def test_stillness_is_said():
    still = MotilitySettings(
        rings_per_metre=0, haustral_depth=0, inflation=0, breathing_mm=0, heartbeat_mm=0
    )
    anatomy = build_anatomy(SMALL, stream(1, "anatomy"))
    motion = Peristalsis(
        anatomy.surface, anatomy.centreline, sample_motility(still, 100.0, stream(1, "motility"))
    )
    assert not motion.moving.any()
    np.testing.assert_allclose(motion.vertices_at(8), anatomy.surface.vertices_mm, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "says"),
    [({"ring_depth": 0.9}, "within 0.0 to 0.7"), ({"least_calibre": 0.1}, "greater than or equal")],
)
def test_wrong_settings_are_refused(values, says):
    with pytest.raises(SettingsError, match=says):
        validate(MotilitySettings, values)

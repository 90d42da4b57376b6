# SPDX-License-Identifier: Apache-2.0
"""Cameras keep clear of tissue that moves, at every frame of it."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from endoforge.errors import SceneError
from endoforge.scene.anatomy.abdomen.build import build_abdomen
from endoforge.scene.anatomy.abdomen.settings import AbdomenSettings, BodyMotionSettings
from endoforge.scene.instruments.contact import cover, nearest
from endoforge.scene.motion import joined
from endoforge.scene.paths.aim import centres_of
from endoforge.scene.paths.plan import camera_path
from endoforge.scene.paths.room import Room
from endoforge.scene.paths.safety import check_clear
from endoforge.scene.paths.settings import InspectionSettings, LaparoscopeSettings, ViewsSettings
from endoforge.scene.records import Surface
from endoforge.scene.settings import TrajectorySettings
from endoforge.streams import stream
from scene.paths.rooms import theatre, tube

FRAMES = 16


def oracle(room: Room, points_mm: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Distance to the whole surface, put where it is at each point's frame."""
    found, spread = [], cover(room.surface)
    for point, frame in zip(points_mm, frames, strict=True):
        moved = spread.at(room.motion.vertices_at(int(frame)))
        found.append(nearest(moved, point[None]).distance_mm[0])
    return np.array(found)


@dataclass(frozen=True, eq=False)
class Swing:
    """Some vertices go to and fro and shrink a little on the way."""

    surface: Surface
    moving: np.ndarray
    way_mm: np.ndarray

    def vertices_at(self, frame: int) -> np.ndarray:
        turn = np.sin(0.8 * frame)
        middle = self.surface.vertices_mm[self.moving].mean(axis=0)
        own = middle + (1 - 0.2 * turn**2) * (self.surface.vertices_mm - middle)
        moved = np.where(self.moving[:, None], own + turn * self.way_mm, self.surface.vertices_mm)
        return moved.astype(np.float32)


def swinging(room: Room, instance: int, way_mm) -> Room:
    """The same room with one object that swings."""
    moving = np.zeros(len(room.surface.vertices_mm), bool)
    moving[room.surface.faces[room.surface.face_instance == instance]] = True
    motion = Swing(room.surface, moving, np.array(way_mm))
    return replace(room, motion=joined(room.surface.vertices_mm, [(motion, 0)]))


def test_distances_in_time_are_those_of_the_moved_surface():
    base = theatre()
    room = swinging(base, int(base.surface.face_instance.max()), (12.0, -5.0, 20.0))
    moving = room.motion.moving
    rng = np.random.default_rng(0)
    middle = room.surface.vertices_mm[moving].mean(axis=0)
    directions = rng.normal(size=(150, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = middle + rng.uniform(50.0, 100.0, (150, 1)) * directions
    frames = rng.integers(-1, FRAMES + 1, 150)
    kept = moving[room.surface.faces].any(axis=1)
    names = ("faces", "face_label", "face_instance")
    only = replace(room.surface, **{name: getattr(room.surface, name)[kept] for name in names})
    expected = oracle(replace(room, surface=only), points, frames)
    found = room.in_time(FRAMES).clear_of(points, frames, 15.0)
    near = np.abs(expected) <= 15.0  # what is deeper inside could not have come there
    assert 20 < near.sum() < 130 and (expected < 0).any()
    np.testing.assert_allclose(found[near], expected[near], atol=0.05)
    assert np.isinf(found[expected > 15.0]).all()


def test_a_camera_that_something_swings_into_is_refused_with_the_frame():
    base = theatre()
    room = swinging(base, int(base.surface.face_instance.max()), (0.0, 0.0, -60.0))
    moved = room.motion.vertices_at(2)[room.motion.moving]
    place = moved[moved[:, 2].argmin()] - np.array([0.0, 0.0, 3.0])
    positions = np.tile(place.astype(np.float64), (FRAMES + 2, 1))
    check_clear(positions, base, 2.0)
    with pytest.raises(SceneError, match=r"must keep 4 mm clear of tissue, but in frame \d+"):
        check_clear(positions, room, 4.0, moving=room.in_time(FRAMES))


@cache
def breathing(seed: int) -> Room:
    """A coarse abdomen that breathes deeply and fast."""
    motion = BodyMotionSettings(
        breath_mm=(18, 20), breaths_per_min=(40, 40), beat_mm=(4, 5), frames_per_s=20
    )
    settings = AbdomenSettings(resolution_mm=3.5, motion=motion)
    anatomy = build_abdomen(settings, np.random.default_rng(seed))
    return Room(anatomy.surface, None, anatomy.targets, anatomy.ports, anatomy.motion)


PATHS = {
    "laparoscope": LaparoscopeSettings(
        distance_mm=(20, 30), nearer=(0.5, 0.6), targets=("gallbladder",)
    ),
    "inspection": InspectionSettings(
        target="gallbladder", distance_mm=(22, 30), nearer=(0.9, 0.9), clearance_mm=10
    ),
    "views": ViewsSettings(target="gallbladder", distance_mm=(20, 50), hand_mm=(0.2, 0.5)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PATHS)
def test_over_all_frames_of_a_deforming_abdomen_the_camera_keeps_its_clearance(name):
    unaware = []
    for seed in (0, 1):
        room, how = breathing(seed), PATHS[name]
        frames = np.arange(FRAMES)
        for known in (room, replace(room, motion=None)):
            path = camera_path(how, known, stream(seed, "trajectory"), FRAMES)
            apart = oracle(room, centres_of(path.camera_from_world), frames)
            if known is room:
                assert apart.min() > how.clearance_mm - 0.1
            else:
                unaware.append(apart.min())
    if name != "inspection":  # there was something to give way to
        assert min(unaware) < PATHS[name].clearance_mm - 0.5


@pytest.mark.slow
def test_wall_hits_do_not_enter_a_wall_that_comes_nearer():
    base = tube()
    hits = TrajectorySettings(wall_hits=(8.0, 8.0), touch_mm=(2.0, 2.0))
    everything = np.ones(len(base.surface.vertices_mm), bool)
    motion = Swing(base.surface, everything, np.array([1.5, 0.0, 0.0]))
    room = replace(base, motion=motion)
    path = camera_path(hits, room, stream(0, "trajectory"), 120)
    eyes = centres_of(path.camera_from_world)
    calm = camera_path(TrajectorySettings(), room, stream(0, "trajectory"), 120)
    off = np.linalg.norm(eyes - centres_of(calm.camera_from_world), axis=1) > 3.0
    some = np.flatnonzero(off)[::4]
    assert len(some) > 3
    assert oracle(room, eyes[some], some).min() > 1.4

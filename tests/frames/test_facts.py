# SPDX-License-Identifier: Apache-2.0
"""Boxes, key points and tracks against the closed forms of a ball with a polyp."""

import numpy as np
import pytest

from endoforge.frames.facts import (
    Part,
    TrackedPoints,
    boxes_of,
    choose_vertices,
    keypoints_of,
    tracks_of,
)
from endoforge.geometry.cameras import PinholeCamera
from endoforge.geometry.poses import invert_pose, look_at
from frames.analytic import LABELS, WALL_RADIUS_MM, analytic_frame, sample_ball

FRAME = analytic_frame(1, 2)


def test_a_box_is_the_smallest_around_the_mask():
    label = np.zeros((8, 10), np.uint8)
    instance = np.zeros((8, 10), np.uint16)
    instance[2:5, 3:7] = 9
    label[2:5, 3:7] = 3
    instance[0, 9] = 2
    label[0, 9] = 1
    assert boxes_of(label, instance, LABELS) == [
        {"instance": 2, "label": 1, "class": "wall", "box_px": [9, 0, 1, 1], "area_px": 1},
        {"instance": 9, "label": 3, "class": "polyp", "box_px": [3, 2, 4, 3], "area_px": 12},
    ]


def test_a_frame_without_objects_has_no_boxes():
    assert boxes_of(np.ones((3, 4), np.uint8), np.zeros((3, 4), np.uint16), LABELS) == []


def test_the_polyp_s_centre_is_seen_as_part_of_the_polyp_and_not_of_another_object():
    ball = sample_ball(1)
    pose = np.eye(4)
    pose[:3, 3] = ball.polyp_centre_mm
    parts = [Part("polyp/centre", 1, pose), Part("other/centre", 2, pose)]
    facts = keypoints_of(
        parts, FRAME.camera, FRAME.camera_from_world, FRAME.depth_mm, FRAME.instance
    )
    assert [fact["visible"] for fact in facts] == [True, False]
    in_camera = FRAME.camera_from_world @ pose
    assert facts[0]["depth_mm"] == pytest.approx(in_camera[2, 3], abs=1e-4)
    np.testing.assert_allclose(facts[0]["camera_from_part"], in_camera, atol=1e-8)
    np.testing.assert_allclose(
        facts[0]["pixel_px"], FRAME.camera.project(in_camera[:3, 3]), atol=1e-4
    )


def test_a_part_behind_the_camera_has_no_pixel():
    behind = invert_pose(FRAME.camera_from_world) @ np.array(
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -5.0], [0, 0, 0, 1]]
    )
    fact = keypoints_of(
        [Part("a", 0, behind)],
        FRAME.camera,
        FRAME.camera_from_world,
        FRAME.depth_mm,
        FRAME.instance,
    )[0]
    assert fact["pixel_px"] is None
    assert not fact["visible"]


def wall_points(count: int) -> np.ndarray:
    direction = np.random.default_rng(0).normal(size=(count, 3))
    return WALL_RADIUS_MM * direction / np.linalg.norm(direction, axis=1)[:, None]


def tracked(points: np.ndarray) -> TrackedPoints:
    return TrackedPoints(np.arange(len(points)), points, points, np.zeros(len(points), np.uint8))


def test_a_point_of_the_wall_is_seen_unless_the_polyp_hides_it():
    points = wall_points(4000)
    facts = tracks_of(tracked(points), FRAME.camera, FRAME.camera_from_world, FRAME.depth_mm)
    there = points @ FRAME.camera_from_world[:3, :3].T + FRAME.camera_from_world[:3, 3]
    counted = 0
    for fact, point in zip(facts, there, strict=True):
        if fact["pixel_px"] is None:
            assert not fact["visible"]
            continue
        u, v = np.floor(fact["pixel_px"]).astype(int)
        if not (0 <= u < 64 and 0 <= v < 48 and FRAME.valid[v, u]):
            assert not fact["visible"]
            continue
        around = FRAME.instance[max(v - 1, 0) : v + 2, max(u - 1, 0) : u + 2]
        if len(np.unique(around)) == 1:  # not at the polyp's rim
            counted += 1
            assert fact["visible"] == (around[0, 0] == 0)
            assert fact["depth_mm"] == pytest.approx(point[2], abs=1e-4)
    assert counted > 500


def test_chosen_vertices_are_seen():
    points = wall_points(4000)
    chosen = choose_vertices(
        points, FRAME.camera, [FRAME.camera_from_world], 50, np.random.default_rng(1)
    )
    assert len(np.unique(chosen)) == 50
    facts = tracks_of(
        tracked(points[chosen]), FRAME.camera, FRAME.camera_from_world, FRAME.depth_mm
    )
    assert sum(fact["visible"] for fact in facts) > 30


def test_fewer_vertices_come_back_when_fewer_are_in_view():
    camera = PinholeCamera.from_field_of_view(32, 32, 60.0)
    pose = look_at(np.zeros(3), np.array([0.0, 0, 1]), np.array([0.0, -1, 0]))
    points = np.array([[0, 0, 5.0], [0, 0, 9.0], [0, 0, -5.0], [50.0, 0, 5.0]])
    chosen = choose_vertices(points, camera, [pose], 3, np.random.default_rng(0))
    assert chosen.tolist() == [0]
    assert len(choose_vertices(points, camera, [], 3, np.random.default_rng(0))) == 0

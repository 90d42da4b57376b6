# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from endoforge.scene.instruments.build import build_tool
from endoforge.scene.instruments.clearance import Clearing, Probe, feelers_of
from endoforge.scene.instruments.contact import nearest, touchable
from endoforge.scene.instruments.kinematics import RemoteCentre, part_poses, world_from_tool
from endoforge.scene.instruments.moving import moving_tissue
from endoforge.scene.instruments.workspace import local_tissue
from scene.instruments.workplaces import egg


@pytest.fixture(scope="module")
def work():
    return egg(breathing=True)


@pytest.fixture
def probe(work):
    tissue = local_tissue(work, np.full(3, -100.0), np.full(3, 100.0))
    feelers = feelers_of(build_tool("hook"))
    counted = np.ones((work.frames + 2, len(feelers.part)), dtype=bool)
    port = work.ports[0].point_mm
    return Probe(moving_tissue(tissue), Clearing(feelers, counted, port, 25.0, 0.5, work.free))


def poses_of(work, rng: np.random.Generator, count: int) -> np.ndarray:
    """A hook through the right port, somewhere about the egg."""
    still = part_poses(build_tool("hook"), {})
    found = []
    for _ in range(count):
        aside, turn = rng.uniform(-0.25, 0.25, 2), rng.uniform(-3, 3)
        centre = RemoteCentre(*aside.tolist(), float(turn), float(rng.uniform(60, 110)))
        found.append(world_from_tool(work.ports[0], centre) @ still)
    return np.stack(found)


def deepest(work, probe: Probe, row: int, poses: np.ndarray) -> float:
    """Every point against the whole surface of its frame."""
    tissue = touchable(replace(work.surface, vertices_mm=work.motion.vertices_at(row - 1)))
    points = probe.clearing.feelers.at(poses)
    inside = (points - probe.clearing.pivot_mm) @ poses[0, :3, 2] > probe.clearing.around_mm
    return float(-nearest(tissue, points[inside]).distance_mm.min())


def test_the_deepest_point_is_that_of_all_points_however_often_it_is_asked(work, probe):
    """The probe leaves out most points, by what it remembers from earlier questions."""
    rng = np.random.default_rng(0)
    rows = np.array([0, 3, 7, 12])
    for _ in range(6):
        poses = poses_of(work, rng, len(rows))
        found = probe.contact(rows, poses).depth_mm
        sought = [
            deepest(work, probe, int(row), pose) for row, pose in zip(rows, poses, strict=True)
        ]
        assert found == pytest.approx(np.maximum(sought, 0.0), abs=1e-6)
        step = np.eye(4)
        step[:3, 3] = rng.normal(0, 0.4, 3)  # a little further, where memory serves
        near = probe.contact(rows, step @ poses).depth_mm
        sought = [deepest(work, probe, int(r), step @ p) for r, p in zip(rows, poses, strict=True)]
        assert near == pytest.approx(np.maximum(sought, 0.0), abs=1e-6)


def test_a_floor_and_enough_spare_questions_but_not_the_answer(work, probe):
    rng = np.random.default_rng(1)
    rows = np.arange(8)
    poses = poses_of(work, rng, len(rows))
    exact = probe.contact(rows, poses).depth_mm
    assert exact.max() > 1.0
    above = probe.contact(rows, poses, 0.3).depth_mm
    assert above[exact > 0.3] == pytest.approx(exact[exact > 0.3])
    some = probe.contact(rows, poses, 0.3, 0.3).depth_mm
    assert ((some > 0.3) == (exact > 0.3)).all()


def test_the_room_of_the_ports_is_free_and_the_inside_of_an_organ_is_not(work):
    points = np.array([[0.0, 45.0, 0.0], [0.0, 0.0, 0.0], [38.0, 0.0, 0.0], [60.0, -40.0, 0.0]])
    assert work.free(points).tolist() == [True, False, False, True]


def test_far_beyond_a_sharp_edge_the_room_decides_what_is_inside(work, probe):
    """If the room is said to be free everywhere, nothing more than a little deep is believed."""
    poses = poses_of(work, np.random.default_rng(1), 8)
    exact = probe.contact(np.arange(8), poses).depth_mm
    everywhere = replace(probe.clearing, free=lambda points: np.ones(len(points), dtype=bool))
    tissue = moving_tissue(local_tissue(work, np.full(3, -100.0), np.full(3, 100.0)))
    believed = Probe(tissue, everywhere).contact(np.arange(8), poses).depth_mm
    assert exact.max() > 4.0 >= believed.max()

# SPDX-License-Identifier: Apache-2.0
from xml.etree import ElementTree

import numpy as np
import pytest

from endoforge.evaluation.report.path_plot import Path3D, path_plots
from endoforge.geometry.poses import look_at


def helix(frames: int) -> Path3D:
    t = np.linspace(0, 4, frames)
    centres = np.stack([20 * np.cos(t), 20 * np.sin(t), 15 * t], -1)
    ahead = np.stack([20 * np.cos(t + 0.1), 20 * np.sin(t + 0.1), 15 * (t + 0.1)], -1)
    poses = [look_at(c, a, np.array([0, 0, 1.0])) for c, a in zip(centres, ahead, strict=True)]
    wall = np.random.default_rng(0).normal(0, 30, (500, 3))
    return Path3D.from_poses(np.stack(poses), wall)


def test_positions_and_views_are_read_off_the_poses():
    path = helix(30)
    assert np.allclose(path.positions_mm[0], [20, 0, 0])
    assert np.allclose(np.linalg.norm(path.views, axis=1), 1)
    forward = np.diff(path.positions_mm, axis=0)
    assert ((forward * path.views[:-1]).sum(axis=1) > 0).all()
    assert path.length_mm == pytest.approx(4 * 25, rel=0.01)


@pytest.mark.parametrize("frames", [1, 2, 30, 300])
def test_both_views_are_well_formed_and_stay_inside_their_frame(frames):
    for view in path_plots(helix(frames), "path"):
        root = ElementTree.fromstring(view)
        for circle in root.iter("circle"):
            assert 0 <= float(circle.attrib["cx"]) <= 560
            assert 0 <= float(circle.attrib["cy"]) <= 420
        assert "nan" not in view


def test_a_path_without_wall_is_drawn_too():
    path = helix(20)
    assert path_plots(Path3D(path.positions_mm, path.views, np.zeros((0, 3))), "path")

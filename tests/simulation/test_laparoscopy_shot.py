# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.spatial import cKDTree

from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.sequence import prepare_shot

FEW = ("frames=24", "sequence_frames=8", "anatomy.resolution_mm=4", "randomise.anatomies=1")


def rod_distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """From each point to a segment, by sampling it every half millimetre."""
    share = np.linspace(0, 1, int(2 * np.linalg.norm(end - start)))[:, None]
    return cKDTree(start + share * (end - start)).query(points)[0]


@pytest.mark.parametrize("sequence", range(2))
@pytest.mark.parametrize("recipe", ["cholecystectomy", "laparoscopy"])
def test_tools_pass_neither_through_each_other_nor_through_the_scope(recipe, sequence):
    """Measured between all vertices of the tools, and to a scope 10 mm thick behind its lens."""
    shot = prepare_shot(load_recipe(recipe, {"seed": 3}, FEW), sequence)
    for frame in range(8):
        one, two = (tool.motion.vertices_at(frame) for tool in shot.tools)
        assert cKDTree(one).query(two)[0].min() > 0.3
        if shot.path.world_from_shaft is None:
            pose = shot.path.camera_from_world[frame]
            lens = -pose[:3, :3].T @ pose[:3, 3]
            gap = cKDTree(np.concatenate([one, two])).query(lens)[0]
            assert gap > 2.0
            continue
        lens, out = (
            shot.path.world_from_shaft[frame, :3, 3],
            shot.path.world_from_shaft[frame, :3, 2],
        )
        for tool, vertices in zip(shot.tools, (one, two), strict=True):
            port = np.array(tool.facts["port_mm"])
            shaft = tool.motion.world_from_rest[frame + 1, 0, :3, 2]
            inside = vertices[(vertices - port) @ shaft > 0]
            assert rod_distance(inside, lens - 200 * out, lens - 5 * out).min() > 4.5

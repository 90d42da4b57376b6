# SPDX-License-Identifier: Apache-2.0
"""Paths re-read by evo, the public tool of visual odometry."""

import numpy as np
from evo.tools import file_interface
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from endoforge.frames.exports.export import export_dataset
from endoforge.frames.exports.poses import quaternion
from endoforge.geometry.poses import invert_pose


def poses_m(dataset, sequence: int) -> np.ndarray:
    """world_from_camera of a sequence's frames, metres."""
    poses = np.stack(
        [invert_pose(dataset.frame(3 * sequence + k).camera_from_world) for k in range(3)]
    )
    poses[:, :3, 3] /= 1000
    return poses


def test_evo_reads_the_tum_files(folder, dataset, tmp_path):
    out = export_dataset(folder, "tum", tmp_path / "out").out
    for sequence in (0, 1):
        path = file_interface.read_tum_trajectory_file(str(out / f"{sequence:06d}.txt"))
        assert path.check()[0]
        np.testing.assert_allclose(path.timestamps, [0, 1, 2])
        np.testing.assert_allclose(np.stack(path.poses_se3), poses_m(dataset, sequence), atol=1e-9)


def test_evo_reads_the_kitti_files(folder, dataset, tmp_path):
    out = export_dataset(folder, "kitti", tmp_path / "out").out
    for sequence in (0, 1):
        path = file_interface.read_kitti_poses_file(str(out / f"{sequence:06d}.txt"))
        assert path.check()[0]
        np.testing.assert_allclose(np.stack(path.poses_se3), poses_m(dataset, sequence), atol=1e-9)


@given(turn=st.tuples(*[st.floats(-3.0, 3.0)] * 3))
def test_quaternions_are_those_of_scipy(turn):
    rotation = Rotation.from_rotvec(turn)
    ours, theirs = quaternion(rotation.as_matrix()), rotation.as_quat()
    assert np.allclose(ours, theirs, atol=1e-7) or np.allclose(ours, -theirs, atol=1e-7)

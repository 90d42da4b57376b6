# SPDX-License-Identifier: Apache-2.0
"""Camera paths as the text files of TUM and KITTI: world_from_camera, metres.

Source:
    Sturm et al., *A benchmark for the evaluation of RGB-D SLAM systems*, IROS 2012 (TUM); Geiger
    et al., *Are we ready for autonomous driving?*, CVPR 2012 (KITTI odometry).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from endoforge.frames.dataset import Dataset
from endoforge.frames.encoding import key_of
from endoforge.frames.exports.folder import sequences
from endoforge.geometry.poses import invert_pose, vector_from_rotation

Tick = Callable[[], None]

_METRES = 1e-3


def write_tum(dataset: Dataset, folder: Path, tick: Tick) -> None:
    """Write ``000003.txt`` per sequence: time, place and quaternion (x y z w) of each frame.

    Simulated frames have no clock; their number stands for the time.

    Raises:
        DataError: A shard is missing, cut or changed.
    """
    for sequence, poses in _paths(dataset, tick):
        lines = ["# timestamp tx ty tz qx qy qz qw"]
        for index, pose in poses:
            numbers = [*pose[:3, 3], *quaternion(pose[:3, :3])]
            lines.append(" ".join([f"{index:.6f}", *(f"{value:.12g}" for value in numbers)]))
        (folder / f"{key_of(sequence)}.txt").write_text("\n".join(lines) + "\n")


def write_kitti(dataset: Dataset, folder: Path, tick: Tick) -> None:
    """Write ``000003.txt`` per sequence: the upper three rows of each frame's pose in one line.

    Raises:
        DataError: A shard is missing, cut or changed.
    """
    for sequence, poses in _paths(dataset, tick):
        lines = [" ".join(f"{value:.12g}" for value in pose[:3].ravel()) for _, pose in poses]
        (folder / f"{key_of(sequence)}.txt").write_text("\n".join(lines) + "\n")


def quaternion(rotation: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "4"]:
    """Unit quaternion x, y, z, w of a rotation."""
    vector = vector_from_rotation(rotation)
    half = float(np.linalg.norm(vector)) / 2
    return np.array([*(vector / 2 * np.sinc(half / np.pi)), np.cos(half)])


def _paths(dataset: Dataset, tick: Tick) -> Iterator[tuple[int, list[tuple[int, np.ndarray]]]]:
    """Yield each sequence's frame numbers and world_from_camera, translations in metres."""
    for sequence, shard, kept in sequences(dataset):
        poses = []
        for position in kept:
            pose = invert_pose(shard.facts(position)["camera_from_world"])
            pose[:3, 3] *= _METRES
            poses.append((position, pose))
            tick()
        yield sequence, poses

# SPDX-License-Identifier: Apache-2.0
"""Recorded camera paths: files in TUM's and KITTI's formats, resampled and put into an anatomy."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64

from endoforge.distributions import draw
from endoforge.errors import DataError
from endoforge.geometry.poses import interpolate, invert_pose
from endoforge.scene.paths.aim import centres_of
from endoforge.scene.paths.room import Room
from endoforge.scene.paths.safety import check_clear
from endoforge.scene.paths.settings import RecordedSettings

_MOST_BYTES = 200_000_000
_ROUGH = 1e-3  # files hold few digits; rotations off by more are refused
_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
_LAYOUT = {
    "tum": (8, "timestamp tx ty tz qx qy qz qw"),
    "kitti": (12, "the three rows of world_from_camera"),
}


@dataclass(frozen=True, eq=False)
class Recording:
    """A camera path as a file holds it.

    Attributes:
        camera_from_world: One pose per line, mm, in the recording's own world.
        time_s: When each was taken, increasing; None where the file does not say.
    """

    camera_from_world: Float64[np.ndarray, "poses 4 4"]
    time_s: Float64[np.ndarray, "poses"] | None


def follow_recording(
    room: Room,
    settings: RecordedSettings,
    rng: np.random.Generator,
    frames: int,
    first: Float64[np.ndarray, "4 4"] | None = None,
) -> Float64[np.ndarray, "poses 4 4"]:
    """Follow a path from a file.

    Args:
        room: The anatomy.
        settings: The file and how to read it.
        rng: Random numbers: where in the file the sequence begins, and the scale.
        frames: Number of frames.
        first: camera_from_world at which the path is to begin; None leaves it where the file says.

    Returns:
        camera_from_world of frame -1, of each frame, and of the one after the last.

    Raises:
        DataError: The file is damaged, or holds too few poses.
        SceneError: The path leads through tissue or out of the lumen.
    """
    recording = read_recording(settings.file, settings.format, settings.unit)
    recording = scaled(recording, draw(settings.scale, rng))
    poses = resampled(recording, settings.frames_per_s)
    spare = len(poses) - (frames + 2)
    if spare < 0:
        raise DataError(
            f"{settings.file} gives {len(poses)} poses, but {frames} frames need {frames + 2}; "
            "lower sequence_frames or raise trajectory.frames_per_s"
        )
    begin = round(draw(settings.start, rng) * spare)
    poses = poses[begin : begin + frames + 2]
    if first is not None:
        poses = poses @ invert_pose(poses[0]) @ first
    least = settings.clearance_mm
    check_clear(centres_of(poses), room, least, "the recorded camera", room.in_time(frames))
    return poses


def read_recording(
    path: Path, form: Literal["tum", "kitti"], unit: Literal["mm", "cm", "m"]
) -> Recording:
    """Read a trajectory file; lines that begin with # are comments.

    Args:
        path: The file.
        form: ``"tum"`` (timestamp, translation, quaternion x y z w) or ``"kitti"`` (3 x 4 matrices,
            row by row); both hold world_from_camera.
        unit: Of its translations.

    Raises:
        DataError: Names the file, the line, and what is wrong there.
    """
    rows = _rows(path, *_LAYOUT[form])
    if form == "kitti":
        world_from_camera = np.tile(np.eye(4), (len(rows), 1, 1))
        world_from_camera[:, :3] = rows.reshape(-1, 3, 4)
        world_from_camera[:, :3, :3] = _rotations(path, world_from_camera[:, :3, :3])
        time = None
    else:
        world_from_camera, time = _from_tum(path, rows)
    world_from_camera[:, :3, 3] *= _MM[unit]
    return Recording(invert_pose(world_from_camera), time)


def scaled(recording: Recording, scale: float) -> Recording:
    """The same path in a world that is larger by a factor."""
    poses = recording.camera_from_world.copy()
    poses[:, :3, 3] *= scale
    return Recording(poses, recording.time_s)


def resampled(recording: Recording, frames_per_s: float | None) -> Float64[np.ndarray, "poses 4 4"]:
    """Poses at even times; between two of the file's, places and turns are interpolated.

    Args:
        recording: The path.
        frames_per_s: Poses per second; None gives the file's own.

    Raises:
        DataError: A rate is asked for, but the file has no times.
    """
    if frames_per_s is None:
        return recording.camera_from_world
    time, poses = recording.time_s, recording.camera_from_world
    if time is None:
        raise DataError(
            "a KITTI file has no times to resample by; leave trajectory.frames_per_s out, got "
            f"{frames_per_s:g}"
        )
    count = math.floor((time[-1] - time[0]) * frames_per_s + 1e-6) + 1
    at = np.minimum(time[0] + np.arange(count) / frames_per_s, time[-1])
    after = np.clip(np.searchsorted(time, at, side="right"), 1, len(time) - 1)
    share = (at - time[after - 1]) / (time[after] - time[after - 1])
    return np.stack(
        [interpolate(poses[k - 1], poses[k], float(s)) for k, s in zip(after, share, strict=True)]
    )


def _rows(path: Path, count: int, meaning: str) -> Float64[np.ndarray, "lines numbers"]:
    """The numbers of each line."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} has over {_MOST_BYTES:,} bytes; expected a trajectory")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the trajectory {path}: {error}") from None
    rows = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) != count or not all(map(math.isfinite, values)):
            raise DataError(
                f"line {number} of {path} must hold {count} numbers ({meaning}), got {line!r:.80}"
            )
        rows.append(values)
    if len(rows) < 2:
        raise DataError(f"{path} must hold at least 2 poses, got {len(rows)}")
    return np.array(rows)


def _from_tum(
    path: Path, rows: Float64[np.ndarray, "lines 8"]
) -> tuple[Float64[np.ndarray, "lines 4 4"], Float64[np.ndarray, "lines"]]:
    """world_from_camera and times of TUM's lines."""
    length = np.linalg.norm(rows[:, 4:], axis=1)
    if (worst := int(np.abs(length - 1).argmax())) >= 0 and abs(length[worst] - 1) > 10 * _ROUGH:
        raise DataError(
            f"pose {worst} of {path} must have a quaternion of length 1, got {length[worst]:.4g}; "
            "expected the order qx qy qz qw"
        )
    steps = np.diff(rows[:, 0])
    if (steps <= 0).any():
        late = int(np.argmax(steps <= 0)) + 1
        raise DataError(
            f"timestamps of {path} must increase, but pose {late} is at {rows[late, 0]:.6f} s, "
            f"{-steps[late - 1]:.6f} s before the one above it"
        )
    x, y, z, w = (rows[:, 4:] / length[:, None]).T
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, 0, :3] = np.stack(
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], 1
    )
    poses[:, 1, :3] = np.stack(
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], 1
    )
    poses[:, 2, :3] = np.stack(
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], 1
    )
    poses[:, :3, 3] = rows[:, 1:4]
    return poses, rows[:, 0]


def _rotations(
    path: Path, matrices: Float64[np.ndarray, "poses 3 3"]
) -> Float64[np.ndarray, "poses 3 3"]:
    """The rotations nearest to matrices that were written with few digits."""
    u, _, v = np.linalg.svd(matrices)
    nearest = u @ v
    off = np.abs(nearest - matrices).max(axis=(1, 2))
    worst = int(off.argmax())
    if off[worst] > _ROUGH or np.linalg.det(nearest).min() < 0:
        bad = worst if off[worst] > _ROUGH else int(np.linalg.det(nearest).argmin())
        raise DataError(
            f"pose {bad} of {path} must hold a rotation in its first three columns, got "
            f"{matrices[bad].round(4).tolist()}"
        )
    return np.asarray(nearest, dtype=np.float64)

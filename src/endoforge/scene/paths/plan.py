# SPDX-License-Identifier: Apache-2.0
"""From path settings to poses: one door to every kind of camera path."""

from dataclasses import dataclass
from typing import assert_never

import numpy as np
from jaxtyping import Float64

from endoforge.scene.paths.aim import centres_of
from endoforge.scene.paths.inspection import inspect
from endoforge.scene.paths.laparoscope import move_laparoscope
from endoforge.scene.paths.orbit import orbit
from endoforge.scene.paths.recorded import follow_recording
from endoforge.scene.paths.room import Room
from endoforge.scene.paths.safety import check_clear
from endoforge.scene.paths.settings import (
    InspectionSettings,
    LaparoscopeSettings,
    OrbitSettings,
    RecordedSettings,
    ViewsSettings,
)
from endoforge.scene.paths.views import scatter_views
from endoforge.scene.paths.wall_hits import sample_hits, with_hits
from endoforge.scene.settings import TrajectorySettings
from endoforge.scene.trajectory import fly_through
from endoforge.scene.volume.walls import VolumeTissue

AnyPath = (
    TrajectorySettings
    | InspectionSettings
    | LaparoscopeSettings
    | RecordedSettings
    | ViewsSettings
    | OrbitSettings
)


@dataclass(frozen=True, eq=False)
class CameraPath:
    """Where the camera is at every frame, and one moment before and after it.

    Attributes:
        moments: camera_from_world of the moment before each frame, of the frame, and of the moment
            after it.
        continuous: The moment after a frame is the next frame. False for unordered views.
        world_from_shaft: Pose of a laparoscope's shaft at each frame: origin at the lens, z along
            the shaft away from the port, y towards the light post; None for other paths.
    """

    moments: Float64[np.ndarray, "frames 3 4 4"]
    continuous: bool = True
    world_from_shaft: Float64[np.ndarray, "frames 4 4"] | None = None

    @property
    def camera_from_world(self) -> Float64[np.ndarray, "frames 4 4"]:
        """The frames' own poses."""
        return self.moments[:, 1]


def camera_path(settings: AnyPath, room: Room, rng: np.random.Generator, frames: int) -> CameraPath:
    """Draw a camera path of any kind.

    Args:
        settings: What kind, and how it moves.
        room: The anatomy, and how it moves.
        rng: Random numbers of this one path.
        frames: Number of frames.

    Raises:
        SceneError: The anatomy lacks what the path needs, or leaves it no room.
        DataError: A recorded path's file is damaged or too short.
    """
    match settings:
        case TrajectorySettings():
            return along(_tube(settings, room, rng, frames))
        case InspectionSettings():
            return along(inspect(room, settings, rng, frames))
        case LaparoscopeSettings():
            motion = move_laparoscope(room, settings, rng, frames)
            return along(motion.poses, motion.world_from_shaft)
        case RecordedSettings():
            first = _first_pose(room, rng) if settings.place == "start" else None
            return along(follow_recording(room, settings, rng, frames, first))
        case ViewsSettings():
            return CameraPath(scatter_views(room, settings, rng, frames), continuous=False)
        case OrbitSettings():
            return along(orbit(room, settings, rng, frames))
        case _:
            assert_never(settings)


def along(
    poses: Float64[np.ndarray, "poses 4 4"],
    world_from_shaft: Float64[np.ndarray, "poses 4 4"] | None = None,
) -> CameraPath:
    """A path of frames that follow each other.

    Args:
        poses: camera_from_world of frame -1, of each frame, and of the one after the last.
        world_from_shaft: A laparoscope's shaft at the same times.
    """
    moments = np.stack([poses[:-2], poses[1:-1], poses[2:]], axis=1)
    shaft = None if world_from_shaft is None else world_from_shaft[1:-1]
    return CameraPath(moments, world_from_shaft=shaft)


def _tube(
    settings: TrajectorySettings, room: Room, rng: np.random.Generator, frames: int
) -> Float64[np.ndarray, "poses 4 4"]:
    """A fly-through with its contacts with the wall."""
    poses = fly_through(room.lumen(), settings, rng, frames + 1)
    if isinstance(room.surface, VolumeTissue):
        check_clear(centres_of(poses), room, settings.clearance_mm)
    if settings.wall_hits == (0.0, 0.0):
        return poses
    hits = sample_hits(settings, rng, len(poses))
    return with_hits(poses, hits, room.tissue, room.in_time(frames))


def _first_pose(room: Room, rng: np.random.Generator) -> Float64[np.ndarray, "4 4"]:
    """Where a path would begin: in the lumen, else through the first port, else at a target."""
    if room.centreline is not None:
        return np.asarray(fly_through(room.centreline, TrajectorySettings(), rng, 1)[0])
    if room.ports:
        named = LaparoscopeSettings(
            port=room.ports[0].name, targets=tuple(target.name for target in room.targets)
        )
        return np.asarray(move_laparoscope(room, named, rng, 1).poses[0])
    return np.asarray(inspect(room, InspectionSettings(), rng, 1)[0])

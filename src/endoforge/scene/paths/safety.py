# SPDX-License-Identifier: Apache-2.0
"""Keeps cameras out of tissue: signed distances, how far a camera may go, refusals."""

import numpy as np
from jaxtyping import Float, Float64
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from endoforge.errors import SceneError
from endoforge.scene.instruments.contact import nearest
from endoforge.scene.paths.in_time import InTime
from endoforge.scene.paths.room import Room, Tissue
from endoforge.scene.volume.walls import VolumeTissue

#: Nothing moves.
STILL = InTime()

_STEPS = 80
_CLOSE_MM = 0.02
_ROUNDING_MM = 0.05
_BLOCK = 512  # points asked for at once, so that memory stays small


def clear_of(
    points_mm: Float[np.ndarray, "points 3"], tissue: Tissue
) -> Float64[np.ndarray, "points"]:
    """Distance from each point to the nearest tissue, mm; below 0 inside it or behind a wall."""
    points = np.asarray(points_mm, dtype=np.float64)
    if isinstance(tissue, VolumeTissue):
        return tissue.distance(points)
    blocks = [points[k : k + _BLOCK] for k in range(0, len(points), _BLOCK)]
    found = [nearest(tissue, block).distance_mm for block in blocks]
    return np.concatenate(found) if found else np.zeros(0)


def free_way(
    tissue: Tissue,
    start_mm: Float64[np.ndarray, "rays 3"],
    direction: Float64[np.ndarray, "rays 3"],
    longest_mm: Float64[np.ndarray, "rays"],
    clearance_mm: float,
) -> Float64[np.ndarray, "rays"]:
    """How far a ball of the clearance's radius can travel from each start along each direction.

    Args:
        tissue: What blocks it.
        start_mm: World points, mm; a start that is not clear gives 0.
        direction: Unit directions in the world.
        longest_mm: Where to stop looking, mm.
        clearance_mm: Radius of the ball, mm.

    Source:
        Hart, *Sphere tracing*, The Visual Computer 12 (1996).
    """
    way = np.zeros(len(start_mm))
    going = np.ones(len(start_mm), dtype=bool)
    for _ in range(_STEPS):
        where = np.flatnonzero(going)
        if not len(where):
            break
        room = clear_of(start_mm[where] + way[where, None] * direction[where], tissue)
        step = room - clearance_mm
        way[where] = np.minimum(way[where] + np.maximum(step, 0.0), longest_mm[where])
        going[where] = (step > _CLOSE_MM) & (way[where] < longest_mm[where])
    return way


def smooth_below(
    values: Float64[np.ndarray, "frames"], width: float
) -> Float64[np.ndarray, "frames"]:
    """A smooth curve that nowhere exceeds the values.

    Args:
        values: One per frame.
        width: Standard deviation of the smoothing, frames.
    """
    reach = int(np.ceil(3 * width))
    lowest = minimum_filter1d(values, 2 * reach + 1, mode="nearest")
    smoothed = gaussian_filter1d(lowest, width, mode="nearest", radius=reach)
    return np.asarray(np.minimum(smoothed, values), dtype=np.float64)


def check_clear(
    positions_mm: Float64[np.ndarray, "frames 3"],
    room: Room,
    least_mm: float,
    what: str = "the camera",
    moving: InTime = STILL,
) -> None:
    """Refuse positions too near to tissue, inside it, or outside the lumen.

    What moves has to keep away at rest too, where no frame may show it.

    Args:
        positions_mm: Camera centres of frames -1, 0, …, world mm.
        room: The anatomy.
        least_mm: Distance to keep, mm.
        what: What stands there, for the message.
        moving: What moves in the room.

    Raises:
        SceneError: Names a frame, its place, and what to change.
    """
    apart = np.abs(clear_of(positions_mm, room.tissue))
    lost = ~room.holds(positions_mm)
    if lost.any():
        frame = int(lost.argmax())
        place = np.round(positions_mm[frame], 1).tolist()
        raise SceneError(
            f"{what} must stay in the free room, but in frame {frame - 1}, at {place} mm, it is "
            f"{_where(room)}, {apart[frame]:.1f} mm from the surface; choose "
            "another start, target or scale"
        )
    frames = np.arange(len(positions_mm)) - 1
    apart = np.minimum(apart, moving.clear_of(positions_mm, frames, least_mm))
    worst = int(apart.argmin())
    if apart[worst] < least_mm - _ROUNDING_MM:
        place = np.round(positions_mm[worst], 1).tolist()
        raise SceneError(
            f"{what} must keep {least_mm:g} mm clear of tissue, but in frame {worst - 1}, at "
            f"{place} mm, it comes as near as {apart[worst]:.2f} mm; lower the clearance or choose "
            "another path"
        )


def _where(room: Room) -> str:
    """What a lost camera is in."""
    if isinstance(room.surface, VolumeTissue):
        return "in tissue or in another gas of the CT"
    return "inside an organ or outside the lumen"

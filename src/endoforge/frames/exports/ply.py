# SPDX-License-Identifier: Apache-2.0
"""Each sequence as one coloured point cloud, fused from the depth of all its frames."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from endoforge.errors import DataError
from endoforge.frames.check_flow import still_pixels
from endoforge.frames.dataset import Dataset
from endoforge.frames.encoding import key_of
from endoforge.frames.exports.folder import sequences
from endoforge.frames.frame import Frame
from endoforge.geometry.depth import points_from_depth
from endoforge.geometry.poses import invert_pose, transform_points

Tick = Callable[[], None]

#: Points closer together than this become one, mm; own choice.
CELL_MM = 0.5

#: Pixels of each frame that are used at most; own choice.
PIXELS_PER_FRAME = 40_000

#: One point of the file: world frame, mm; the class is that of the pixel seen last.
POINT = np.dtype(
    [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
    + [(name, "u1") for name in ("red", "green", "blue", "label")]
)

_MERGE_AT_ROWS = 2_000_000
_BITS = 21  # per axis of a cell's number: 2097152 cells, a kilometre
_LABEL, _COUNT = 9, 10  # columns after place, normal and colour


def write_clouds(dataset: Dataset, folder: Path, tick: Tick) -> None:
    """Write ``000003.ply`` per sequence: world frame, mm, with normals, colours and classes.

    Tissue that moves by itself is left out: it has no one place.

    Raises:
        DataError: A shard is missing, cut or changed, or nothing in a sequence stands still.
    """
    for sequence, shard, kept in sequences(dataset):
        cells = Cells()
        for position in kept:
            cells.add(shard.frame(position))
            tick()
        points = cells.points()
        if not len(points):
            raise DataError(
                f"sequence {sequence} must show tissue that stands still to become one cloud, got "
                "none; simulate it without motion, or export depth with --format png or exr"
            )
        (folder / f"{key_of(sequence)}.ply").write_bytes(_header(len(points)) + points.tobytes())


class Cells:
    """Sums of what the frames saw in each cell of a grid; memory grows with the surface seen."""

    def __init__(self) -> None:
        """Begin without points."""
        self._keys: list[Int64[np.ndarray, "rows"]] = []
        self._rows: list[Float64[np.ndarray, "rows 11"]] = []

    def add(self, frame: Frame) -> None:
        """Add the still pixels of a frame."""
        rows = rows_of(frame)
        keys, rows = _merged(_cell_numbers(rows[:, :3]), rows)
        self._keys.append(keys)
        self._rows.append(rows)
        if sum(map(len, self._keys)) > _MERGE_AT_ROWS:
            self._merge()

    def points(self) -> np.ndarray:
        """One point per cell: the mean of place, normal and colour."""
        self._merge()
        rows = self._rows[0]
        mean = rows[:, :_LABEL] / rows[:, _COUNT:]
        length = np.maximum(np.linalg.norm(mean[:, 3:6], axis=1), 1e-9)
        points = np.zeros(len(mean), POINT)
        for axis, name in enumerate(("x", "y", "z")):
            points[name] = mean[:, axis]
            points[f"n{name}"] = mean[:, 3 + axis] / length
        for channel, name in enumerate(("red", "green", "blue")):
            points[name] = np.rint(mean[:, 6 + channel])
        points["label"] = rows[:, _LABEL]
        return points

    def _merge(self) -> None:
        keys, rows = _merged(np.concatenate(self._keys), np.concatenate(self._rows))
        self._keys, self._rows = [keys], [rows]


def rows_of(frame: Frame) -> Float64[np.ndarray, "rows 11"]:
    """World place (mm), normal, colour, class and 1 of a frame's still pixels, evenly thinned."""
    step = max(1, math.ceil(math.sqrt(frame.valid.size / PIXELS_PER_FRAME)))
    thin = (slice(None, None, step), slice(None, None, step))
    seen = still_pixels(frame)[thin]
    points = points_from_depth(frame.depth_mm.astype(np.float64), frame.camera.rays())[thin][seen]
    world_from_camera = invert_pose(frame.camera_from_world)
    normals = frame.normal_camera[thin][seen] @ world_from_camera[:3, :3].T
    label = frame.label[thin][seen]
    return np.column_stack(
        [
            transform_points(world_from_camera, points),
            normals,
            frame.image[thin][seen],
            label,
            np.ones(len(label)),
        ]
    )


# ---- inside -------------------------------------------------------------------------------------


def _cell_numbers(points_mm: Float64[np.ndarray, "rows 3"]) -> Int64[np.ndarray, "rows"]:
    cells = np.floor(points_mm / CELL_MM).astype(np.int64) + (1 << (_BITS - 1))
    cells = np.clip(cells, 0, (1 << _BITS) - 1)
    return np.asarray((cells[:, 0] << 2 * _BITS) | (cells[:, 1] << _BITS) | cells[:, 2])


def _merged(
    keys: Int64[np.ndarray, "rows"], rows: Float64[np.ndarray, "rows 11"]
) -> tuple[Int64[np.ndarray, "cells"], Float64[np.ndarray, "cells 11"]]:
    """Sums of all rows with the same key; the class is that of the last one."""
    if len(keys) == 0:
        return keys, rows
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    last = np.concatenate([first[1:], [len(keys)]]) - 1
    sums = np.add.reduceat(rows, first, axis=0)
    sums[:, _LABEL] = rows[last, _LABEL]
    return keys[first], sums


def _header(count: int) -> bytes:
    kinds = {"f4": "float", "u1": "uchar"}
    properties = [f"property {kinds[POINT[n].str[1:]]} {n}" for n in POINT.names or ()]
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        "comment unit mm",
        "comment frame world",
        f"element vertex {count}",
        *properties,
        "end_header",
    ]
    return ("\n".join(lines) + "\n").encode("ascii")

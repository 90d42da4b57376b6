# SPDX-License-Identifier: Apache-2.0
"""The unrolled wall of a drawn colon as a grid, and the mesh that it becomes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from endoforge.scene.anatomy.caecum import APPENDIX_LABEL, Caecum, pit_rows, rim_share
from endoforge.scene.anatomy.curves import unit
from endoforge.scene.anatomy.folds import WallShape
from endoforge.scene.anatomy.route import Route
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.scene.anatomy.surfaces import fan_faces, grid_faces, vertex_normals
from endoforge.scene.records import Surface

WALL_LABEL, FOLD_LABEL = 1, 2

_WAVES = 26


@dataclass(frozen=True, eq=False)
class Waves:
    """Plane waves over the unrolled wall; their sum is its unevenness.

    Attributes:
        around: Periods in one turn about the axis, whole numbers.
        along: Angular frequency along the axis, rad/mm.
        phase: Radians.
    """

    around: Float64[np.ndarray, "waves"]
    along: Float64[np.ndarray, "waves"]
    phase: Float64[np.ndarray, "waves"]

    def at(
        self, way_mm: Float64[np.ndarray, "rows"], angle: Float64[np.ndarray, "columns"]
    ) -> Float64[np.ndarray, "rows columns"]:
        """Their sum on a grid, variance near 1."""
        row = self.along * way_mm[:, None] + self.phase
        column = self.around * angle[:, None]
        total = np.sin(row) @ np.cos(column).T + np.cos(row) @ np.sin(column).T
        return np.asarray(total * np.sqrt(2.0 / len(self.phase)), dtype=np.float64)


def sample_waves(rng: np.random.Generator, wavelengths_mm: tuple[float, float]) -> Waves:
    """Draw waves in all directions, their lengths even in the logarithm, mm."""
    low, high = np.log(wavelengths_mm)
    length = np.exp(rng.uniform(low, high, _WAVES))
    direction = rng.uniform(0, 2 * np.pi, _WAVES)
    return Waves(
        around=np.round(2 * np.pi * 20.0 / length * np.cos(direction)),
        along=2 * np.pi / length * np.sin(direction),
        phase=rng.uniform(0, 2 * np.pi, _WAVES),
    )


@dataclass(frozen=True, eq=False)
class Grid:
    """The unrolled wall: where its rows and columns lie, and how its two ends close.

    Attributes:
        way_mm: Place of each row along the axis, rising; beyond the axis's end in the appendix.
        close: Multiplies the radius of each row; falls to 0 at the ends.
        angle: Angle of each column.
        dome_mm: Length of the dome at each end.
        pit: First row of the appendix's opening; the number of rows without one.
    """

    way_mm: Float64[np.ndarray, "rows"]
    close: Float64[np.ndarray, "rows"]
    angle: Float64[np.ndarray, "columns"]
    dome_mm: tuple[float, float]
    pit: int


def wall_grid(route: Route, caecum: Caecum | None, settings: ColonSettings) -> Grid:
    """Space rows evenly along the axis and evenly along the domes that close it."""
    step, length = settings.axial_spacing_mm, route.length_mm
    last = float(route.radius_mm[-1])
    domes = (0.9 * float(route.radius_mm[0]), 0.9 * last)
    from_turn = 0.0 if caecum is None else float(np.arcsin(rim_share(caecum, last)))
    near, far = _dome(float(route.radius_mm[0]), step, 0.0), _dome(last, step, from_turn)[::-1]
    straight = length - domes[0] - domes[1]
    between = np.linspace(0.0, straight, int(np.ceil(straight / step)) + 1) + domes[0]
    way = [domes[0] * (1 - np.cos(near)), between, length - domes[1] * (1 - np.cos(far))]
    close = [np.sin(near), np.ones(len(between)), np.sin(far)]
    if caecum is not None:
        pit = pit_rows(caecum)
        way.append(length - domes[1] * (1 - np.cos(from_turn)) + pit[:, 1])
        close.append(pit[:, 0] / last)
    columns = int(np.ceil(2 * np.pi * 20.0 / settings.around_spacing_mm / 2)) * 2
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    rows = sum(len(part) for part in way[:3])
    return Grid(np.concatenate(way), np.concatenate(close), angle, domes, rows)


def _dome(radius_mm: float, step_mm: float, from_turn: float) -> Float64[np.ndarray, "rows"]:
    """Angles from the pole of a dome's rows, rising."""
    count = int(np.ceil((0.5 * np.pi - from_turn) * radius_mm / step_mm))
    return np.asarray(from_turn + (np.arange(count) + 0.5) / count * (0.5 * np.pi - from_turn))


def axis_at(
    route: Route, way_mm: Float64[np.ndarray, "rows columns"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axis point and the two directions across it at places along the axis, straight beyond it."""
    frames = route.frames
    at = np.clip(way_mm / route.step_mm, 0.0, len(route.points_mm) - 1.001)
    index = at.astype(np.int64)
    share = (at - index)[..., None]
    side, up = (v[index] * (1 - share) + v[index + 1] * share for v in (frames.side, frames.up))
    axis = route.points_mm[index] * (1 - share) + route.points_mm[index + 1] * share
    beyond = way_mm > route.length_mm
    if beyond.any():
        axis[beyond] += (way_mm[beyond] - route.length_mm)[:, None] * frames.tangent[-1]
    return axis, unit(side), unit(up)


def wall_surface(
    wall: Float64[np.ndarray, "rows columns 3"],
    tint: Float32[np.ndarray, "rows columns 3"],
    label: UInt8[np.ndarray, "cells columns"],
) -> Surface:
    """Turn a grid of wall points into a closed mesh.

    Args:
        wall: World positions, mm.
        tint: Multiplies the tissue's albedo.
        label: Class of each cell between four points, in the order of `grid_faces`.
    """
    rows, columns = wall.shape[:2]
    poles = np.stack([wall[0].mean(axis=0), wall[-1].mean(axis=0)])
    vertices = np.concatenate([wall.reshape(-1, 3), poles]).astype(np.float32)
    ring = np.arange(columns, dtype=np.int32)
    faces = np.concatenate(
        [
            grid_faces(wall),
            fan_faces(rows * columns, ring),
            fan_faces(rows * columns + 1, (rows - 1) * columns + ring)[:, ::-1],
        ]
    ).astype(np.int32)
    poles_tint = np.stack([tint[0].mean(axis=0), tint[-1].mean(axis=0)])
    poles_label = np.repeat(label[[0, -1], 0], columns)
    return Surface(
        vertices_mm=vertices,
        faces=faces,
        normals=vertex_normals(vertices, faces),
        tint=np.concatenate([tint.reshape(-1, 3), poles_tint], dtype=np.float32),
        face_label=np.concatenate([label.ravel(), label.ravel(), poles_label]),
        face_instance=np.zeros(len(faces), np.uint16),
        face_material=np.zeros(len(faces), np.uint8),
    )


def wall_labels(shape: WallShape, grid: Grid) -> UInt8[np.ndarray, "cells columns"]:
    """A cell belongs to a fold where the wall stands 1.5 mm or more into the lumen for it."""
    cell_mm, crest = _at_cells(shape.fold_mm), _at_cells(shape.crest)
    label = np.where((cell_mm > 1.5) & (crest > 0.2), FOLD_LABEL, WALL_LABEL)
    label[grid.pit :] = APPENDIX_LABEL
    return label.astype(np.uint8)


def _at_cells(values: Float64[np.ndarray, "rows columns"]) -> Float64[np.ndarray, "cells columns"]:
    """Mean over each grid cell's four corners, in the order of `grid_faces`."""
    pairs = values[:-1] + values[1:]
    return np.asarray((pairs + np.roll(pairs, -1, axis=1)) / 4, dtype=np.float64)


def wall_tint(
    blotch: Float64[np.ndarray, "rows columns"], grid: Grid, shape: WallShape
) -> Float32[np.ndarray, "rows columns 3"]:
    """Free edges are paler, pouches redder, and everything changes slowly from place to place."""
    edge = shape.crest**2 * np.clip(shape.fold_mm / 3.0, 0, 1)
    light = 1.0 + 0.045 * blotch + 0.05 * edge - 0.05 * shape.pouch
    pale = 0.07 * edge - 0.05 * shape.pouch - 0.03 * blotch
    light[grid.pit :] -= 0.1
    tint = np.stack([light, light * (1 + pale), light * (1 + 0.9 * pale)], axis=-1)
    return np.clip(tint, 0.6, 1.4).astype(np.float32)

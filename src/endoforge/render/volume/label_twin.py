# SPDX-License-Identifier: Apache-2.0
"""The label pass once more, slow and plain in NumPy: what the fast one must say.

It walks each ray in small equal steps and knows nothing of cells, blocks or integrated tables.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from endoforge.optics.transfer import (
    EXTINCTION,
    HIGHEST_HU,
    LOWEST_HU,
    OrganTables,
    TransferFunction,
    organ_tables,
)
from endoforge.scene.volume.records import CtVolume


@dataclass(frozen=True, eq=False)
class TwinLabels:
    """Of each ray: distances along it in mm (NaN for none), and the share of light it loses."""

    half_mm: Float64[np.ndarray, "rays"]
    expected_mm: Float64[np.ndarray, "rays"]
    first_mm: Float64[np.ndarray, "rays"]
    opacity: Float64[np.ndarray, "rays"]


def twin_labels(
    volume: CtVolume,
    transfer: TransferFunction,
    eye_mm: Float64[np.ndarray, "3"],
    directions: Float64[np.ndarray, "rays 3"],
    first_opacity: float,
    steps_per_voxel: int = 32,
) -> TwinLabels:
    """Label rays from one eye.

    Args:
        volume: The CT.
        transfer: What stops light.
        eye_mm: In the world.
        directions: Unit, in the world.
        first_opacity: Opacity at which a ray has hit something first.
        steps_per_voxel: Along the shortest axis of a voxel.
    """
    tables = organ_tables(transfer, volume.organ_names)
    step = float(volume.spacing_mm.min()) / steps_per_voxel
    begin, end = _span(volume, eye_mm, directions)
    depth, moment = np.zeros(len(directions)), np.zeros(len(directions))
    marks = {"half": np.log(2.0), "first": -np.log1p(-first_opacity)}
    found = {name: np.full(len(directions), np.nan) for name in marks}
    for k in range(int(np.ceil((end - begin).max(initial=0) / step))):
        at = begin + k * step
        length = np.clip(end - at, 0, step)
        middle = eye_mm + (at + 0.5 * length)[:, None] * directions
        more = length * extinction_at(volume, tables, middle)
        for name, mark in marks.items():
            here = (depth <= mark) & (mark < depth + more)
            share = (mark - depth) / np.where(more > 0, more, 1)
            found[name] = np.where(here, at + share * length, found[name])
        moment += (at + 0.5 * length) * (np.exp(-depth) - np.exp(-depth - more))
        depth += more
    lost = -np.expm1(-depth)
    expected = np.where(lost > 0, moment / np.where(lost > 0, lost, 1), np.nan)
    return TwinLabels(found["half"], expected, found["first"], lost)


def transmittance(
    volume: CtVolume,
    transfer: TransferFunction,
    eye_mm: Float64[np.ndarray, "3"],
    points_mm: Float64[np.ndarray, "points 3"],
    steps: int = 1500,
) -> Float64[np.ndarray, "points"]:
    """Share of light that gets from each point to an eye."""
    tables = organ_tables(transfer, volume.organ_names)
    way = eye_mm - points_mm
    length = np.linalg.norm(way, axis=1)
    depth = np.zeros(len(points_mm))
    for k in range(steps):
        depth += extinction_at(volume, tables, points_mm + (k + 0.5) / steps * way)
    return np.asarray(np.exp(-depth * length / steps))


def extinction_at(
    volume: CtVolume, tables: OrganTables, points_mm: Float64[np.ndarray, "points 3"]
) -> Float64[np.ndarray, "points"]:
    """Extinction at places in the world, 1/mm; 0 outside the grid."""
    place, inside = _places(volume, points_mm)
    hu = interpolated(volume.hu.astype(np.float64), place)
    entries = tables.tables.shape[1]
    entry = np.linspace(LOWEST_HU, HIGHEST_HU, entries)
    which = np.zeros(len(place), np.int64)
    if volume.organs is not None:
        near = np.floor(place + 0.5).astype(np.int64)
        which = tables.table_of_organ[volume.organs[tuple(near.T)]].astype(np.int64)
    found = np.zeros(len(place))
    for number, table in enumerate(tables.tables):
        found = np.where(which == number, np.interp(hu, entry, table[:, EXTINCTION]), found)
    if tables.ramp is not None:
        found = found * tables.ramp.factor(interpolated(gradient_length(volume), place))
    return np.where(inside, found, 0.0)


def gradient_length(volume: CtVolume) -> Float64[np.ndarray, "i j k"]:
    """How steep HU are at each voxel, HU/mm, by central differences over two voxels."""
    padded = np.pad(volume.hu.astype(np.float64), 1, mode="edge")
    inner = (slice(1, -1),) * 3
    slopes = [
        0.5 * (np.roll(padded, -1, axis)[inner] - np.roll(padded, 1, axis)[inner])
        for axis in range(3)
    ]
    inverse = np.linalg.inv(volume.world_from_voxel)[:3, :3]
    length: Float64[np.ndarray, "i j k"] = np.linalg.norm(np.stack(slopes, -1) @ inverse, axis=-1)
    return length


def interpolated(
    values: Float64[np.ndarray, "i j k"], place: Float64[np.ndarray, "points 3"]
) -> Float64[np.ndarray, "points"]:
    """Trilinear interpolation between voxel centres, for places within the grid."""
    low = np.clip(np.floor(place).astype(np.int64), 0, np.array(values.shape) - 2)
    share = place - low
    total = np.zeros(len(place))
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(np.array(corner), share, 1 - share), axis=1)
        total += weight * values[tuple((low + corner).T)]
    return total


def _places(
    volume: CtVolume, points_mm: Float64[np.ndarray, "points 3"]
) -> tuple[Float64[np.ndarray, "points 3"], Bool[np.ndarray, "points"]]:
    """Places in voxels, brought into the grid, and which of them were in it."""
    inverse = np.linalg.inv(volume.world_from_voxel)
    place = points_mm @ inverse[:3, :3].T + inverse[:3, 3]
    last = np.array(volume.hu.shape) - 1.0
    inside = (place >= -1e-9) & (place <= last + 1e-9)
    return np.clip(place, 0, last), np.asarray(inside.all(axis=1))


def _span(
    volume: CtVolume, eye_mm: Float64[np.ndarray, "3"], directions: Float64[np.ndarray, "rays 3"]
) -> tuple[Float64[np.ndarray, "rays"], Float64[np.ndarray, "rays"]]:
    """Where rays enter and leave the grid, mm; 0 and 0 where they miss it."""
    inverse = np.linalg.inv(volume.world_from_voxel)
    eye = inverse[:3, :3] @ eye_mm + inverse[:3, 3]
    step = directions @ inverse[:3, :3].T
    step = np.where(np.abs(step) < 1e-12, 1e-12, step)
    borders = np.stack([-eye / step, (np.array(volume.hu.shape) - 1 - eye) / step])
    enter = np.maximum(borders.min(axis=0).max(axis=1), 0)
    leave = borders.max(axis=0).min(axis=1)
    missed = leave <= enter
    return np.where(missed, 0, enter), np.where(missed, 0, leave)

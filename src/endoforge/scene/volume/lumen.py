# SPDX-License-Identifier: Apache-2.0
"""Centre lines through the gas of a CT: the colon's pieces, or the airway down to a branch.

The way is the widest one through cells whose cost falls with the eighth power of their distance
to the wall (`anatomy.centreline`); it is then drawn to the middles of the sections across it. Where
the colon has collapsed it lies in several pieces of gas; near ends are joined over the gap.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse.csgraph import dijkstra

from endoforge.errors import SceneError
from endoforge.scene.anatomy.centreline import (
    way_costs,
    way_lengths,
    widest_way,
    without_blind_ends,
)
from endoforge.scene.anatomy.curves import resample
from endoforge.scene.records import Centreline
from endoforge.scene.volume.coarse import to_voxels, to_world
from endoforge.scene.volume.course import centred
from endoforge.scene.volume.gas import GasMap, GasRegion
from endoforge.scene.volume.loops import close_windows
from endoforge.scene.volume.lumen_settings import LumenSettings
from endoforge.scene.volume.records import CtVolume
from endoforge.scene.volume.sealed import tissue_around
from endoforge.scene.volume.stitch import stitched
from endoforge.scene.volume.walls import VolumeTissue

_SPACING_MM = 1.0
_STEP_MM = {"colon": 2.5, "airway": 1.5, "stomach": 2.5, "bowel": 2.0}
_LEAST_CELLS = 20
_MOST_PIECES = 40


@dataclass(frozen=True, eq=False)
class LumenLines:
    """The ways through one kind of gas.

    Attributes:
        lines: The longest first; a colon's begin at the end nearer the feet, an airway's on top.
        tissue: The wall around all of that gas.
        notes: What was left out, joined or closed, for the record.
    """

    lines: tuple[Centreline, ...]
    tissue: VolumeTissue
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LumenCells:
    """Grid cells of one piece of lumen.

    Attributes:
        depth_mm: Distance from each cell's middle to the wall; 0 outside the lumen.
        step_mm: Edge of a cell.
        first_mm: Middle of the first cell, world mm; the axes are the world's.
    """

    depth_mm: Float64[np.ndarray, "i j k"]
    step_mm: float
    first_mm: Float64[np.ndarray, "3"]

    def to_world(self, cells: np.ndarray) -> Float64[np.ndarray, "cells 3"]:
        """Middles of cells, world mm."""
        return np.asarray(self.first_mm + self.step_mm * np.asarray(cells, dtype=np.float64))


def lumen_lines(volume: CtVolume, gas: GasMap, settings: LumenSettings) -> LumenLines:
    """Find the ways through one kind of gas.

    Args:
        volume: The CT.
        gas: Its labelled gas (`air.label_gas`).
        settings: Which lumen, and what to do with gaps and with loops that touch.

    Raises:
        SceneError: There is no such gas, or none that is long and wide enough, or all of it is
            refused; the message names the reason.
    """
    regions = _wanted(gas, settings)
    tissue = tissue_around(volume, gas, gas.mask(regions), settings.wall_hu)
    lines: list[Centreline] = []
    notes: list[str] = []
    for region in regions[:_MOST_PIECES]:
        try:
            line, tissue, more = _through(region, gas, tissue, settings)
        except SceneError as error:
            notes.append(f"left out {region.piece.volume_ml:.1f} ml: {error}")
            continue
        lines.append(line)
        notes += more
    if not lines:
        reason = notes[0] if notes else "it is too small"
        raise SceneError(
            f"a fly-through needs {settings.least_mm:g} mm of gas-filled {settings.kind}, got none "
            f"among {len(regions)} pieces; {reason}"
        )
    lines, joined = stitched(lines, settings.stitch_mm)
    notes += joined
    lines.sort(key=lambda line: -line.length_mm)
    return LumenLines(tuple(lines), tissue, tuple(notes))


def _wanted(gas: GasMap, settings: LumenSettings) -> tuple[GasRegion, ...]:
    regions = gas.of_kind(settings.kind, settings.least_confidence)
    if not regions:
        has = ", ".join(f"{kind} {ml}" for kind, ml in gas.notes.items()) or "no gas at all"
        raise SceneError(
            f"a way through the {settings.kind} needs gas of that kind with a confidence of "
            f"{settings.least_confidence:g} or more, but this CT has {has}; choose another kind, "
            "lower least_confidence, or give an organ mask"
        )
    return regions


def _through(
    region: GasRegion, gas: GasMap, tissue: VolumeTissue, settings: LumenSettings
) -> tuple[Centreline, VolumeTissue, list[str]]:
    """The centre line of one piece, the wall with windows closed, and what was done."""
    span = float(np.linalg.norm(region.piece.high_mm - region.piece.low_mm))
    if span < 0.5 * settings.least_mm:
        raise SceneError(f"it spans {span:.0f} mm, expected a lumen of {settings.least_mm:g} mm")
    cells = cells_of(gas, gas.mask((region,)), tissue, _STEP_MM[settings.kind])
    way = _way(cells, settings)
    points = resample(centred(way, tissue, _SPACING_MM), _SPACING_MM)
    line = Centreline(points, np.maximum(tissue.distance(points), 0.0))
    notes: list[str] = []
    if settings.kind != "airway":
        closed, notes = close_windows(cells, line, tissue, settings)
        if closed is not None:
            tissue = closed
            line = Centreline(points, np.maximum(tissue.distance(points), 0.0))
    return _trimmed(line, settings), tissue, notes


def cells_of(
    gas: GasMap, mask: Bool[np.ndarray, "i j k"], tissue: VolumeTissue, step_mm: float
) -> LumenCells:
    """Cubic cells of a piece of gas and how far each is from the wall.

    Raises:
        SceneError: The piece is thinner than the cells.
    """
    coarse = gas.found.coarse
    filled = np.argwhere(mask)
    corners = to_world(coarse, np.stack([filled.min(axis=0) - 1.0, filled.max(axis=0) + 1.0]))
    low, high = corners.min(axis=0), corners.max(axis=0)
    shape = np.ceil((high - low) / step_mm).astype(int) + 1
    points = low + step_mm * np.argwhere(np.ones(shape, dtype=bool))
    at = np.rint(to_voxels(coarse, points)).astype(int)
    at = np.clip(at, 0, np.array(mask.shape) - 1)
    inside = mask[tuple(at.T)]
    inside[inside] = tissue.holds(points[inside])
    if int(inside.sum()) < _LEAST_CELLS:
        raise SceneError(f"it is thinner than {step_mm:g} mm")
    depth = np.zeros(len(points))
    depth[inside] = np.maximum(tissue.distance(points[inside]), 1e-3)
    return LumenCells(depth.reshape(tuple(shape)), step_mm, low)


def _way(cells: LumenCells, settings: LumenSettings) -> Float64[np.ndarray, "cells 3"]:
    """World points of the way through the cells, from its first to its last end."""
    if settings.kind == "airway":
        return cells.to_world(_down(cells, settings.branch))
    way = cells.to_world(widest_way(cells.depth_mm, cells.step_mm))
    return way[::-1] if way[0, 2] > way[-1, 2] else way


def _down(cells: LumenCells, branch: str) -> Int64[np.ndarray, "cells 3"]:
    """Cells of the way from the top of the trachea to the farthest end of a branch."""
    places = np.argwhere(cells.depth_mm > 0)
    graph = way_costs(cells.depth_mm, cells.step_mm)
    start = _top(places, cells)
    cost, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    length = np.where(np.isfinite(cost), way_lengths(before, places), -1.0)
    aside = cells.to_world(places)[:, 0] - cells.to_world(places[start : start + 1])[0, 0]
    if branch != "deepest":
        length[aside < 15.0 if branch == "right" else aside > -15.0] = -1.0
    way = [int(np.argmax(length))]
    if length[way[0]] <= 0:
        raise SceneError(f"the airway has no {branch} branch in this CT")
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    return np.asarray(places[way[::-1]], dtype=np.int64)


def _top(places: Int64[np.ndarray, "cells 3"], cells: LumenCells) -> int:
    """The deepest cell within the uppermost 5 mm."""
    high = places[:, 2] >= places[:, 2].max() - 5.0 / cells.step_mm
    return int(np.argmax(np.where(high, cells.depth_mm[tuple(places.T)], -1.0)))


def _trimmed(line: Centreline, settings: LumenSettings) -> Centreline:
    """The line without its blind ends."""
    kept = without_blind_ends(line.points_mm, line.radius_mm)
    if kept.length_mm < settings.least_mm:
        raise SceneError(
            f"its course is {kept.length_mm:.0f} mm long, expected {settings.least_mm:g} mm"
        )
    return kept

# SPDX-License-Identifier: Apache-2.0
"""A CT as a room for cameras: in the gas of a lumen, or outside the body."""

import numpy as np
from jaxtyping import Float64

from endoforge.scene.anatomy.curves import transport_frames
from endoforge.scene.paths.room import Room
from endoforge.scene.paths.targets import Target
from endoforge.scene.records import Centreline
from endoforge.scene.volume.coarse import to_world
from endoforge.scene.volume.gas import GasMap
from endoforge.scene.volume.lumen import LumenLines
from endoforge.scene.volume.sealed import tissue_of_body
from endoforge.scene.volume.walls import VolumeTissue

_WALLS = 16  # places on the wall of a lumen that may be looked at
_GOLDEN = np.pi * (3.0 - np.sqrt(5.0))
_LEAST_VOXELS = 8
_FRONT = np.array([0.0, 1.0, 0.0])


def lumen_room(lumen: LumenLines, gas: GasMap, way: int = 0) -> Room:
    """The room in a gas-filled lumen.

    Args:
        lumen: Its centre lines and wall.
        gas: The CT's gas, which tells where organs lie.
        way: Which of the centre lines a fly-through takes; 0 is the longest.

    Returns:
        A room whose targets are places on the wall along that line (``wall-1``, …) and the
        middles of the organs (by their names) where the CT has masks.
    """
    line = lumen.lines[way]
    targets = _on_the_wall(line, lumen.tissue)
    return Room(lumen.tissue, line, (*targets, *_organs(gas)))


def outside_room(gas: GasMap) -> Room:
    """The room around the body.

    Returns:
        A room whose targets are the body's middle (``body``) and the organs by their names.
    """
    inside = np.argwhere(gas.found.inside)
    middle = to_world(gas.found.coarse, inside.mean(axis=0)[None])[0]
    radius = float(np.linalg.norm(inside.std(axis=0) * gas.found.coarse.spacing_mm))
    body = Target("body", middle, radius, _FRONT)
    return Room(tissue_of_body(gas), None, (body, *_organs(gas)))


def _organs(gas: GasMap) -> tuple[Target, ...]:
    """The middles of organs that have a mask."""
    coarse = gas.found.coarse
    if coarse.organs is None:
        return ()
    targets = []
    for number, name in sorted(coarse.organ_names.items()):
        where = np.argwhere(coarse.organs == number)
        if number == 0 or len(where) < _LEAST_VOXELS:
            continue
        middle = to_world(coarse, where.mean(axis=0)[None])[0]
        ml = len(where) * float(np.prod(coarse.spacing_mm))
        targets.append(Target(name, middle, float(np.cbrt(0.75 * ml / np.pi)), _FRONT))
    return tuple(targets)


def _on_the_wall(line: Centreline, tissue: VolumeTissue) -> tuple[Target, ...]:
    """Places on the wall along a line, each turned on against the one before it."""
    frames = transport_frames(line.points_mm)
    open_ = np.flatnonzero(line.radius_mm > 0)
    chosen = open_[np.linspace(0, len(open_) - 1, min(_WALLS, len(open_)) + 2).astype(int)[1:-1]]
    targets = []
    for k, at in enumerate(chosen.tolist()):
        aside = np.cos(_GOLDEN * k) * frames.side[at] + np.sin(_GOLDEN * k) * frames.up[at]
        start, room = line.points_mm[at], float(line.radius_mm[at])
        place = _wall_from(start, aside, room, tissue)
        targets.append(Target(f"wall-{k + 1}", place, 0.3 * room, tissue.away(place[None])[0]))
    return tuple(targets)


def _wall_from(
    start_mm: Float64[np.ndarray, "3"],
    way: Float64[np.ndarray, "3"],
    least_mm: float,
    tissue: VolumeTissue,
) -> Float64[np.ndarray, "3"]:
    """Where a ray meets the wall; it goes as far as the nearest wall allows, again and again."""
    reach = 0.9 * least_mm
    for _ in range(60):
        apart = float(tissue.distance((start_mm + reach * way)[None])[0])
        if apart < 0.02:
            break
        reach += max(apart, 0.02)
    return np.asarray(start_mm + reach * way)

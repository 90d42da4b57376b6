# SPDX-License-Identifier: Apache-2.0
"""From a way of grid cells to the middle of a lumen: sections are cut, and their middles taken."""

import numpy as np
from jaxtyping import Float64

from endoforge.scene.anatomy.curves import resample, smooth, transport_frames
from endoforge.scene.volume.walls import VolumeTissue

_RAYS = 24
_ROUNDS = 10
_PACE = 0.7
_LONGEST = 1.6  # rays count up to this many times the usual one: branches and pockets pull less
_UNEVEN = 0.3  # spread of a section's rays beyond which its middle hardly counts: a junction
_CALM, _CALM_POINTS = 0.4, (1.5, 6.0)  # final smoothing, in radii and within these points
_KEEP = 0.8  # share of its room that the smoothed line must keep


def centred(
    way_mm: Float64[np.ndarray, "cells 3"], tissue: VolumeTissue, spacing_mm: float
) -> Float64[np.ndarray, "points 3"]:
    """Draw a way through a lumen to the middles of the sections across it.

    Args:
        way_mm: World points that lie in the lumen, in order.
        tissue: The wall.
        spacing_mm: Distance between the points of the result.
    """
    rough = resample(way_mm, spacing_mm)
    width = 3.0
    line = smooth(rough, width)
    depth = np.maximum(tissue.distance(line), 0.3)
    for _ in range(_ROUNDS):
        shift = _section_middles(line, tissue, depth)
        length = np.linalg.norm(shift, axis=1, keepdims=True)
        shift *= np.minimum(1.0, 0.5 * depth[:, None] / np.maximum(length, 1e-9))
        line = resample(smooth(line + _PACE * smooth(shift, 1.5), 1.5), spacing_mm)
        depth = np.maximum(tissue.distance(line), 0.3)
    calm = float(np.clip(_CALM * np.median(depth) / spacing_mm, *_CALM_POINTS))
    calmed = smooth(line, calm)
    calmed = calmed + smooth(line - calmed, calm)  # gives bends back what smoothing cut off them
    return _kept_inside(calmed, line, tissue)


def _section_middles(
    line: Float64[np.ndarray, "points 3"],
    tissue: VolumeTissue,
    depth: Float64[np.ndarray, "points"],
) -> Float64[np.ndarray, "points 3"]:
    """From each point of a line to the centre of mass of the section across it, mm."""
    frames = transport_frames(smooth(line, 4.0))
    angle = np.arange(_RAYS) * 2 * np.pi / _RAYS
    around = np.cos(angle)[None, :, None] * frames.side[:, None]
    around = around + np.sin(angle)[None, :, None] * frames.up[:, None]
    reach = _to_wall(line, around, tissue, 4.0 * depth + 4.0)
    reach = np.minimum(reach, _LONGEST * np.median(reach, axis=1, keepdims=True))
    corner = reach[..., None] * around
    after = np.roll(corner, -1, axis=1)
    area = (reach * np.roll(reach, -1, axis=1))[..., None]  # twice each triangle's, by the sine
    middle = (area * (corner + after) / 3).sum(axis=1) / area.sum(axis=1)
    spread = reach.std(axis=1) / np.maximum(reach.mean(axis=1), 1e-9)
    return np.asarray(middle / (1.0 + (spread / _UNEVEN) ** 4)[:, None])


def _to_wall(
    line: Float64[np.ndarray, "points 3"],
    around: Float64[np.ndarray, "points rays 3"],
    tissue: VolumeTissue,
    longest: Float64[np.ndarray, "points"],
) -> Float64[np.ndarray, "points rays"]:
    """How far the wall is in each direction, mm: steps of half a voxel, then between two steps."""
    step = 0.5 * float(np.linalg.norm(tissue.world_from_voxel[:3, :3], axis=0).min())
    reach = np.zeros(around.shape[:2])
    low = np.full(reach.shape, -1.0)
    going = np.ones(reach.shape, dtype=bool)
    for k in range(1, int(np.ceil(float(longest.max()) / step)) + 1):
        rows, rays = np.nonzero(going)
        if not len(rows):
            break
        here = tissue.excess_at(line[rows] + k * step * around[rows, rays])
        hit = here >= 0
        share = low[rows, rays] / np.minimum(low[rows, rays] - here, -1e-9)
        reach[rows, rays] = np.where(hit, (k - 1 + share) * step, k * step)
        low[rows, rays] = here
        going[rows, rays] = ~hit & (k * step < longest[rows])
    return reach


def _kept_inside(
    line: Float64[np.ndarray, "points 3"],
    sure: Float64[np.ndarray, "points 3"],
    tissue: VolumeTissue,
) -> Float64[np.ndarray, "points 3"]:
    """Go back towards the line before it was smoothed where that came too near to the wall."""
    allowed = _KEEP * np.maximum(tissue.distance(sure), 0.0)
    weight = np.zeros(len(line))
    mixed = line
    for _ in range(6):
        short = tissue.distance(mixed) < allowed
        if not short.any():
            break
        weight = np.clip(weight + 0.4 * smooth(short.astype(np.float64), 4.0), 0.0, 1.0)
        mixed = line + weight[:, None] * (sure - line)
    return mixed

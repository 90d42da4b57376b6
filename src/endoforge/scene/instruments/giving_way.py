# SPDX-License-Identifier: Apache-2.0
"""Keeps an instrument out of tissue: the tip gives way until nothing lies deeper than allowed.

All frames of a sequence are dealt with at once, each on its own.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Int64

from endoforge.scene.instruments.clearance import Clearing, Contacts, Probe

_AIM = 0.35  # share of the allowed depth that is aimed at, for what lies between the points
_LEAVE = 0.55  # and share at which nothing more is done
_PUSHES = 4
_BACK_MM = (0.0, 4.0, 12.0, 30.0)
_LARGEST_PUSH_MM = 4.0
_FARTHEST_MM = 12.0
_STEP_BACK_MM = 0.4
_EXACT_MM = 0.3

#: World poses of all parts at some frames, for displacements of the tip and ways back along the
#: shaft, mm.
PosesOf: TypeAlias = Callable[
    [
        Int64[np.ndarray, "rows"],
        Float64[np.ndarray, "rows 3"],
        Float64[np.ndarray, "rows"],
    ],
    Float64[np.ndarray, "rows parts 4 4"],
]


def given_way(
    poses_of: PosesOf,
    probe: Probe,
    frames: Int64[np.ndarray, "some"],
    tip_mm: Float64[np.ndarray, "some 3"],
) -> tuple[Float64[np.ndarray, "some 3"], Float64[np.ndarray, "some"]]:
    """Displace an instrument's tip so that it lies on tissue instead of in it.

    The tip gives way along the surface's normal at the deepest point, times the lever about the
    pivot. Where that does not suffice, as between two organs, it is drawn back and tries again.

    Args:
        poses_of: Poses of the parts for displacements and ways back.
        probe: Finds what lies in tissue.
        frames: Which frames to deal with.
        tip_mm: Where the tip is there without displacement, world mm.

    Returns:
        The displacements, at most 12 mm, and the ways back along the shaft, mm.
    """
    count = len(frames)
    best, best_back, least = np.zeros((count, 3)), np.zeros(count), np.full(count, np.inf)
    going = np.arange(count)
    for back in _BACK_MM:
        shift = np.zeros((count, 3))
        for _ in range(_PUSHES):
            ways = np.full(len(going), back)
            poses = poses_of(frames[going], shift[going], ways)
            contact = probe.contact(frames[going], poses, _AIM * probe.clearing.allowed_mm)
            better = going[contact.depth_mm < least[going]]
            best[better], best_back[better] = shift[better], back
            least[going] = np.minimum(least[going], contact.depth_mm)
            left = contact.depth_mm > _AIM * probe.clearing.allowed_mm
            if not left.any():
                return best, best_back
            going = going[left]
            held = Contacts(contact.depth_mm[left], contact.point_mm[left], contact.way_out[left])
            shift[going] = _pushed(shift[going], held, probe.clearing, tip_mm[going])
    return best, best_back


def drawn_back(
    poses_of: PosesOf,
    probe: Probe,
    frames: Int64[np.ndarray, "some"],
    aside_mm: Float64[np.ndarray, "some 3"],
    ways_mm: Float64[np.ndarray, "some 2"],
) -> Float64[np.ndarray, "some"]:
    """How far an instrument must be drawn back along its shaft until nothing lies too deep.

    Args:
        poses_of: Poses of the parts for displacements and ways back.
        probe: Finds what lies in tissue.
        frames: Which frames to deal with.
        aside_mm: Displacements of the tip there.
        ways_mm: Ways back to begin with, and the farthest.

    Returns:
        The ways back, at most 0.3 mm more than needed, mm.
    """
    leave = _LEAVE * probe.clearing.allowed_mm

    def depth_at(rows: Int64[np.ndarray, "rows"], back: Float64[np.ndarray, "rows"]) -> np.ndarray:
        chosen = frames[rows]
        poses = poses_of(chosen, aside_mm[rows], back)
        return probe.contact(chosen, poses, leave, leave).depth_mm

    most_mm = ways_mm[:, 1]
    enough, too_little = ways_mm[:, 0].copy(), ways_mm[:, 0].copy()
    depth = depth_at(np.arange(len(enough)), enough)
    step = _STEP_BACK_MM
    going = np.flatnonzero((depth > leave) & (enough < most_mm))
    while len(going):
        too_little[going] = enough[going]
        enough[going] = np.minimum(enough[going] + step, most_mm[going])
        depth[going] = depth_at(going, enough[going])
        going, step = going[(depth[going] > leave) & (enough[going] < most_mm[going])], 2 * step
    while len(going := np.flatnonzero(enough - too_little > _EXACT_MM)):
        middle = 0.5 * (too_little[going] + enough[going])
        found = depth_at(going, middle)
        good = found <= leave
        enough[going[good]] = middle[good]
        too_little[going[~good]] = middle[~good]
    return enough


def _pushed(
    shift: Float64[np.ndarray, "rows 3"],
    contact: Contacts,
    clearing: Clearing,
    tip_mm: Float64[np.ndarray, "rows 3"],
) -> Float64[np.ndarray, "rows 3"]:
    """One step out of the tissue at the deepest points."""
    aim = 0.6 * _AIM * clearing.allowed_mm
    excess = np.minimum(contact.depth_mm - aim, _LARGEST_PUSH_MM)
    arm = np.linalg.norm(contact.point_mm - clearing.pivot_mm, axis=1)
    lever = np.linalg.norm(tip_mm + shift - clearing.pivot_mm, axis=1) / np.maximum(arm, 1.0)
    moved = shift + (excess * np.clip(lever, 1.0, 3.0))[:, None] * contact.way_out
    size = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.asarray(moved * np.minimum(_FARTHEST_MM / np.maximum(size, 1e-9), 1.0))

# SPDX-License-Identifier: Apache-2.0
"""Keeps an instrument out of tissue: the tip gives way until nothing lies deeper than allowed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from endoforge.scene.instruments.contact import Touchable, nearest, roughly
from endoforge.scene.instruments.records import Instrument

_STEP_MM = 0.8
_NEAR_MM = 4.0  # beyond it, distances need not be exact
_FAR_MM = 110.0
_AIM = 0.35  # share of the allowed depth that is aimed at, for what lies between the points
_LEAVE = 0.55  # and share at which nothing more is done
_PUSHES = 4
_BACK_MM = (0.0, 4.0, 12.0, 30.0)
_LARGEST_PUSH_MM = 4.0
_FARTHEST_MM = 12.0
_STEP_BACK_MM = 0.4


@dataclass(frozen=True, eq=False)
class Feelers:
    """Points of an instrument that must not lie in tissue, at rest in the tool frame.

    Attributes:
        points_mm: One per 0.8 mm of the tip and the wrist, rings along the shaft.
        part: Part that each belongs to.
        holding: True on what touches tissue when the jaws hold it.
    """

    points_mm: Float64[np.ndarray, "points 3"]
    part: Int64[np.ndarray, "points"]
    holding: Bool[np.ndarray, "points"]

    def at(
        self, world_from_rest: Float[np.ndarray, "parts 4 4"]
    ) -> Float64[np.ndarray, "points 3"]:
        """World positions for given poses of the parts, mm."""
        pose = world_from_rest[self.part]
        turned = np.einsum("pij,pj->pi", pose[:, :3, :3], self.points_mm)
        return np.asarray(turned + pose[:, :3, 3])


@dataclass(frozen=True, eq=False)
class Contact:
    """The deepest of several points.

    Attributes:
        depth_mm: How deep it lies; below 0 if all points are free.
        point_mm: Where it is.
        way_out: Unit direction out of the tissue there.
    """

    depth_mm: float
    point_mm: Float64[np.ndarray, "3"]
    way_out: Float64[np.ndarray, "3"]


_FREE = Contact(-np.inf, np.zeros(3), np.zeros(3))


def feelers_of(instrument: Instrument) -> Feelers:
    """Pick points spread over an instrument's surface, all but the far end of its shaft."""
    points, owners = [], []
    for number, part in enumerate(instrument.parts):
        own = instrument.surface.vertices_mm[slice(*part.vertices)].astype(np.float64)
        if part.kind == "tool shaft":
            own = _along_shaft(instrument)
        _, first = np.unique(np.round(own / _STEP_MM), axis=0, return_index=True)
        points.append(own[np.sort(first)])
        owners.append(np.full(len(first), number, dtype=np.int64))
    part_of = np.concatenate(owners)
    tips = np.array([part.kind in ("tool tip", "clip") for part in instrument.parts])
    return Feelers(np.concatenate(points), part_of, tips[part_of])


def deepest(tissue: Touchable | None, points_mm: Float64[np.ndarray, "points 3"]) -> Contact:
    """The point that lies deepest in tissue."""
    if tissue is None or not len(points_mm):
        return _FREE
    rough = roughly(tissue, points_mm)
    near = np.flatnonzero((np.abs(rough) < _NEAR_MM) & (rough < rough.min() + 2 * _NEAR_MM))
    chosen = near if len(near) else np.array([int(rough.argmin())])
    found = nearest(tissue, points_mm[chosen])
    depth = -found.distance_mm
    if -rough.min() > _NEAR_MM:  # far inside, where a rough answer is enough
        chosen = np.array([int(rough.argmin())])
        found, depth = nearest(tissue, points_mm[chosen]), -rough[chosen]
    worst = int(depth.argmax())
    return Contact(float(depth[worst]), points_mm[chosen[worst]], found.normal[worst])


@dataclass(frozen=True, eq=False)
class Clearing:
    """What must be clear of tissue.

    Attributes:
        feelers: Points of the instrument.
        counted: Which of them count now.
        pivot_mm: Where the shaft pivots; points before it or less than `around_mm` behind it,
            where it passes the wall, do not count.
        around_mm: See `pivot_mm`.
        allowed_mm: Greatest depth.
    """

    feelers: Feelers
    counted: Bool[np.ndarray, "points"]
    pivot_mm: Float64[np.ndarray, "3"]
    around_mm: float
    allowed_mm: float

    def contact(
        self, tissue: Touchable | None, world_from_rest: Float64[np.ndarray, "parts 4 4"]
    ) -> Contact:
        """The deepest of the points that count."""
        points = self.feelers.at(world_from_rest)[self.counted]
        inside = (points - self.pivot_mm) @ world_from_rest[0, :3, 2] > self.around_mm
        return deepest(tissue, points[inside])


#: World poses of all parts for a displacement of the tip and a way back along the shaft, mm.
PosesOf = Callable[[Float64[np.ndarray, "3"], float], Float64[np.ndarray, "parts 4 4"]]


def given_way(
    poses_of: PosesOf,
    tissue: Touchable | None,
    clearing: Clearing,
    tip_mm: Float64[np.ndarray, "3"],
) -> tuple[Float64[np.ndarray, "3"], float]:
    """Displace an instrument's tip so that it lies on tissue instead of in it.

    The tip gives way along the surface's normal at the deepest point, times the lever about the
    pivot. Where that does not suffice, as between two organs, it is drawn back and tries again.

    Args:
        poses_of: Poses of the parts for a displacement and a way back.
        tissue: What is in the way.
        clearing: Which points must be clear.
        tip_mm: Where the tip is without displacement, world mm.

    Returns:
        The displacement, at most 12 mm, and the way back along the shaft, mm.
    """
    best, least = (np.zeros(3), 0.0), np.inf
    for back in _BACK_MM:
        shift = np.zeros(3)
        for _ in range(_PUSHES):
            contact = clearing.contact(tissue, poses_of(shift, back))
            if contact.depth_mm < least:
                best, least = (shift, back), contact.depth_mm
            if contact.depth_mm <= _AIM * clearing.allowed_mm:
                return best
            shift = _pushed(shift, contact, clearing, tip_mm)
    return best


def drawn_back(
    poses_of: Callable[[float], Float64[np.ndarray, "parts 4 4"]],
    tissue: Touchable | None,
    clearing: Clearing,
    start_mm: float,
    most_mm: float,
) -> tuple[float, float]:
    """How far an instrument must be drawn back along its shaft until nothing lies too deep.

    Args:
        poses_of: Poses of the parts for a way back, mm.
        tissue: What is in the way.
        clearing: Which points must be clear.
        start_mm: Way back to begin with.
        most_mm: Farthest way back.

    Returns:
        The way back, at most 0.3 mm more than needed, and the depth that is left, mm.
    """

    def depth_at(back: float) -> float:
        return clearing.contact(tissue, poses_of(back)).depth_mm

    enough, step = start_mm, _STEP_BACK_MM
    depth = depth_at(enough)
    if depth <= _LEAVE * clearing.allowed_mm:
        return enough, depth
    too_little = enough
    while depth > _LEAVE * clearing.allowed_mm and enough < most_mm:
        too_little, enough, step = enough, min(enough + step, most_mm), 2 * step
        depth = depth_at(enough)
    while enough - too_little > 0.3:
        middle = 0.5 * (too_little + enough)
        if (found := depth_at(middle)) <= _LEAVE * clearing.allowed_mm:
            enough, depth = middle, found
        else:
            too_little = middle
    return enough, depth


def _pushed(
    shift: Float64[np.ndarray, "3"],
    contact: Contact,
    clearing: Clearing,
    tip_mm: Float64[np.ndarray, "3"],
) -> Float64[np.ndarray, "3"]:
    """One step out of the tissue at the deepest point."""
    excess = min(contact.depth_mm - 0.6 * _AIM * clearing.allowed_mm, _LARGEST_PUSH_MM)
    arm = float(np.linalg.norm(contact.point_mm - clearing.pivot_mm))
    lever = float(np.linalg.norm(tip_mm + shift - clearing.pivot_mm)) / max(arm, 1.0)
    moved = shift + excess * float(np.clip(lever, 1.0, 3.0)) * contact.way_out
    size = float(np.linalg.norm(moved))
    return moved * min(_FARTHEST_MM / max(size, 1e-9), 1.0)


def _along_shaft(instrument: Instrument) -> Float64[np.ndarray, "points 3"]:
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    far = min(_FAR_MM, instrument.length_mm)
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1) * instrument.diameter_mm / 2
    heights = np.concatenate([np.arange(0, 12, 2.0), np.arange(12, far, 5.0)])
    return np.concatenate([ring - np.array([0.0, 0.0, z]) for z in heights])

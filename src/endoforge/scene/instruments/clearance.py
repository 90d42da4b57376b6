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
_AIM = 0.5  # share of the allowed depth that is aimed at, for what lies between the points
_TRIES = 30

#: World poses of all parts for a displacement of the tip, mm.
PosesOf = Callable[[Float64[np.ndarray, "3"]], Float64[np.ndarray, "parts 4 4"]]


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
        pivot_mm: Where the shaft pivots; points within `around_mm` of it do not count.
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
        away = np.linalg.norm(points - self.pivot_mm, axis=1) > self.around_mm
        return deepest(tissue, points[away])


def cleared(
    poses_of: PosesOf,
    tissue: Touchable | None,
    clearing: Clearing,
    tip_mm: Float64[np.ndarray, "3"],
    shift_mm: Float64[np.ndarray, "3"],
) -> tuple[Float64[np.ndarray, "3"], float]:
    """Displace an instrument's tip until nothing lies too deep.

    The tip gives way along the surface's normal at the deepest point, times the lever about the
    pivot. Where that does not help, as between two organs, it is drawn back towards the pivot.

    Args:
        poses_of: Poses of the parts for a displacement of the tip.
        tissue: What is in the way.
        clearing: Which points must be clear.
        tip_mm: Where the tip is without displacement, world mm.
        shift_mm: Displacement to begin with, mm.

    Returns:
        The displacement and the depth that is left, mm.
    """
    shift = np.array(shift_mm, dtype=np.float64)
    best = (shift, np.inf)
    for attempt in range(_TRIES):
        contact = clearing.contact(tissue, poses_of(shift))
        if contact.depth_mm < best[1]:
            best = (shift, contact.depth_mm)
        if contact.depth_mm <= 0.8 * clearing.allowed_mm:
            return shift, contact.depth_mm
        excess = contact.depth_mm - _AIM * clearing.allowed_mm
        back = clearing.pivot_mm - tip_mm - shift
        if attempt < _TRIES // 2:
            lever = np.linalg.norm(back) / np.linalg.norm(contact.point_mm - clearing.pivot_mm)
            shift = shift + excess * max(float(lever), 1.0) * contact.way_out
        else:
            shift = shift + max(excess, 1.0) * back / np.linalg.norm(back)
    return best


def _along_shaft(instrument: Instrument) -> Float64[np.ndarray, "points 3"]:
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    far = min(_FAR_MM, instrument.length_mm)
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1) * instrument.diameter_mm / 2
    heights = np.concatenate([np.arange(0, 12, 1.5), np.arange(12, far, 3.0)])
    return np.concatenate([ring - np.array([0.0, 0.0, z]) for z in heights])

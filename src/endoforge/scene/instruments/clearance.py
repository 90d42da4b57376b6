# SPDX-License-Identifier: Apache-2.0
"""Finds how deep an instrument lies in tissue: points on it, and the deepest of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from endoforge.scene.instruments.contact import Touchable, nearest, roughly
from endoforge.scene.instruments.moving import MovingTissue
from endoforge.scene.instruments.records import Instrument

_STEP_MM = 0.8
_NEAR_MM = 4.0  # beyond it, distances need not be exact
_FAR_MM = 110.0
_GROUP_MM = 6.0
_AT_ONCE = 32  # points of a frame that are asked for at once


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
        return np.asarray(self.at_frames(world_from_rest[None])[0])

    def at_frames(
        self, world_from_rest: Float[np.ndarray, "frames parts 4 4"]
    ) -> Float64[np.ndarray, "frames points 3"]:
        """World positions at several frames, mm."""
        placed = np.empty((len(world_from_rest), len(self.part), 3))
        for number in np.unique(self.part):
            own, pose = self.part == number, world_from_rest[:, number]
            turned = self.points_mm[own] @ pose[:, :3, :3].swapaxes(1, 2)
            placed[:, own] = turned + pose[:, None, :3, 3]
        return placed

    def leaders(self) -> Int64[np.ndarray, "points"]:
        """For each point the number of one nearby of the same part, which few points share."""
        cell = np.column_stack([np.round(self.points_mm / _GROUP_MM), self.part])
        _, first, group = np.unique(cell, axis=0, return_index=True, return_inverse=True)
        return np.asarray(first[group.ravel()], dtype=np.int64)


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
        counted: Which of them count at each frame.
        pivot_mm: Where the shaft pivots; points before it or less than `around_mm` behind it,
            where it passes the wall, do not count.
        around_mm: See `pivot_mm`.
        allowed_mm: Greatest depth.
        free: Tells which points lie in the free room with the tissue at rest. Far from a sharp edge
            the nearest triangle does not tell it.
    """

    feelers: Feelers
    counted: Bool[np.ndarray, "frames points"]
    pivot_mm: Float64[np.ndarray, "3"]
    around_mm: float
    allowed_mm: float
    free: Callable[[Float64[np.ndarray, "points 3"]], Bool[np.ndarray, "points"]]


@dataclass(frozen=True, eq=False)
class Contacts:
    """The deepest point at each of several frames; see `Contact`."""

    depth_mm: Float64[np.ndarray, "frames"]
    point_mm: Float64[np.ndarray, "frames 3"]
    way_out: Float64[np.ndarray, "frames 3"]


class Probe:
    """Finds an instrument's deepest points frame by frame.

    Within a frame a point's distance to tissue changes by no more than the point moves. What is
    remembered from earlier questions therefore rules out most points: only those are asked for that
    could lie deeper than the deepest found.
    """

    def __init__(self, tissue: MovingTissue | None, clearing: Clearing) -> None:
        """Know nothing yet."""
        self.clearing, self._tissue = clearing, tissue
        self._leader = clearing.feelers.leaders()
        count = clearing.counted.shape
        self._least_mm = np.full(count, -np.inf)  # signed distance that each point had at least ...
        self._there_mm = np.zeros((*count, 3))  # ... when it was here

    def contact(
        self,
        rows: Int64[np.ndarray, "rows"],
        world_from_rest: Float64[np.ndarray, "rows parts 4 4"],
        floor_mm: float = 0.0,
        enough_mm: float = np.inf,
    ) -> Contacts:
        """The deepest of the points that count; its depth is at most the floor if all are free.

        Args:
            rows: Which frames.
            world_from_rest: Poses of the parts at these frames.
            floor_mm: Points that lie no deeper may be left out.
            enough_mm: Once a point is found to lie deeper, others of its frame may be left out.
        """
        points, count = self.clearing.feelers.at_frames(world_from_rest), len(rows)
        result = Contacts(np.zeros(count), np.zeros((count, 3)), np.zeros((count, 3)))
        if self._tissue is None:
            return result
        self._start(rows, points)
        moved = points - self._there_mm[rows]
        least = self._least_mm[rows] - np.sqrt(np.einsum("rpk,rpk->rp", moved, moved))
        ahead = np.einsum(
            "rpk,rk->rp", points - self.clearing.pivot_mm, world_from_rest[:, 0, :3, 2]
        )
        counted = self.clearing.counted[rows] & (ahead > self.clearing.around_mm)
        least[~counted] = np.inf
        going, some = np.arange(count), _AT_ONCE
        while True:
            depth = result.depth_mm[going]
            sought = least[going].min(axis=1) < -np.maximum(depth, floor_mm)
            going = going[sought & (depth <= enough_mm)]
            if not len(going):
                break
            some = min(some, least.shape[1])
            chosen = np.argpartition(least[going], some - 1, axis=1)[:, :some]
            row, point = np.repeat(going, some), chosen.ravel()
            asked = least[row, point] < -np.maximum(result.depth_mm[row], floor_mm)
            row, point = row[asked], point[asked]
            self._ask(rows, points, (row, point), result)
            least[row, point] = np.inf
            some = 2 * some
        return result

    def _start(
        self, rows: Int64[np.ndarray, "rows"], points: Float64[np.ndarray, "rows points 3"]
    ) -> None:
        """Ask for a few points of frames that are new; the others lie near them."""
        assert self._tissue is not None
        new = np.flatnonzero(np.isneginf(self._least_mm[rows]).all(axis=1))
        if not len(new):
            return
        leaders = np.unique(self._leader)
        at = points[new][:, leaders].reshape(-1, 3)
        asked = np.repeat(rows[new], len(leaders))
        least = (self._tissue.roughly(asked, at) - self._slack(asked)).reshape(len(new), -1)
        apart = np.linalg.norm(points[new] - points[new][:, self._leader], axis=2)
        self._least_mm[rows[new]] = least[:, np.searchsorted(leaders, self._leader)] - apart
        self._there_mm[rows[new]] = points[new]

    def _slack(self, rows: Int64[np.ndarray, "rows"]) -> Float64[np.ndarray, "rows"]:
        assert self._tissue is not None
        slack = self._tissue.slack_mm
        return np.asarray(slack[np.minimum(rows, len(slack) - 1)])

    def _ask(
        self,
        rows: Int64[np.ndarray, "rows"],
        points: Float64[np.ndarray, "rows points 3"],
        asked: tuple[Int64[np.ndarray, "asked"], Int64[np.ndarray, "asked"]],
        result: Contacts,
    ) -> None:
        """Measure some points, remember what is found, and enter what lies deeper than before."""
        assert self._tissue is not None
        row, place = asked[0], points[asked]
        distance = self._tissue.roughly(rows[row], place)
        least = distance - self._slack(rows[row])
        # far from an edge one point of the cover does not tell the side, so depth is always exact
        near = np.flatnonzero((distance < _NEAR_MM) & (least < -result.depth_mm[row]))
        distance[distance < _NEAR_MM] = np.inf  # until it is known exactly
        if len(near):
            distance[near] = self._measured(rows[row[near]], place[near])
            least[near] = distance[near]
        self._least_mm[rows[row], asked[1]], self._there_mm[rows[row], asked[1]] = least, place
        order = np.lexsort((-distance, row))
        last = order[np.flatnonzero(np.diff(row[order], append=-1))]
        last = last[-distance[last] > result.depth_mm[row[last]]]
        if len(last):
            result.depth_mm[row[last]], result.point_mm[row[last]] = -distance[last], place[last]
            result.way_out[row[last]] = self._tissue.nearest(rows[row[last]], place[last]).normal

    def _measured(
        self, rows: Int64[np.ndarray, "asked"], place: Float64[np.ndarray, "asked 3"]
    ) -> Float64[np.ndarray, "asked"]:
        """Exact signed distances; the deepest far inside of each frame is looked at twice."""
        assert self._tissue is not None
        found = self._tissue.nearest(rows, place)
        distance = found.distance_mm
        order = np.lexsort((-distance, rows))
        last = order[np.flatnonzero(np.diff(rows[order], append=-1))]
        last = last[distance[last] < -_NEAR_MM]
        if len(last):
            at_rest = self._tissue.at_rest(rows[last], place[last], found.face[last])
            wrong = rows[last[self.clearing.free(at_rest)]]
            outside = np.isin(rows, wrong) & (distance < -_NEAR_MM)
            distance = np.where(outside, -distance, distance)
        return distance


def _along_shaft(instrument: Instrument) -> Float64[np.ndarray, "points 3"]:
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    far = min(_FAR_MM, instrument.length_mm)
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1) * instrument.diameter_mm / 2
    heights = np.concatenate([np.arange(0, 12, 2.0), np.arange(12, far, 5.0)])
    return np.concatenate([ring - np.array([0.0, 0.0, z]) for z in heights])

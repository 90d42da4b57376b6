# SPDX-License-Identifier: Apache-2.0
"""Whether points lie in the free room, by how often the tissue winds around them.

The nearest triangle tells the side only where organs do not overlap; the winding number of the
whole surface tells it anyway. Far groups of triangles count as one, so that asking is quick.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

_CELL_MM = 16.0
_NEAR = 2.5  # groups nearer than this many of their radii are asked triangle by triangle


@dataclass(frozen=True, eq=False)
class Winding:
    """A surface in groups of triangles.

    Attributes:
        corners_mm: Corners of all triangles, those of a group together.
        start: First triangle of each group, and the number of all.
        area: Sum of the area vectors of each group.
        middle_mm: Middle of each group, world mm.
        radius_mm: How far its corners reach from there.
    """

    corners_mm: Float64[np.ndarray, "faces 3 3"]
    start: Int64[np.ndarray, "groups_and_end"]
    area: Float64[np.ndarray, "groups 3"]
    middle_mm: Float64[np.ndarray, "groups 3"]
    radius_mm: Float64[np.ndarray, "groups"]

    def at(self, points_mm: Float[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points"]:
        """How often the surface winds around each point; near whole numbers where it is closed.

        Source:
            Barill et al., *Fast winding numbers for soups and clouds*, ACM TOG 37 (2018), eq. 10.
        """
        points = np.asarray(points_mm, dtype=np.float64)
        return np.array([self._at(point) for point in points], dtype=np.float64)

    def _at(self, point: Float64[np.ndarray, "3"]) -> float:
        way = self.middle_mm - point
        far2 = (way * way).sum(axis=1)
        near = far2 < (_NEAR * self.radius_mm) ** 2
        total = ((self.area * way).sum(axis=1)[~near] / far2[~near] ** 1.5).sum()
        groups = np.flatnonzero(near)
        if len(groups):
            parts = [self.corners_mm[self.start[g] : self.start[g + 1]] for g in groups]
            total += _solid_angles(np.concatenate(parts) - point).sum()
        return float(total / (4 * np.pi))


def winding_of(
    vertices_mm: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Winding:
    """Group a surface's triangles by where they lie."""
    corners = np.asarray(vertices_mm, dtype=np.float64)[faces]
    cell = np.floor(corners.mean(axis=1) / _CELL_MM).astype(np.int64)
    cell -= cell.min(axis=0)
    group = np.ravel_multi_index(tuple(cell.T), tuple(cell.max(axis=0) + 1))
    order = np.argsort(group, kind="stable")
    corners, group = corners[order], group[order]
    start = np.concatenate([[0], np.flatnonzero(np.diff(group)) + 1, [len(group)]]).astype(np.int64)
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    size = np.linalg.norm(area, axis=1) + 1e-12
    weight = np.add.reduceat(size, start[:-1])[:, None]
    middle = np.add.reduceat(corners.mean(axis=1) * size[:, None], start[:-1]) / weight
    reach = np.linalg.norm(corners - np.repeat(middle, np.diff(start), axis=0)[:, None], axis=2)
    radius = np.maximum.reduceat(reach.max(axis=1), start[:-1])
    return Winding(corners, start, np.add.reduceat(area, start[:-1]), middle, radius)


def same_side(
    winding: Winding,
    points_mm: Float[np.ndarray, "points 3"],
    reference_mm: Float[np.ndarray, "references 3"],
) -> Bool[np.ndarray, "points"]:
    """True for points around which the surface winds as around most of the reference points."""
    usual = float(np.median(winding.at(reference_mm)))
    return np.abs(winding.at(points_mm) - usual) < 0.5


def _solid_angles(corners: Float64[np.ndarray, "faces 3 3"]) -> Float64[np.ndarray, "faces"]:
    """Signed solid angle of triangles seen from the origin.

    Source:
        Van Oosterom & Strackee, *The solid angle of a plane triangle*, IEEE TBME 1983.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    la, lb, lc = (np.linalg.norm(x, axis=1) for x in (a, b, c))
    volume = (a * np.cross(b, c)).sum(axis=1)
    rest = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
    return np.asarray(2 * np.arctan2(volume, rest), dtype=np.float64)

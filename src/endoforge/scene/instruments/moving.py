# SPDX-License-Identifier: Apache-2.0
"""Distances to tissue at many frames at once; frames in which it lies alike share a search tree."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.spatial import cKDTree

from endoforge.scene.instruments.contact import (
    COARSE_MM,
    NEIGHBOURS,
    Cover,
    Nearest,
    dots,
    nearest_among,
)
from endoforge.scene.instruments.workspace import LocalTissue

_ALIKE_MM = 0.6  # frames whose tissue differs by less share a tree
_EVERY = 4  # vertices that are compared for it, of smoothly moving tissue


@dataclass(frozen=True, eq=False)
class MovingTissue:
    """Tissue at every frame, ready for questions about distance.

    Attributes:
        cover: Points spread over its triangles.
        vertices_mm: Where its vertices are, world, one row for each frame or one for all.
        trees: The cover's points where they are in some of the frames.
        tree_of: Which tree each row asks.
        slack_mm: How much nearer tissue may be than the answers of `roughly`, in each row.
        rest_mm: Where its vertices are at rest.
    """

    cover: Cover
    vertices_mm: Float64[np.ndarray, "rows vertices 3"]
    trees: tuple[cKDTree, ...]
    tree_of: Int64[np.ndarray, "rows"]
    slack_mm: Float64[np.ndarray, "rows"]
    rest_mm: Float64[np.ndarray, "vertices 3"]

    def roughly(
        self, rows: Int64[np.ndarray, "points"], points_mm: Float64[np.ndarray, "points 3"]
    ) -> Float64[np.ndarray, "points"]:
        """Signed distance to a point of the cover that is about the nearest.

        Args:
            rows: The frame of each point.
            points_mm: World points, mm.
        """
        rows = np.minimum(rows, len(self.vertices_mm) - 1)
        found = self._found(rows, points_mm, 1)[:, 0]
        face = self.cover.owner[found]
        corners = self.vertices_mm[rows[:, None], self.cover.faces[face]]
        way = points_mm - np.einsum("nk,nkj->nj", self.cover.weights[found], corners)
        inside = dots(way, self.cover.corner_normals[face].sum(axis=1)) < 0
        distance = np.sqrt(dots(way, way))
        return np.asarray(np.where(inside, -distance, distance))

    def nearest(
        self, rows: Int64[np.ndarray, "points"], points_mm: Float64[np.ndarray, "points 3"]
    ) -> Nearest:
        """What lies nearest to each point in its frame; see `contact.nearest`.

        Args:
            rows: The frame of each point.
            points_mm: World points, mm.
        """
        rows = np.minimum(rows, len(self.vertices_mm) - 1)
        count = min(NEIGHBOURS, len(self.cover.owner))
        found = self.cover.owner[self._found(rows, points_mm, count)]
        corners = self.vertices_mm[rows[:, None, None], self.cover.faces[found]]
        return nearest_among(points_mm, found, corners, self.cover.corner_normals)

    def at_rest(
        self,
        rows: Int64[np.ndarray, "points"],
        points_mm: Float64[np.ndarray, "points 3"],
        face: Int64[np.ndarray, "points"],
    ) -> Float64[np.ndarray, "points 3"]:
        """Where points would be if they had moved with given triangles, taken back to rest."""
        rows, corners = np.minimum(rows, len(self.vertices_mm) - 1), self.cover.faces[face]
        way = self.vertices_mm[rows[:, None], corners] - self.rest_mm[corners]
        return np.asarray(points_mm - way.mean(axis=1))

    def _found(
        self,
        rows: Int64[np.ndarray, "points"],
        points_mm: Float64[np.ndarray, "points 3"],
        count: int,
    ) -> Int64[np.ndarray, "points count"]:
        """The nearest of the cover's points, in the trees of the points' frames."""
        found = np.empty((len(rows), count), np.int64)
        asked = self.tree_of[rows]
        for number, tree in enumerate(self.trees):
            own = np.flatnonzero(asked == number)
            if len(own):
                found[own] = tree.query(points_mm[own], k=count)[1].reshape(-1, count)
        return found


def moving_tissue(tissue: LocalTissue) -> MovingTissue | None:
    """Prepare tissue for questions at all of its frames; None if it has no area."""
    ready = tissue.cover
    if ready is None:
        return None
    some = tissue.vertices_mm[:, ::_EVERY]
    first: list[int] = []
    tree_of = np.zeros(len(some), np.int64)
    drift = np.zeros(len(some))
    for row, vertices in enumerate(some):
        for number, other in enumerate(first):
            apart = float(np.sqrt(((vertices - some[other]) ** 2).sum(axis=1).max(initial=0.0)))
            if apart <= _ALIKE_MM:
                tree_of[row], drift[row] = number, apart
                break
        else:
            tree_of[row] = len(first)
            first.append(row)
    trees = tuple(ready.at(tissue.vertices_mm[row]).tree for row in first)
    slack = COARSE_MM + 2 * 1.25 * drift
    rest = tissue.surface.vertices_mm.astype(np.float64)
    return MovingTissue(ready, tissue.vertices_mm, trees, tree_of, slack, rest)

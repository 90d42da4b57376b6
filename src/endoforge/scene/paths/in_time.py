# SPDX-License-Identifier: Apache-2.0
"""How near moving tissue and tools come to a camera, each at its own frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64
from scipy.spatial import cKDTree

from endoforge.scene.instruments.contact import Cover, Touchable, nearest
from endoforge.scene.motion import JoinedMotion
from endoforge.scene.records import Motion

_SAMPLES = 40  # frames of a sequence at which it is looked how far vertices go
_SLACK = 1.1  # between those frames they go this much farther at most
_SPACING_MM = 2.5  # a point of a surface is at most this far from the nearest of its cover
_ASKED = 64  # points of the cover whose triangles are asked


@dataclass(frozen=True, eq=False)
class Mover:
    """One motion's triangles, as a camera meets them.

    Attributes:
        motion: Of the vertices.
        cover: Points spread over the triangles that move.
        tree: Those points at rest, world mm.
        far_mm: How far each of them goes from its rest at most.
    """

    motion: Motion
    cover: Cover
    tree: cKDTree
    far_mm: Float64[np.ndarray, "points"]

    def clear_of(
        self, points_mm: Float[np.ndarray, "points 3"], frame: int, within_mm: float
    ) -> Float64[np.ndarray, "points"]:
        """Signed distance at a frame, mm; infinite where it is more than `within_mm`."""
        result = np.full(len(points_mm), np.inf)
        reach = within_mm + _SPACING_MM
        near = self.tree.query_ball_point(points_mm, reach + float(self.far_mm.max(initial=0.0)))
        vertices = None
        for row, (point, found) in enumerate(zip(points_mm, near, strict=True)):
            index = np.array(found, dtype=np.int64)
            away = np.linalg.norm(self.tree.data[index] - point, axis=1)
            index = index[away <= reach + self.far_mm[index]]
            if not len(index):
                continue
            vertices = self.motion.vertices_at(frame) if vertices is None else vertices
            corners = vertices[self.cover.faces[self.cover.owner[index]]].astype(np.float64)
            places = np.einsum("nk,nkj->nj", self.cover.weights[index], corners)
            away = np.linalg.norm(places - point, axis=1)
            if away.min() <= reach:
                order = np.argsort(away, kind="stable")[:_ASKED]
                few = Touchable(
                    corners[order],
                    self.cover.corner_normals[self.cover.owner[index[order]]],
                    cKDTree(places[order]),
                    np.arange(len(order)),
                    np.zeros(len(order), np.int64),
                )
                result[row] = nearest(few, point[None]).distance_mm[0]
        return np.where(result > within_mm, np.inf, result)


@dataclass(frozen=True, eq=False)
class InTime:
    """Everything that moves around a camera.

    Attributes:
        movers: One for each motion.
    """

    movers: tuple[Mover, ...] = ()

    def clear_of(
        self,
        points_mm: Float[np.ndarray, "points 3"],
        frames: Int64[np.ndarray, "points"],
        within_mm: float,
    ) -> Float64[np.ndarray, "points"]:
        """Distance from each point to what moves, when its frame is shown.

        Args:
            points_mm: World points, mm.
            frames: The frame at which each point counts.
            within_mm: Larger distances do not matter.

        Returns:
            Signed, below 0 inside tissue; infinite where it is more than `within_mm`.
        """
        result = np.full(len(points_mm), np.inf)
        for frame in np.unique(frames).tolist() if self.movers else ():
            rows = np.flatnonzero(frames == frame)
            for mover in self.movers:
                found = mover.clear_of(points_mm[rows], frame, within_mm)
                result[rows] = np.minimum(result[rows], found)
        return result


def in_time(
    whole: Cover, rest_mm: Float32[np.ndarray, "vertices 3"], motion: Motion | None, frames: int
) -> InTime:
    """Prepare what moves for questions about distance.

    Args:
        whole: All tissue and tools.
        rest_mm: Their vertices at rest, world.
        motion: How they move; None if nothing does.
        frames: Frames -1 to this one are asked for.
    """
    if motion is None:
        return InTime()
    parts = motion.parts if isinstance(motion, JoinedMotion) else ((motion, 0),)
    numbers = [*range(-1, frames + 1, max((frames + 2) // _SAMPLES, 1)), frames]
    found = [_mover(whole, rest_mm, one, first, numbers) for one, first in parts]
    return InTime(tuple(mover for mover in found if mover is not None))


def _mover(
    whole: Cover,
    rest_mm: Float32[np.ndarray, "vertices 3"],
    motion: Motion,
    first: int,
    frames: Sequence[int],
) -> Mover | None:
    """The triangles that one motion moves; None if there are none."""
    last = first + len(motion.moving)
    moves = np.zeros(len(rest_mm), dtype=bool)
    moves[first:last] = motion.moving
    kept = moves[whole.faces].any(axis=1)
    if not kept.any():
        return None
    far = np.zeros(last - first, np.float32)
    for frame in frames:
        way = motion.vertices_at(frame) - rest_mm[first:last]
        np.maximum(far, np.einsum("nk,nk->n", way, way), out=far)
    points = kept[whole.owner]
    own = Cover(
        faces=whole.faces[kept] - first,
        corner_normals=whole.corner_normals[kept],
        owner=(np.cumsum(kept) - 1)[whole.owner[points]],
        weights=whole.weights[points],
        instance=whole.instance[kept],
    )
    farthest = _SLACK * np.sqrt(far[own.faces].max(axis=1)).astype(np.float64)
    return Mover(motion, own, own.at(rest_mm[first:last]).tree, farthest[own.owner])

# SPDX-License-Identifier: Apache-2.0
"""Several motions over one merged surface: organs that breathe, tools that work, all as one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from endoforge.errors import ShapeError
from endoforge.scene.records import Motion


@dataclass(frozen=True, eq=False)
class JoinedMotion:
    """Each part moves a run of the vertices; the others stay.

    Attributes:
        rest_mm: All vertices at rest, world.
        parts: Motions, each with the number of its first vertex.
        moving: True for every vertex that ever leaves its rest position.
    """

    rest_mm: Float32[np.ndarray, "vertices 3"]
    parts: tuple[tuple[Motion, int], ...]
    moving: Bool[np.ndarray, "vertices"]

    def vertices_at(self, frame: int) -> Float32[np.ndarray, "vertices 3"]:
        """World positions of all vertices at a frame, mm."""
        vertices = self.rest_mm.copy()
        for motion, first in self.parts:
            vertices[first : first + len(motion.moving)] = motion.vertices_at(frame)
        return vertices


def joined(
    rest_mm: Float32[np.ndarray, "vertices 3"], parts: Sequence[tuple[Motion | None, int]]
) -> JoinedMotion | None:
    """Join motions of runs of one surface's vertices.

    Args:
        rest_mm: All vertices of the merged surface at rest, world mm.
        parts: Motions, each with the number of its first vertex in the merged surface; a part
            that is None stays at rest.

    Returns:
        The motion of the whole surface; None where nothing moves.

    Raises:
        ShapeError: Two parts claim the same vertices, or one goes beyond the surface.
    """
    found = [(motion, first) for motion, first in parts if motion is not None]
    moving = np.zeros(len(rest_mm), dtype=bool)
    taken = np.zeros(len(rest_mm), dtype=bool)
    for motion, first in found:
        last = first + len(motion.moving)
        if first < 0 or last > len(rest_mm) or taken[first:last].any():
            raise ShapeError(
                f"a motion of vertices {first} to {last} does not fit: the surface has "
                f"{len(rest_mm)}, and every vertex has one motion"
            )
        taken[first:last] = True
        moving[first:last] = motion.moving
    return JoinedMotion(rest_mm, tuple(found), moving) if found else None

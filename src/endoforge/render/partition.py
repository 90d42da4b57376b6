# SPDX-License-Identifier: Apache-2.0
"""Which part of a surface stays and which moves: two meshes, so that only one is rebuilt."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from endoforge.scene.records import Scene


@dataclass(frozen=True, eq=False)
class Partition:
    """A surface in the order of the kernel: what stays first, then what moves.

    Vertices on the border between the two appear twice, once on each side.

    Attributes:
        vertices: Which of the surface's vertices each of the kernel's vertices is.
        faces: Which of the surface's faces each of the kernel's faces is.
        corners: The kernel's vertices at the corners of each of its faces.
        fixed_vertices: How many vertices stay.
        fixed_faces: How many faces stay.
        still_faces: How many faces have no corner that ever moves; the faces between
            `fixed_faces` and these stay, but their neighbours' motion turns their normals.
    """

    vertices: Int[np.ndarray, "vertices"]
    faces: Int[np.ndarray, "faces"]
    corners: Int[np.ndarray, "faces 3"]
    fixed_vertices: int
    fixed_faces: int
    still_faces: int

    @property
    def moves(self) -> bool:
        """True when any part moves."""
        return self.fixed_faces < len(self.faces)


def partition(scene: Scene) -> Partition:
    """Split a scene's surface by its motion."""
    faces = scene.surface.faces
    count = len(scene.surface.vertices_mm)
    if scene.motion is None or not scene.motion.moving.any():
        everything = np.arange(len(faces))
        return Partition(
            np.arange(count), everything, faces, count, len(faces), still_faces=len(faces)
        )
    touched = np.any(scene.motion.moving[faces], axis=1)
    turning = np.any(_corners_of(faces[touched], count)[faces], axis=1)
    order = np.concatenate([np.flatnonzero(~turning), np.flatnonzero(turning & ~touched)])
    order = np.concatenate([order, np.flatnonzero(touched)])
    fixed = int(np.count_nonzero(~turning))
    stay, stay_corners = np.unique(faces[order[:fixed]], return_inverse=True)
    go, go_corners = np.unique(faces[order[fixed:]], return_inverse=True)
    return Partition(
        vertices=np.concatenate([stay, go]),
        faces=order,
        corners=np.concatenate(
            [stay_corners.reshape(-1, 3), go_corners.reshape(-1, 3) + len(stay)]
        ),
        fixed_vertices=len(stay),
        fixed_faces=fixed,
        still_faces=int(np.count_nonzero(~touched)),
    )


def _corners_of(faces: Int[np.ndarray, "some 3"], count: int) -> Bool[np.ndarray, "vertices"]:
    """True for every vertex of some faces."""
    mask = np.zeros(count, bool)
    mask[faces] = True
    return mask

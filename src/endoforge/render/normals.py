# SPDX-License-Identifier: Apache-2.0
"""Vertex normals that turn with the tissue around them."""

import numpy as np
from jaxtyping import Float, Float32, Int
from scipy.sparse import csr_matrix

_LEAST = 1e-20


def face_areas(
    positions: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "faces 3"]:
    """Normal of each face, as long as twice its area."""
    base = positions[faces[:, 0]]
    first, second = positions[faces[:, 1]] - base, positions[faces[:, 2]] - base
    areas: Float[np.ndarray, "faces 3"] = cross(first, second)
    return areas


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product of rows; several times faster than NumPy's for three columns."""
    result = np.empty_like(a)
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        result[:, k] = a[:, i] * b[:, j] - a[:, j] * b[:, i]
    return result


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays so."""
    length = np.sqrt(np.einsum("nk,nk->n", vectors, vectors))
    result: np.ndarray = vectors / np.maximum(length, _LEAST)[:, None]
    return result


def mesh_normals(
    positions: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float32[np.ndarray, "vertices 3"]:
    """Unit vertex normals from the faces around, weighted by area."""
    gather = incidence(faces, len(positions))
    return unit(gather @ face_areas(positions, faces)).astype(np.float32)


def incidence(faces: Int[np.ndarray, "faces 3"], count: int) -> csr_matrix:
    """The matrix that adds up the faces around each vertex, always in the same order."""
    rows = faces.ravel()
    columns = np.repeat(np.arange(len(faces)), 3)
    return csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (count, len(faces)))


class TurningNormals:
    """Given normals at rest, carried along when the vertices move.

    Each normal keeps its place in a frame of the mesh's own normal and one edge at the vertex, so
    that a rigid motion turns it exactly and a smooth deformation tilts it as it tilts the mesh.

    Attributes:
        neighbour: The other end of each vertex's edge.
        place: Components of the given normals along the mesh's normal, the edge, and across both.
    """

    def __init__(
        self,
        rest: Float32[np.ndarray, "vertices 3"],
        faces: Int[np.ndarray, "faces 3"],
        normals: Float32[np.ndarray, "vertices 3"],
    ) -> None:
        """Remember where the normals lie in their frames at rest."""
        self._faces = faces
        self._gather = incidence(faces, len(rest))
        self.neighbour = np.zeros(len(rest), np.int64)
        self.neighbour[faces] = np.roll(faces, -1, axis=1)
        frame = self._frames(rest)
        self.place = [np.einsum("nk,nk->n", axis, normals) for axis in frame]

    def at(self, positions: Float32[np.ndarray, "vertices 3"]) -> Float32[np.ndarray, "vertices 3"]:
        """Unit normals for other positions of the vertices."""
        frame = self._frames(positions)
        mixed = sum(p[:, None] * axis for p, axis in zip(self.place, frame, strict=True))
        return unit(np.asarray(mixed)).astype(np.float32)

    def _frames(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        normal = unit(self._gather @ face_areas(positions, self._faces))
        edge = positions[self.neighbour] - positions
        along = np.einsum("nk,nk->n", edge, normal)[:, None]
        tangent = unit(edge - along * normal)
        return normal, tangent, cross(normal, tangent)

# SPDX-License-Identifier: Apache-2.0
"""Folds found on a surface that came without labels, by how far the wall stands into the lumen."""

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int32, UInt8

from endoforge.scene.anatomy.lumen import neighbour_mean
from endoforge.scene.anatomy.surfaces import face_normals, vertex_normals
from endoforge.scene.records import Surface

_WALL, _FOLD = 1, 2

# Chosen on drawn colons, whose folds are known: Dice 0.74. The limit lies below 0 because evening
# out a tube narrows it.
_SCALE_MM = 7.0  # over which the surface is evened out to see what stands above it
_STANDS_MM = -0.7


def standing_mm(
    vertices_mm: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    normals: Float[np.ndarray, "vertices 3"],
) -> Float64[np.ndarray, "vertices"]:
    """How far each vertex stands into the lumen above the evened-out surface, mm."""
    vertices = np.asarray(vertices_mm, dtype=np.float64)
    area = 0.5 * np.linalg.norm(face_normals(vertices, faces), axis=1)
    edge = float(np.sqrt(area.mean() * 4 / np.sqrt(3)))
    mean = neighbour_mean(faces, len(vertices))
    even = vertices
    for _ in range(int(np.clip(2 * (_SCALE_MM / edge) ** 2, 4, 400))):
        even = mean @ even
    return np.asarray(((vertices - even) * normals).sum(axis=1), dtype=np.float64)


def plain_surface(
    vertices_mm: Float32[np.ndarray, "vertices 3"], faces: Int32[np.ndarray, "faces 3"]
) -> Surface:
    """A surface without objects: folds are labelled where it stands out, the tint is even."""
    normals = vertex_normals(vertices_mm, faces)
    stands = standing_mm(vertices_mm, faces, normals)
    return Surface(
        vertices_mm=vertices_mm,
        faces=faces,
        normals=normals,
        tint=np.ones_like(vertices_mm),
        face_label=_labels(stands, faces),
        face_instance=np.zeros(len(faces), np.uint16),
    )


def _labels(
    stands: Float64[np.ndarray, "vertices"], faces: Int[np.ndarray, "faces 3"]
) -> UInt8[np.ndarray, "faces"]:
    fold = stands[faces].mean(axis=1) > _STANDS_MM
    return np.where(fold, _FOLD, _WALL).astype(np.uint8)

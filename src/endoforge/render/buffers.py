# SPDX-License-Identifier: Apache-2.0
"""What stays on the device for all frames: the records of the mesh and the lens's rays.

Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np
from jaxtyping import UInt32

from endoforge.geometry.cameras import Camera, pixel_centres
from endoforge.render.arrays import aligned, padded
from endoforge.render.normals import mesh_normals
from endoforge.render.partition import Partition
from endoforge.scene.records import Surface

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

_INSTANCE_SHIFT, _MATERIAL_SHIFT = 8, 24

#: Side of the tiles in which the lanes take the pixels, px.
TILE = 4


@dataclass(frozen=True, eq=False)
class MeshBuffers:
    """Flat records of a surface, to be read at a hit.

    Attributes:
        faces: Four whole numbers per face: three vertices, label + instance * 256 + material * 2²⁴.
        vertices: Eight floats per vertex: tint, blood and bile, place in the rest frame.
        rest_normals: Four floats per vertex: normal in the rest frame, 0.
        counts: How many faces stay, and how many have no moving corner.
    """

    faces: Any
    vertices: Any
    rest_normals: Any
    counts: Any


def upload_mesh(surface: Surface, parts: Partition) -> MeshBuffers:
    """Put the records of a surface on the device, in the order of the kernel."""
    rest = surface.vertices_mm if surface.texture_mm is None else surface.texture_mm
    stain = surface.stain
    if stain is None:
        stain = np.zeros((len(rest), 2), np.float32)
    normals = surface.normals
    if surface.texture_mm is not None:
        normals = mesh_normals(rest, surface.faces)
    records = np.hstack([surface.tint, stain, rest])[parts.vertices]
    buffers = MeshBuffers(
        faces=mi.UInt32(
            aligned(
                np.column_stack([parts.corners.astype(np.uint32), _meaning(surface)[parts.faces]])
            )
        ),
        vertices=mi.Float(aligned(records)),
        rest_normals=mi.Float(aligned(padded(normals[parts.vertices]))),
        counts=mi.UInt32(aligned(np.array([parts.fixed_faces, parts.still_faces], np.uint32))),
    )
    dr.eval(buffers.faces, buffers.vertices, buffers.rest_normals, buffers.counts)
    return buffers


def _meaning(surface: Surface) -> UInt32[np.ndarray, "faces"]:
    """Label, instance and material of each face in one whole number."""
    instance = surface.face_instance.astype(np.uint32) * np.uint32(1 << _INSTANCE_SHIFT)
    meaning: UInt32[np.ndarray, "faces"] = surface.face_label.astype(np.uint32) + instance
    if surface.face_material is not None:
        meaning += surface.face_material.astype(np.uint32) * np.uint32(1 << _MATERIAL_SHIFT)
    return meaning


@dataclass(frozen=True, eq=False)
class LensBuffers:
    """What the lens says about each pixel."""

    rays: Any
    field: Any
    centres: Any
    pixels: Any  # where each lane's pixel lies in the image, row by row


def upload_lens(camera: Camera) -> LensBuffers:
    """Put the lens's rays on the device, in the order in which the lanes take the pixels."""
    order = tile_order(camera.width, camera.height)
    rays = camera.rays().reshape(-1, 3)[order]
    known = np.isfinite(rays[:, 2])
    filled = np.where(known[:, None], rays, (0.0, 0.0, 1.0)).astype(np.float32)
    centres = pixel_centres(camera.width, camera.height).reshape(-1, 2)[order].astype(np.float32)
    buffers = LensBuffers(
        rays=mi.Vector3f(*(mi.Float(aligned(column)) for column in filled.T)),
        field=mi.Bool(aligned(known)),
        centres=mi.Vector2f(*(mi.Float(aligned(column)) for column in centres.T)),
        pixels=mi.UInt32(aligned(order.astype(np.uint32))),
    )
    dr.eval(buffers.rays, buffers.field, buffers.centres, buffers.pixels)
    return buffers


def tile_order(width: int, height: int) -> np.ndarray:
    """Pixel numbers, tile by tile: neighbours in a packet of lanes meet the same triangles."""
    row, column = np.divmod(np.arange(width * height), width)
    return np.lexsort((column, row, column // TILE, row // TILE))

# SPDX-License-Identifier: Apache-2.0
"""What stays on the device for all frames: the mesh, the vessel pattern and the lens's rays.

Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np

from endoforge.geometry.cameras import Camera, pixel_centres
from endoforge.optics.texture import TissueTexture
from endoforge.scene.records import Surface

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

_INSTANCE_SHIFT = 8
_ALIGNMENT = 64  # bytes

#: Side of the tiles in which the lanes take the pixels, px.
TILE = 4


def aligned(array: np.ndarray) -> np.ndarray:
    """Copy numbers to one row that starts on a 64-byte border.

    Dr.Jit uses NumPy's memory as it lies, and how it lies becomes part of the kernel: unaligned
    arrays would mean another compilation for every scene.
    """
    room = np.empty(array.nbytes + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    row = room[start : start + array.nbytes].view(array.dtype)
    row[:] = array.ravel()
    return row


@dataclass(frozen=True, eq=False)
class MeshBuffers:
    """A surface on the device: the ray tracer's scene and flat records to read at a hit."""

    scene: Any
    faces: Any  # 4 whole numbers per face: three vertices, label + instance * 256
    face_normals: Any  # 4 floats per face: geometric normal, 0
    vertices: Any  # 8 floats per vertex: normal, 0, tint, 0


def upload_mesh(surface: Surface, centre: np.ndarray) -> MeshBuffers:
    """Build the acceleration structure and the records of a surface, relative to a centre."""
    positions = (surface.vertices_mm.astype(np.float64) - centre).astype(np.float32)
    mesh = mi.Mesh("surface", len(positions), len(surface.faces))
    values = mi.traverse(mesh)
    values["vertex_positions"] = mi.Float(aligned(positions))
    values["faces"] = mi.UInt32(aligned(surface.faces.astype(np.uint32)))
    values.update()
    meaning = surface.face_label + surface.face_instance.astype(np.uint32) * 2**_INSTANCE_SHIFT
    nothing = np.zeros((len(positions), 1), np.float32)
    vertices = np.hstack([surface.normals, nothing, surface.tint, nothing])
    buffers = MeshBuffers(
        scene=mi.load_dict({"type": "scene", "surface": mesh}),
        faces=mi.UInt32(aligned(np.column_stack([surface.faces, meaning]).astype(np.uint32))),
        face_normals=mi.Float(aligned(_facets(positions, surface.faces))),
        vertices=mi.Float(aligned(vertices)),
    )
    dr.eval(buffers.faces, buffers.face_normals, buffers.vertices)
    return buffers


def _facets(positions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Geometric normal of each face, padded to four numbers."""
    corners = positions[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-30)
    return np.pad(across, ((0, 0), (0, 1)))


def upload_texture(texture: TissueTexture) -> Any:
    """Put the pyramid on the device: two whole numbers of four bytes per texel."""
    words = mi.UInt32(aligned(texture.packed().view(np.uint32)))
    dr.eval(words)
    return words


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

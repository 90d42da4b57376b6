# SPDX-License-Identifier: Apache-2.0
"""Simple rooms whose free space is known: a tube, and a box with a ball in it."""

import numpy as np
import trimesh

from endoforge.scene.paths.room import Room
from endoforge.scene.paths.targets import Target
from endoforge.scene.records import Centreline, Surface


def surface_of(mesh: trimesh.Trimesh, inwards: bool = False) -> Surface:
    """A labelled surface of a mesh; turned over for rooms that are looked at from inside."""
    faces = mesh.faces[:, ::-1] if inwards else mesh.faces
    normals = -mesh.vertex_normals if inwards else mesh.vertex_normals
    count = len(mesh.vertices)
    return Surface(
        vertices_mm=mesh.vertices.astype(np.float32),
        faces=np.ascontiguousarray(faces).astype(np.int32),
        normals=np.asarray(normals).astype(np.float32),
        tint=np.ones((count, 3), np.float32),
        face_label=np.ones(len(faces), np.uint8),
        face_instance=np.zeros(len(faces), np.uint16),
    )


def tube(radius_mm: float = 20.0, length_mm: float = 300.0) -> Room:
    """A closed straight tube along z from 0, with a target on its wall halfway."""
    mesh = trimesh.creation.cylinder(radius=radius_mm, height=length_mm, sections=96)
    mesh.apply_translation([0, 0, length_mm / 2])
    mesh = mesh.subdivide_to_size(5.0)
    z = np.arange(10.0, length_mm - 9.5)
    line = np.stack([0 * z, 0 * z, z], axis=1)
    wall = np.array([radius_mm, 0.0, length_mm / 2])
    return Room(
        surface_of(mesh, inwards=True),
        Centreline(line, np.full(len(z), 0.995 * radius_mm)),
        (Target("polyp-1", wall, 4.0, np.array([-1.0, 0.0, 0.0])),),
    )


def theatre() -> Room:
    """A box of 300 x 200 x 300 mm with a ball, the liver, in it; a port in its front wall (+y)."""
    box = trimesh.creation.box((300.0, 200.0, 300.0)).subdivide_to_size(12.0)
    ball = trimesh.creation.icosphere(4, 60.0)
    ball.apply_translation([0.0, -20.0, 60.0])
    walls, organ = surface_of(box, inwards=True), surface_of(ball)
    joined = Surface(
        vertices_mm=np.concatenate([walls.vertices_mm, organ.vertices_mm]),
        faces=np.concatenate([walls.faces, organ.faces + np.int32(len(walls.vertices_mm))]),
        normals=np.concatenate([walls.normals, organ.normals]),
        tint=np.concatenate([walls.tint, organ.tint]),
        face_label=np.concatenate([3 * walls.face_label, organ.face_label]),
        face_instance=np.concatenate([walls.face_instance, organ.face_instance + np.uint16(1)]),
    )
    front = np.array([0.0, -20.0, 0.0])
    return Room(
        joined,
        None,
        (
            Target("liver", front, 40.0, np.array([0.0, 0.0, -1.0])),
            Target("gallbladder", np.array([30.0, 10.0, 20.0]), 10.0, np.array([0.5, 0.4, -0.8])),
        ),
        (Target("port-camera", np.array([0.0, 100.0, -100.0]), 6.0, np.array([0.0, -1.0, 0.0])),),
    )


def room_beside(point: np.ndarray) -> float:
    """Signed distance of a point of the theatre to its walls and ball, by hand, mm."""
    walls = float((np.array([150.0, 100.0, 150.0]) - np.abs(point)).min())
    ball = float(np.linalg.norm(point - (0.0, -20.0, 60.0))) - 60.0
    return min(walls, ball)

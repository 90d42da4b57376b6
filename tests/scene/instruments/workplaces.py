# SPDX-License-Identifier: Apache-2.0
"""Small places to work on: an organ like an egg, ports above it, and what moves it."""

from dataclasses import dataclass

import numpy as np
import trimesh

from endoforge.scene.instruments.workspace import Workspace
from endoforge.scene.paths.targets import Target
from endoforge.scene.records import ABDOMEN_LABELS, Surface


def surface_of(mesh: trimesh.Trimesh, instance: int = 3) -> Surface:
    count = len(mesh.vertices)
    return Surface(
        vertices_mm=np.array(mesh.vertices, np.float32),
        faces=np.array(mesh.faces, np.int32),
        normals=np.array(mesh.vertex_normals, np.float32),
        tint=np.ones((count, 3), np.float32),
        face_label=np.ones(len(mesh.faces), np.uint8),
        face_instance=np.full(len(mesh.faces), instance, np.uint16),
    )


@dataclass(frozen=True, eq=False)
class Breathing:
    """Everything goes up and down together."""

    rest: np.ndarray
    size_mm: float = 6.0

    @property
    def moving(self) -> np.ndarray:
        return np.ones(len(self.rest), dtype=bool)

    def vertices_at(self, frame: int) -> np.ndarray:
        lift = self.size_mm * np.sin(2 * np.pi * frame / 20)
        return (self.rest + np.array([0.0, lift, 0.0])).astype(np.float32)


def egg(frames: int = 16, breathing: bool = False) -> Workspace:
    """An egg of 80 by 60 by 70 mm about the origin with ports 110 mm away."""
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=1.0)
    mesh.vertices *= [40.0, 30.0, 35.0]
    surface = surface_of(mesh)
    top = np.array([0.0, 30.0, 0.0])
    side = np.array([40.0 / np.sqrt(2), 30.0 / np.sqrt(2), 0.0])
    ports = [
        Target("port-right", np.array([80.0, 100.0, 20.0]), 6.0, np.array([-0.6, -0.8, 0.0])),
        Target("port-left", np.array([-90.0, 90.0, -10.0]), 6.0, np.array([0.6, -0.8, 0.0])),
        Target("port-far", np.array([0.0, 600.0, 0.0]), 6.0, np.array([0.0, -1.0, 0.0])),
    ]
    targets = [
        Target("top", top, 8.0, np.array([0.0, 1.0, 0.0])),
        Target("side", side, 8.0, np.array([0.6, 0.8, 0.0])),
    ]
    motion = Breathing(surface.vertices_mm) if breathing else None
    return Workspace(surface, targets, ports, frames, ABDOMEN_LABELS, motion)

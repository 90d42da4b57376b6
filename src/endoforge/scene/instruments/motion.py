# SPDX-License-Identifier: Apache-2.0
"""An instrument in the world over time: its moving vertices, key points and joint values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from endoforge.errors import SceneError
from endoforge.scene.instruments.records import Instrument, labelled
from endoforge.scene.pulls import Pull
from endoforge.scene.records import Landmark, Surface


@dataclass(frozen=True, eq=False)
class ArticulatedMotion:
    """Vertices that move with the parts they belong to.

    Attributes:
        rest_mm: Vertices at rest in the tool frame, mm.
        part: Part that each vertex belongs to.
        world_from_rest: Pose of each part for frames -1 to one past the last.
    """

    rest_mm: Float64[np.ndarray, "vertices 3"]
    part: Int64[np.ndarray, "vertices"]
    world_from_rest: Float64[np.ndarray, "frames parts 4 4"]

    @cached_property
    def moving(self) -> Bool[np.ndarray, "vertices"]:
        """True for every vertex of a part whose pose ever changes."""
        still = (self.world_from_rest == self.world_from_rest[:1]).all(axis=(0, 2, 3))
        return np.asarray(~still[self.part])

    def vertices_at(self, frame: int) -> Float32[np.ndarray, "vertices 3"]:
        """World positions at a frame from -1 to one past the last, mm.

        Raises:
            SceneError: The instrument's motion was made for fewer frames.
        """
        if not -1 <= frame < len(self.world_from_rest) - 1:
            last = len(self.world_from_rest) - 2
            raise SceneError(f"a tool moves in frames -1 to {last}, got {frame}; place it anew")
        pose = self.world_from_rest[frame + 1][self.part]
        turned = np.einsum("vij,vj->vi", pose[:, :3, :3], self.rest_mm)
        return np.asarray(turned + pose[:, :3, 3], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class PlacedInstrument:
    """An instrument in a scene.

    Attributes:
        instrument: The tool at rest in its own frame.
        instance: Its object number.
        surface: Its mesh in the world at frame 0; patterns are laid in the tool frame.
        motion: Where its vertices are at every frame.
        landmarks: Its key points, and where the shaft passes the port, at every frame.
        joints: Value of each joint for frames -1 to one past the last: rad, mm or a share.
        pulls: Tissue that its jaws hold.
        facts: Plain values that stay the same: kind, port, target, behaviour, sizes.
        penetration_mm: Greatest depth in tissue at any frame, jaws that hold tissue left out.
    """

    instrument: Instrument
    instance: int
    surface: Surface
    motion: ArticulatedMotion
    landmarks: tuple[Landmark, ...]
    joints: Mapping[str, Float64[np.ndarray, "frames"]]
    pulls: tuple[Pull, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    penetration_mm: float = 0.0

    def facts_at(self, frame: int) -> dict[str, Any]:
        """Plain values of one frame: joints, the tool's and each part's pose."""
        poses = self.motion.world_from_rest[frame + 1]
        parts = {p.name: poses[k].tolist() for k, p in enumerate(self.instrument.parts)}
        joints = {name: float(values[frame + 1]) for name, values in self.joints.items()}
        return {
            **self.facts,
            "instance": self.instance,
            "joints": joints,
            "world_from_part": parts,
        }


def place(
    instrument: Instrument,
    instance: int,
    labels: Mapping[int, str],
    world_from_rest: Float64[np.ndarray, "frames parts 4 4"],
) -> PlacedInstrument:
    """Put an instrument into the world; joints, pulls and facts are added by the caller.

    Args:
        instrument: The tool.
        instance: Its object number.
        labels: The scene's class names.
        world_from_rest: Pose of each part for frames -1 to one past the last.
    """
    sizes = [part.vertices[1] - part.vertices[0] for part in instrument.parts]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    rest = instrument.surface.vertices_mm
    motion = ArticulatedMotion(rest.astype(np.float64), owner, world_from_rest)
    own = labelled(instrument, labels, instance)
    turned = np.einsum("vij,vj->vi", world_from_rest[1][owner][:, :3, :3], own.normals)
    surface = replace(
        own,
        vertices_mm=motion.vertices_at(0),
        normals=(turned / np.linalg.norm(turned, axis=1, keepdims=True)).astype(np.float32),
        texture_mm=rest,
    )
    marks = landmarks_of(instrument, instance, world_from_rest)
    return PlacedInstrument(instrument, instance, surface, motion, marks, {})


def landmarks_of(
    instrument: Instrument,
    instance: int,
    world_from_rest: Float64[np.ndarray, "frames parts 4 4"],
) -> tuple[Landmark, ...]:
    """Every key point with the pose of the part that it belongs to, its origin at the point."""
    found = []
    for name, point in instrument.keypoints.items():
        poses = world_from_rest[:, point.part].copy()
        poses[:, :3, 3] += poses[:, :3, :3] @ point.point_mm
        poses[:, :3, :3] = _rigid(poses[:, :3, :3])
        found.append(Landmark(f"{instrument.name}-{instance}/{name}", instance, poses))
    return tuple(found)


def _rigid(
    turns: Float64[np.ndarray, "frames 3 3"],
) -> Float64[np.ndarray, "frames 3 3"]:
    """The rotations in matrices that a squeeze joint may have narrowed."""
    if np.abs(np.linalg.det(turns) - 1).max() < 1e-9:
        return turns
    u, _, v = np.linalg.svd(turns)
    return np.asarray(u @ v)

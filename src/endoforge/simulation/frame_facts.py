# SPDX-License-Identifier: Apache-2.0
"""The facts that go with every frame: lights, sensor, boxes, key points, tracks, and the draw."""

from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Int64

from endoforge.frames.facts import (
    Part,
    TrackedPoints,
    boxes_of,
    choose_vertices,
    keypoints_of,
    tracks_of,
)
from endoforge.frames.frame import Frame
from endoforge.simulation.equipment import tool_facts
from endoforge.simulation.label_choice import LabelName
from endoforge.simulation.shot import Shot

_POSES_TO_CHOOSE_FROM = 5


class Chronicle:
    """Writes the facts of the frames of one sequence."""

    def __init__(self, shot: Shot, wanted: tuple[LabelName, ...]) -> None:
        """Choose the points that are tracked through the sequence."""
        self._shot, self._wanted = shot, wanted
        self._tracked = _choose_points(shot) if "tracks" in wanted else None
        self._material = _vertex_material(shot)

    def facts_of(self, frame: Frame) -> dict[str, Any]:
        """The facts of one frame; the first also holds what was drawn for the sequence."""
        shot, pose = self._shot, frame.camera_from_world
        facts: dict[str, Any] = {
            "lights": [asdict(light) for light in shot.lights],
            "sensor": asdict(shot.sensor),
            "materials": list(shot.scene.materials),
            "continuous": shot.path.continuous,
            "pose_group": shot.draw.pose_group,
            "condition": shot.draw.condition,
            "previous_camera_from_world": shot.path.moments[frame.index, 0].tolist(),
        }
        if shot.tools:
            facts["instruments"] = tool_facts(shot.tools, frame.index)
        if "boxes" in self._wanted:
            facts["objects"] = boxes_of(frame.label, frame.instance, shot.scene.labels)
        if "keypoints" in self._wanted:
            facts["keypoints"] = keypoints_of(
                self._parts(frame.index), frame.camera, pose, frame.depth_mm, frame.instance
            )
        if self._tracked is not None:
            points = self._points(self._tracked, frame.index)
            facts["tracks"] = tracks_of(points, frame.camera, pose, frame.depth_mm)
        if frame.index == 0:
            facts["draw"] = shot.draw.record()
        return facts

    def _parts(self, index: int) -> list[Part]:
        return [
            Part(mark.name, mark.instance, mark.world_from_part[index + 1])
            for mark in self._shot.scene.landmarks
        ]

    def _points(self, vertices: Int64[np.ndarray, "points"], index: int) -> TrackedPoints:
        surface, motion = self._shot.scene.surface, self._shot.scene.motion
        there = surface.vertices_mm if motion is None else motion.vertices_at(index)
        rest = surface.vertices_mm if surface.texture_mm is None else surface.texture_mm
        return TrackedPoints(
            number=np.arange(len(vertices), dtype=np.int64),
            points_mm=there[vertices],
            texture_mm=rest[vertices],
            material=self._material[vertices],
        )


def _choose_points(shot: Shot) -> Int64[np.ndarray, "points"]:
    poses = shot.path.camera_from_world
    spread = np.linspace(0, len(poses) - 1, _POSES_TO_CHOOSE_FROM).astype(int)
    return choose_vertices(
        shot.scene.surface.vertices_mm,
        shot.camera,
        list(poses[np.unique(spread)]),
        shot.draw.settings.tracked_points,
        shot.draw.stream("trajectory", "tracks"),
    )


def _vertex_material(shot: Shot) -> np.ndarray:
    """Material of a vertex as in `Frame.material`: that of its last triangle, counted from 1."""
    surface = shot.scene.surface
    material = np.ones(len(surface.vertices_mm), np.uint8)
    if surface.face_material is not None:
        material[surface.faces] = surface.face_material[:, None] + np.uint8(1)
    return material

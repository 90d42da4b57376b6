# SPDX-License-Identifier: Apache-2.0
"""The scene at one instant on the device: what stays, what moves, and where its vertices are.

Import this file after `render.engine.start`.
"""

from dataclasses import dataclass
from typing import Any

import drjit
import mitsuba
import numpy as np
from jaxtyping import Float32, Int

from endoforge.render.arrays import aligned, padded
from endoforge.render.partition import Partition
from endoforge.render.turning import Turning
from endoforge.scene.records import Scene

dr: Any = drjit  # their type stubs describe one variant; ours is chosen at run time
mi: Any = mitsuba

#: A frame, the one before it and the one after it.
_KEPT = 3


@dataclass(frozen=True, eq=False)
class Moment:
    """What a ray can meet at one instant, relative to the scene's centre.

    Attributes:
        fixed: Ray tracer of the faces that stay, or None.
        moving: Ray tracer of the faces that move, or None.
        positions: All vertices, four floats each.
    """

    fixed: Any
    moving: Any
    positions: Any


class Moments:
    """Keeps the last few instants of a scene; a step forward builds one new ray tracer."""

    def __init__(self, scene: Scene, parts: Partition, centre: np.ndarray) -> None:
        """Build what never changes."""
        self._parts, self._motion = parts, scene.motion
        self._centre = centre.astype(np.float32)
        self._rest = self._relative(scene.surface.vertices_mm)
        fixed, corners = parts.fixed_vertices, parts.corners
        self._fixed_scene = None
        if parts.fixed_faces > 0:
            self._fixed_scene = _tracer(self._rest[:fixed], corners[: parts.fixed_faces], False)[1]
        self._moving_corners = corners[parts.fixed_faces :] - fixed
        given = scene.surface.normals[parts.vertices]
        self._kept: dict[int, tuple[Any, Moment]] = {}
        self._still = Moment(self._fixed_scene, None, mi.Float(aligned(padded(self._rest))))
        self._normals = mi.Float(aligned(padded(given)))
        self._normals_frame: int | None = None
        self._open: tuple[Any, Moment] | None = None
        self._turning = Turning(parts, self._rest, given) if parts.moves else None

    def at(self, frame: int, beside: tuple[int, ...] = ()) -> Moment:
        """The scene at a frame.

        Args:
            frame: Which frame.
            beside: Frames that are wanted at the same time and must be kept.
        """
        if not self._parts.moves or self._motion is None:
            return self._still
        if frame not in self._kept:
            moved = self._relative(self._motion.vertices_at(frame))
            self._kept[frame] = self._rebuilt(self._spare(frame, beside), moved)
        return self._kept[frame][1]

    def between(self, frame: int, share: float) -> Moment:
        """The scene near a frame, while the shutter is open; valid until the next call.

        Args:
            frame: Which frame.
            share: How far on the way to the next frame, or below 0 to the previous one; vertices
                go straight.
        """
        if not self._parts.moves or share == 0:
            return self.at(frame)
        other = frame + (1 if share > 0 else -1)
        here, there = (
            np.array(self.at(k, (frame - 1, frame, frame + 1)).positions).reshape(-1, 4)[:, :3]
            for k in (frame, other)
        )
        moved = here + np.float32(abs(share)) * (there - here)
        self._open = self._rebuilt(self._open, moved)
        return self._open[1]

    def normals(self, frame: int) -> Any:
        """Vertex normals at a frame, four floats each."""
        if self._turning is not None and frame != self._normals_frame:
            self._normals, self._normals_frame = self.normals_of(self.at(frame)), frame
        return self._normals

    def normals_of(self, moment: Moment) -> Any:
        """Vertex normals at an instant, four floats each."""
        if self._turning is None:
            return self._normals
        return self._turning.at(moment.positions)

    def _relative(
        self, vertices_mm: Float32[np.ndarray, "all 3"]
    ) -> Float32[np.ndarray, "vertices 3"]:
        # the centre is a whole number of mm, so that single precision loses nothing here
        placed: Float32[np.ndarray, "vertices 3"] = vertices_mm[self._parts.vertices] - self._centre
        return placed

    def _spare(self, frame: int, beside: tuple[int, ...]) -> tuple[Any, Moment] | None:
        """The kept frame that lies farthest from a wanted one, to be built anew, or None."""
        if len(self._kept) < _KEPT:
            return None
        idle = [known for known in self._kept if known not in beside]
        return self._kept.pop(max(idle, key=lambda known: abs(known - frame)))

    def _rebuilt(
        self, spare: tuple[Any, Moment] | None, moved: Float32[np.ndarray, "vertices 3"]
    ) -> tuple[Any, Moment]:
        place = moved[self._parts.fixed_vertices :]
        if spare is None:
            values, tracer = _tracer(place, self._moving_corners, True)
        else:
            values, tracer = spare[0], spare[1].moving
            values["surface.vertex_positions"] = mi.Float(aligned(place))
            values.update()
        return values, Moment(self._fixed_scene, tracer, mi.Float(aligned(padded(moved))))


def _tracer(
    positions: Float32[np.ndarray, "some 3"], corners: Int[np.ndarray, "faces 3"], quick: bool
) -> tuple[Any, Any]:
    """A ray tracer of one mesh: its values that can be changed, and itself.

    Args:
        positions: Vertices relative to the scene's centre, mm.
        corners: Three vertices for each face.
        quick: Build several times faster and trace a little slower. Embree then leaves out
            spatial splits; its robust mode is the only switch for them that Mitsuba hands on.
    """
    mesh = mi.Mesh("surface", len(positions), len(corners))
    values = mi.traverse(mesh)
    values["vertex_positions"] = mi.Float(aligned(positions))
    values["faces"] = mi.UInt32(aligned(corners.astype(np.uint32)))
    values.update()
    scene = {"type": "scene", "surface": mesh}
    if mi.variant().startswith("llvm"):  # OptiX would refuse the word
        scene["embree_use_robust_intersections"] = quick
    tracer = mi.load_dict(scene)
    return mi.traverse(tracer), tracer

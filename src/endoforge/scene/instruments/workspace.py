# SPDX-License-Identifier: Apache-2.0
"""What instruments work on: places by name, and the tissue around them at every frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from endoforge.errors import SceneError
from endoforge.scene.instruments.contact import Cover, Touchable, cover, nearest, touchable
from endoforge.scene.paths.inside import Winding, winding_of
from endoforge.scene.paths.targets import Target
from endoforge.scene.records import Motion, Surface

#: Ports that a laparoscope takes.
CAMERA_PORTS = ("port-camera", "camera")

_DOOR_MM = 20.0  # behind a port the room is free


@dataclass(frozen=True, eq=False)
class Workspace:
    """The scene without instruments.

    Attributes:
        surface: Organs and walls at rest, facing the free side.
        targets: Places to work on.
        ports: Where shafts enter; their normals point into the body.
        frames: Length of the sequence.
        labels: The scene's class names.
        motion: How the surface moves without instruments; None if it stands still.
    """

    surface: Surface
    targets: Sequence[Target]
    ports: Sequence[Target]
    frames: int
    labels: Mapping[int, str]
    motion: Motion | None = None

    @property
    def next_instance(self) -> int:
        """The first object number that is free."""
        return int(self.surface.face_instance.max(initial=0)) + 1

    def free(self, points_mm: Float64[np.ndarray, "points 3"]) -> Bool[np.ndarray, "points"]:
        """True for points that lie with the tissue at rest in the room that the ports lead to."""
        winding, usual = self._winding
        return np.asarray(np.abs(winding.at(points_mm) - usual) < 0.5)

    @cached_property
    def _winding(self) -> tuple[Winding, float]:
        winding = winding_of(self.surface.vertices_mm, self.surface.faces)
        doors = np.array([port.point_mm + _DOOR_MM * port.normal for port in self.ports])
        return winding, float(np.median(winding.at(doors)))


def place_named(places: Sequence[Target], name: str, what: str) -> Target:
    """The place of that name; ``"right"`` finds ``"port-right"`` too.

    Raises:
        SceneError: There is none; lists those that exist.
    """
    for place in places:
        if place.name in (name, f"port-{name}"):
            return place
    known = ", ".join(place.name for place in places) or "none"
    raise SceneError(f"the anatomy has no {what} {name!r}; it has {known}")


def ports_for(ports: Sequence[Target], name: str, others: bool) -> list[Target]:
    """The ports to try, the named one first; never the camera's, unless it is named.

    Raises:
        SceneError: There is none of that name.
    """
    wanted = place_named(ports, name, "port")
    rest = [p for p in ports if p is not wanted and p.name not in CAMERA_PORTS]
    return [wanted, *(rest if others else [])]


@dataclass(frozen=True, eq=False)
class LocalTissue:
    """Tissue in a box, at every frame.

    Attributes:
        surface: The triangles in the box with their vertices at rest.
        vertices_mm: Those vertices for frames -1 to one past the last, or once if they stand still.
    """

    surface: Surface
    vertices_mm: Float64[np.ndarray, "frames vertices 3"]

    @cached_property
    def cover(self) -> Cover | None:
        """Points spread over the tissue; None if it has no area."""
        return cover(self.surface)

    def at(self, row: int) -> Touchable | None:
        """The tissue of one row of frames, ready for questions."""
        if self.cover is None:
            return None
        return self.cover.at(self.vertices_mm[min(row, len(self.vertices_mm) - 1)])

    @property
    def still(self) -> bool:
        """Whether all frames are alike."""
        return len(self.vertices_mm) == 1


def local_tissue(
    work: Workspace, low_mm: Float[np.ndarray, "3"], high_mm: Float[np.ndarray, "3"]
) -> LocalTissue:
    """Cut out the tissue that touches a box.

    Args:
        work: The whole scene.
        low_mm: Lower corner, world mm.
        high_mm: Upper corner, world mm.
    """
    corners = work.surface.vertices_mm[work.surface.faces]
    inside = (corners.max(axis=1) >= low_mm) & (corners.min(axis=1) <= high_mm)
    kept = inside.all(axis=1)
    used, faces = np.unique(work.surface.faces[kept], return_inverse=True)
    surface = _part_of(work.surface, kept, used, faces.reshape(-1, 3))
    if work.motion is None or not work.motion.moving[used].any():
        vertices = surface.vertices_mm[None].astype(np.float64)
    else:
        rows = range(-1, work.frames + 1)
        vertices = np.stack([work.motion.vertices_at(k)[used] for k in rows]).astype(np.float64)
    return LocalTissue(surface, vertices)


@dataclass(frozen=True, eq=False)
class Held:
    """A place of tissue that an instrument works on.

    Attributes:
        tissue: What lies around it at rest.
        point_mm: The nearest point of the surface at rest, world mm.
        instance: Object that it belongs to.
        path_mm: Where that tissue is without instruments, frames -1 to one past the last.
    """

    tissue: Touchable
    point_mm: Float64[np.ndarray, "3"]
    instance: int
    path_mm: Float64[np.ndarray, "frames 3"]


def tissue_under(tissue: LocalTissue, target: Target, frames: int) -> Held:
    """Find the tissue at a target and follow it.

    Raises:
        SceneError: There is no tissue around the target.
    """
    ready = touchable(tissue.surface)
    if ready is None:
        raise SceneError(
            f"there is no tissue near the target {target.name!r} at "
            f"{np.round(target.point_mm, 1).tolist()} mm; put the target on an organ"
        )
    found = nearest(ready, target.point_mm[None])
    tied = _vertex_near(tissue.surface, found.point_mm[0])
    path = tissue.vertices_mm[:, tied] - tissue.surface.vertices_mm[tied] + found.point_mm[0]
    path = np.broadcast_to(path, (frames + 2, 3)) if tissue.still else path
    return Held(ready, found.point_mm[0], int(ready.instance[found.face[0]]), np.array(path))


def _vertex_near(surface: Surface, point_mm: Float64[np.ndarray, "3"]) -> int:
    return int(np.linalg.norm(surface.vertices_mm - point_mm, axis=1).argmin())


def _part_of(
    surface: Surface,
    kept: Bool[np.ndarray, "all_faces"],
    used: Int[np.ndarray, "vertices"],
    faces: Int[np.ndarray, "faces 3"],
) -> Surface:
    return Surface(
        vertices_mm=surface.vertices_mm[used],
        faces=faces.astype(np.int32),
        normals=surface.normals[used],
        tint=surface.tint[used],
        face_label=surface.face_label[kept],
        face_instance=surface.face_instance[kept],
    )

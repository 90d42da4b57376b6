# SPDX-License-Identifier: Apache-2.0
"""Where a camera may be: the tissue around it, the places to look at, and the ways in."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64

from endoforge.errors import SceneError
from endoforge.scene.instruments.contact import Cover, Touchable, cover
from endoforge.scene.paths.in_time import InTime, in_time
from endoforge.scene.paths.inside import Winding, same_side, winding_of
from endoforge.scene.paths.targets import Target
from endoforge.scene.records import Centreline, Motion, Surface
from endoforge.scene.volume.walls import VolumeTissue

#: What a camera keeps clear of, ready for questions about distance: triangles, or a CT's walls.
Tissue = Touchable | VolumeTissue

_REFERENCES = 9
_DOOR_MM, _FRONT_MM = 20.0, 3.0


@dataclass(frozen=True, eq=False)
class Room:
    """An anatomy as a camera path sees it.

    Attributes:
        surface: All tissue: triangles that face the room, or the walls in a CT.
        centreline: Where a tube may be travelled; None where there is no lumen.
        targets: Places to look at.
        ports: Places where a laparoscope may enter, their normals pointing inwards.
        motion: How the tissue, and tools among it, move; None if they are still.
    """

    surface: Surface | VolumeTissue
    centreline: Centreline | None = None
    targets: tuple[Target, ...] = ()
    ports: tuple[Target, ...] = ()
    motion: Motion | None = None

    @cached_property
    def tissue(self) -> Tissue:
        """The tissue at rest, ready for questions about distance.

        Raises:
            SceneError: There is none.
        """
        if isinstance(self.surface, VolumeTissue):
            return self.surface
        return self._cover.at(self.surface.vertices_mm)

    def in_time(self, frames: int) -> InTime:
        """What moves, ready for questions about distance at the frames from -1 to `frames`."""
        if isinstance(self.surface, VolumeTissue):
            return InTime()
        return in_time(self._cover, self.surface.vertices_mm, self.motion, frames)

    @cached_property
    def _cover(self) -> Cover:
        assert isinstance(self.surface, Surface)  # a CT has no triangles
        ready = cover(self.surface)
        if ready is None:
            raise SceneError("the anatomy must have triangles to keep clear of, got none")
        return ready

    def holds(self, points_mm: Float64[np.ndarray, "points 3"]) -> Bool[np.ndarray, "points"]:
        """True for points in the room that cameras share: in no organ, and in front of the walls.

        Judged by a few points that surely lie there: on the centre line, inside the ports, or in
        front of the targets. A CT tells it by its own values.
        """
        if isinstance(self.surface, VolumeTissue):
            return self.surface.holds(points_mm)
        return same_side(self._winding, points_mm, self._surely_free())

    @cached_property
    def _winding(self) -> Winding:
        assert isinstance(self.surface, Surface)  # a CT is asked for its values instead
        return winding_of(self.surface.vertices_mm, self.surface.faces)

    def _surely_free(self) -> Float64[np.ndarray, "points 3"]:
        if self.centreline is not None:
            line = self.centreline.points_mm
            return np.asarray(
                line[np.linspace(0, len(line) - 1, _REFERENCES + 2).astype(int)[1:-1]]
            )
        doors = [port.point_mm + _DOOR_MM * port.normal for port in self.ports]
        places = [target.point_mm + _FRONT_MM * target.normal for target in self.targets]
        if not doors + places:
            raise SceneError("an anatomy needs a centre line, a port or a target, got none of them")
        return np.stack((doors + places)[:_REFERENCES])

    def lumen(self) -> Centreline:
        """The centre line.

        Raises:
            SceneError: The anatomy has no lumen.
        """
        if self.centreline is None:
            raise SceneError(
                "a fly-through needs an anatomy with a lumen and a centre line, got one without; "
                "choose trajectory.path inspection, laparoscope or views"
            )
        return self.centreline

    def port(self, name: str) -> Target:
        """The port of a name.

        Raises:
            SceneError: There is none of that name.
        """
        for port in self.ports:
            if port.name == name:
                return port
        raise SceneError(f"no port is called {name!r}; this anatomy has {_names(self.ports)}")

    def targets_named(self, name: str) -> list[Target]:
        """Targets of a name, or whose name begins so ("polyp" finds "polyp-3"); all for "".

        Raises:
            SceneError: There is none.
        """
        exact = [target for target in self.targets if target.name == name]
        found = exact or [target for target in self.targets if target.name.startswith(name)]
        if not found:
            wanted = repr(name) if name else "any name"
            raise SceneError(f"no target has {wanted}; this anatomy has {_names(self.targets)}")
        return found

    def any_target(self, name: str, rng: np.random.Generator) -> Target:
        """Draw one of the targets of a name.

        Raises:
            SceneError: There is none.
        """
        found = self.targets_named(name)
        return found[int(rng.integers(len(found)))]


def _names(targets: Sequence[Target]) -> str:
    return ", ".join(target.name for target in targets) or "none"

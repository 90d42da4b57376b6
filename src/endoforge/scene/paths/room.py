# SPDX-License-Identifier: Apache-2.0
"""Where a camera may be: the tissue around it, the places to look at, and the ways in."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from endoforge.errors import SceneError
from endoforge.scene.instruments.contact import Touchable, touchable
from endoforge.scene.paths.targets import Target
from endoforge.scene.records import Centreline, Surface


@dataclass(frozen=True, eq=False)
class Room:
    """An anatomy as a camera path sees it.

    Attributes:
        surface: All tissue; its triangles face the room.
        centreline: Where a tube may be travelled; None where there is no lumen.
        targets: Places to look at.
        ports: Places where a laparoscope may enter, their normals pointing inwards.
    """

    surface: Surface
    centreline: Centreline | None = None
    targets: tuple[Target, ...] = ()
    ports: tuple[Target, ...] = ()

    @cached_property
    def tissue(self) -> Touchable:
        """The tissue, ready for questions about distance.

        Raises:
            SceneError: There is none.
        """
        tissue = touchable(self.surface)
        if tissue is None:
            raise SceneError("the anatomy must have triangles to keep clear of, got none")
        return tissue

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

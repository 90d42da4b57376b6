# SPDX-License-Identifier: Apache-2.0
"""From settings to an anatomy, whichever kind they name."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from endoforge.errors import SceneError
from endoforge.scene.anatomy.colon import colon
from endoforge.scene.anatomy.settings import ColonSettings, MaskAnatomy, MeshAnatomy
from endoforge.scene.records import Centreline, Surface


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A lumen without its look.

    Attributes:
        surface: All tissue in one labelled mesh.
        centreline: Where a camera may go.
        provenance: Where it came from and under which licence.
    """

    surface: Surface
    centreline: Centreline
    provenance: Mapping[str, str]


def build_anatomy(
    settings: ColonSettings | MaskAnatomy | MeshAnatomy, rng: np.random.Generator
) -> Anatomy:
    """Build the anatomy that the settings name.

    Args:
        settings: A drawn colon, a mask or a mesh file.
        rng: Random numbers of this one anatomy; files use none.

    Raises:
        SceneError: The anatomy cannot be used; says why and what to do.
        DataError: The file is damaged or not what it claims to be.
    """
    match settings:
        case ColonSettings():
            surface, centreline = colon(settings, rng)
            return Anatomy(surface, centreline, _DRAWN)
        case _:
            raise SceneError(f"{type(settings).__name__} is not available yet; draw a colon")


_DRAWN = {
    "source": "drawn by endoforge.scene.anatomy.colon",
    "licence": "Apache-2.0",
}

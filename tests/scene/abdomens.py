# SPDX-License-Identifier: Apache-2.0
"""Coarse drawn abdomens, made once, and pieces of their surfaces."""

from functools import cache

import numpy as np

from endoforge.scene.anatomy.abdomen.anatomy import AbdomenAnatomy
from endoforge.scene.anatomy.abdomen.build import build_abdomen
from endoforge.scene.anatomy.abdomen.settings import AbdomenSettings

#: Made in a second.
COARSE = AbdomenSettings(resolution_mm=3.0)


@cache
def abdomen_of(seed: int) -> AbdomenAnatomy:
    """The coarse abdomen of one seed."""
    return build_abdomen(COARSE, np.random.default_rng(seed))


def part(surface, instance):
    """Vertices and faces of one object."""
    faces = surface.faces[surface.face_instance == instance]
    used, index = np.unique(faces, return_inverse=True)
    return surface.vertices_mm[used], index.reshape(-1, 3).astype(np.int32)

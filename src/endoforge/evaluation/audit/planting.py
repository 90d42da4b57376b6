# SPDX-License-Identifier: Apache-2.0
"""Known damage by name: what the audit is calibrated and measured with."""

from collections.abc import Sequence

import numpy as np

from endoforge.evaluation.audit.cues import Scene
from endoforge.evaluation.audit.damage import (
    Classes,
    Picture,
    blur,
    draw_bump,
    draw_organ,
    invent_organ,
    remove_organ,
    swap_textures,
    warp,
)

#: Each damage and the expert that is to see it.
EXPERT_OF = {
    "warp of 2 px": "moved",
    "warp of 4 px": "moved",
    "warp of 8 px": "moved",
    "warp of 16 px": "moved",
    "organ removed": "lost",
    "organ invented": "invented",
    "textures swapped": "swapped",
    "blur": "blurred",
}
DAMAGES = tuple(EXPERT_OF)

#: Below what the score calls damage.
TOO_SMALL = frozenset({"warp of 2 px"})

_BLUR_PX = (2.0, 4.0)
_TRIES = 6


def plant(
    damage: str,
    picture: Picture,
    scene: Scene,
    donors: Sequence[tuple[Picture, Classes]],
    rng: np.random.Generator,
) -> Picture | None:
    """Damage a good translation; None if the scene offers no place where it would be seen.

    Args:
        damage: One of `DAMAGES`.
        picture: The good translation.
        scene: What it is a translation of.
        donors: Translations of other frames in the same look, with their tissues; an invented organ
            is taken from them.
        rng: Draws where and how.

    Raises:
        KeyError: There is no such damage.
    """
    kind = EXPERT_OF[damage]
    if kind == "moved":
        bump = draw_bump(scene.borders, picture, float(damage.split()[2]), rng)
        return None if bump is None else warp(picture, bump)
    if kind == "blurred":
        return blur(picture, float(rng.uniform(*_BLUR_PX)))
    if kind == "swapped":
        return swap_textures(picture, scene.tissue, rng)
    attempts = (_organ(kind, picture, scene, donors, rng) for _ in range(_TRIES))
    return next((found for found in attempts if found is not None), None)


def _organ(
    kind: str,
    picture: Picture,
    scene: Scene,
    donors: Sequence[tuple[Picture, Classes]],
    rng: np.random.Generator,
) -> Picture | None:
    if kind == "lost":
        organ = draw_organ(picture, scene.tissue, rng)
        return None if organ is None else remove_organ(picture, scene.tissue, organ)
    donor, tissue = donors[int(rng.integers(len(donors)))]
    organ = draw_organ(donor, tissue, rng, largest=0.1)
    return None if organ is None else invent_organ(picture, scene.tissue, (donor, organ), rng)

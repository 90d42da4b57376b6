# SPDX-License-Identifier: Apache-2.0
"""Everything random about an abdomen, drawn around the organs that are given, if any."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from endoforge.scene.anatomy.abdomen.biliary import Biliary, sample_biliary
from endoforge.scene.anatomy.abdomen.cavity import Cavity, fitted, sample_cavity
from endoforge.scene.anatomy.abdomen.dissection import Dissection, sample_dissection
from endoforge.scene.anatomy.abdomen.fat import Fat, sample_fat
from endoforge.scene.anatomy.abdomen.gallbladder import Gallbladder, sample_gallbladder
from endoforge.scene.anatomy.abdomen.given import seen_gallbladder, seen_liver
from endoforge.scene.anatomy.abdomen.hollow import (
    Tube,
    sample_colon_tube,
    sample_small_bowel,
    sample_spleen,
    sample_stomach,
)
from endoforge.scene.anatomy.abdomen.ligament import Ligament, sample_ligament
from endoforge.scene.anatomy.abdomen.liver import Liver, LiverBed, sample_liver
from endoforge.scene.anatomy.abdomen.motion import Moves, sample_moves
from endoforge.scene.anatomy.abdomen.organs import Organ
from endoforge.scene.anatomy.abdomen.settings import AbdomenSettings


@dataclass(frozen=True, eq=False)
class AbdomenDraw:
    """Everything random about an abdomen; `tubes` are stomach, bowel and spleen by name."""

    cavity: Cavity
    liver: Liver
    gallbladder: Gallbladder
    biliary: Biliary
    tubes: Mapping[str, Tube]
    fat: Fat
    ligament: Ligament
    moves: Moves | None
    dissection: Dissection


def sample_abdomen(
    settings: AbdomenSettings, rng: np.random.Generator, given: Mapping[str, Organ] | None = None
) -> AbdomenDraw:
    """Draw everything random about an abdomen.

    Args:
        settings: Ranges to draw from.
        rng: Random numbers of this one abdomen.
        given: Organs that are there already, by name; what is drawn fits around them.
    """
    given = given or {}
    sling = sample_ligament(settings.ligament, rng)
    liver = sample_liver(settings.liver, sling.x_mm, rng)
    bed: LiverBed = seen_liver(given["liver"]) if "liver" in given else liver
    bladder = sample_gallbladder(settings.gallbladder, bed, rng)
    if "gallbladder" in given:
        bladder = seen_gallbladder(given["gallbladder"], bladder)
    room = sample_cavity(settings.cavity, rng)
    if given:
        room = fitted(room, np.concatenate([o.vertices_mm for o in given.values()], dtype=float))
    tubes = (*sample_stomach(settings.bowel, rng), sample_colon_tube(settings.bowel, rng))
    small = sample_small_bowel(settings.bowel, rng)
    named = {t.name: t for t in (*tubes, small, sample_spleen(rng)) if t is not None}
    ducts = sample_biliary(settings.gallbladder, bed, bladder, rng)
    return AbdomenDraw(
        cavity=room,
        liver=liver,
        gallbladder=bladder,
        biliary=ducts,
        tubes=named,
        fat=sample_fat(settings.fat, rng),
        ligament=sling,
        moves=sample_moves(settings.motion, rng) if settings.motion else None,
        dissection=sample_dissection(settings.dissection, ducts.exposure, rng),
    )

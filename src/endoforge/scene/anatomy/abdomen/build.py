# SPDX-License-Identifier: Apache-2.0
"""From settings to an abdomen, whichever kind they name."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from endoforge.scene.anatomy.abdomen import cavity, motion
from endoforge.scene.anatomy.abdomen.anatomy import AbdomenAnatomy, ports_of, targets_of
from endoforge.scene.anatomy.abdomen.drawing import AbdomenDraw, sample_abdomen
from endoforge.scene.anatomy.abdomen.fitting import drawn_organs
from endoforge.scene.anatomy.abdomen.organs import MATERIALS, Organ, one_surface
from endoforge.scene.anatomy.abdomen.settings import AbdomenSettings
from endoforge.scene.anatomy.abdomen.volumes import Volume
from endoforge.scene.records import Surface

#: Where a drawn abdomen came from.
DRAWN_PROVENANCE = {
    "source": "drawn by endoforge.scene.anatomy.abdomen",
    "licence": "Apache-2.0",
}


def build_abdomen(settings: AbdomenSettings, rng: np.random.Generator) -> AbdomenAnatomy:
    """Build the abdomen that the settings name.

    Args:
        settings: Ranges to draw from, or where the organs come from.
        rng: Random numbers of this one abdomen.

    Returns:
        All organs in one labelled surface, with where to look, where to enter and how it moves.

    Raises:
        SceneError: The organs cannot be used, or the settings leave one no room.
        DataError: A file is damaged or not what it claims to be.
    """
    return shape_abdomen(sample_abdomen(settings, rng), settings)


def shape_abdomen(
    draw: AbdomenDraw,
    settings: AbdomenSettings,
    given: Mapping[str, Organ] | None = None,
    provenance: Mapping[str, str] = DRAWN_PROVENANCE,
) -> AbdomenAnatomy:
    """Turn a drawn abdomen into a mesh; no randomness is left.

    Args:
        draw: What was drawn.
        settings: Says how finely.
        given: Organs that keep their place, by name.
        provenance: Where they came from.
    """
    room = cavity.cavity_volume(draw.cavity, settings.resolution_mm)
    organs = _hanging(drawn_organs(draw, room, settings.resolution_mm, given), draw, room)
    surface, instances = one_surface(organs)
    surface = _with_diaphragm(surface, draw.cavity, instances["abdominal wall"])
    ports = ports_of(room)
    view = ports[0].point_mm + 40.0 * ports[0].normal
    chosen = [o for o in organs if o.name not in ("abdominal wall", "bed")]
    places = {
        "neck": draw.gallbladder.axis_mm[-5],
        "fundus": draw.gallbladder.axis_mm[6],
        "triangle": draw.biliary.corners_mm.mean(axis=0),
    }
    return AbdomenAnatomy(
        surface=surface,
        materials=MATERIALS,
        targets=targets_of(chosen, places, view),
        ports=ports,
        instances=instances,
        motion=_motion(surface, draw, room),
        gravity=np.array(draw.cavity.gravity),
        provenance=provenance,
    )


def _hanging(organs: list[Organ], draw: AbdomenDraw, room: Volume) -> list[Organ]:
    """Let the organs hang down the tilted body; the wall stays."""
    if draw.moves is None:
        return organs
    down, sag = np.array(draw.cavity.gravity), draw.moves.sag_mm
    return [replace(o, vertices_mm=motion.sagged(o.vertices_mm, room, down, sag)) for o in organs]


def _motion(surface: Surface, draw: AbdomenDraw, room: Volume) -> motion.BodyMotion | None:
    if draw.moves is None:
        return None
    wall = np.zeros(len(surface.vertices_mm), dtype=bool)
    wall[surface.faces[surface.face_instance == 1]] = True  # the wall comes first
    field = motion.BodyField(room, draw.cavity.top, draw.moves)
    return motion.body_motion(surface.vertices_mm, field, wall)


def _with_diaphragm(surface: Surface, room: cavity.Cavity, wall: int) -> Surface:
    """Name the upper part of the wall diaphragm."""
    middle = surface.vertices_mm[surface.faces].mean(axis=1, dtype=np.float64)
    above = (surface.face_instance == wall) & cavity.is_diaphragm(room, middle)
    label = np.where(above, np.uint8(cavity.DIAPHRAGM_LABEL), surface.face_label)
    assert surface.face_material is not None
    material = np.where(above, np.uint8(cavity.diaphragm_material()), surface.face_material)
    return replace(surface, face_label=label, face_material=material)

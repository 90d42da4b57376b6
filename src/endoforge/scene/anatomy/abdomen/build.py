# SPDX-License-Identifier: Apache-2.0
"""From settings to a drawn abdomen: every organ drawn, fitted to its neighbours, and joined."""

from dataclasses import dataclass, replace

import numpy as np

from endoforge.scene.anatomy.abdomen import (
    biliary,
    cavity,
    fat,
    gallbladder,
    hollow,
    ligament,
    liver,
    motion,
)
from endoforge.scene.anatomy.abdomen.anatomy import AbdomenAnatomy, ports_of, targets_of
from endoforge.scene.anatomy.abdomen.organs import MATERIALS, Organ, one_surface, organ_from
from endoforge.scene.anatomy.abdomen.settings import AbdomenSettings
from endoforge.scene.anatomy.abdomen.volumes import Volume, carved, kept_inside
from endoforge.scene.records import Surface

#: Where a drawn abdomen came from.
DRAWN_PROVENANCE = {
    "source": "drawn by endoforge.scene.anatomy.abdomen",
    "licence": "Apache-2.0",
}

_GAP_MM = 0.3
_ROUND_MM = 1.5
_FINE_MM = 1.0


@dataclass(frozen=True, eq=False)
class AbdomenDraw:
    """Everything random about an abdomen."""

    cavity: cavity.Cavity
    liver: liver.Liver
    gallbladder: gallbladder.Gallbladder
    biliary: biliary.Biliary
    stomach: hollow.Tube
    duodenum: hollow.Tube
    colon: hollow.Tube
    small_bowel: hollow.Tube | None
    spleen: hollow.Tube
    fat: fat.Fat
    ligament: ligament.Ligament
    moves: motion.Moves | None


def build_abdomen(settings: AbdomenSettings, rng: np.random.Generator) -> AbdomenAnatomy:
    """Draw an upper abdomen.

    Args:
        settings: Ranges to draw from.
        rng: Random numbers of this one abdomen.

    Returns:
        All organs in one labelled surface, with where to look, where to enter and how it moves.

    Raises:
        SceneError: The settings leave an organ no room.
    """
    return shape_abdomen(sample_abdomen(settings, rng), settings)


def sample_abdomen(settings: AbdomenSettings, rng: np.random.Generator) -> AbdomenDraw:
    """Draw everything random about an abdomen."""
    sling = ligament.sample_ligament(settings.ligament, rng)
    organ = liver.sample_liver(settings.liver, sling.x_mm, rng)
    bladder = gallbladder.sample_gallbladder(settings.gallbladder, organ, rng)
    stomach, duodenum = hollow.sample_stomach(settings.bowel, rng)
    return AbdomenDraw(
        cavity=cavity.sample_cavity(settings.cavity, rng),
        liver=organ,
        gallbladder=bladder,
        biliary=biliary.sample_biliary(settings.gallbladder, organ, bladder, rng),
        stomach=stomach,
        duodenum=duodenum,
        colon=hollow.sample_colon_tube(settings.bowel, rng),
        small_bowel=hollow.sample_small_bowel(settings.bowel, rng),
        spleen=hollow.sample_spleen(rng),
        fat=fat.sample_fat(settings.fat, rng),
        ligament=sling,
        moves=motion.sample_moves(settings.motion, rng) if settings.motion else None,
    )


def shape_abdomen(draw: AbdomenDraw, settings: AbdomenSettings) -> AbdomenAnatomy:
    """Turn a drawn abdomen into a mesh; no randomness is left."""
    room = cavity.cavity_volume(draw.cavity, settings.resolution_mm)
    organs = _hanging(drawn_organs(draw, room, settings.resolution_mm), draw, room)
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
        provenance=DRAWN_PROVENANCE,
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


def drawn_organs(draw: AbdomenDraw, room: Volume, step_mm: float) -> list[Organ]:
    """All organs of a drawn abdomen, each cut where one before it in line already lies."""
    bladder = gallbladder.gallbladder_volume(draw.gallbladder, _FINE_MM)
    duct = _fitted(biliary.duct_body(draw.biliary, _FINE_MM * 0.6), room, [bladder])
    artery = _fitted(biliary.artery_body(draw.biliary, _FINE_MM * 0.6), room, [bladder, duct])
    body = liver.liver_volume(draw.liver, room, step_mm)
    body = carved(liver.drawn_up(body, bladder), [bladder], _GAP_MM, 3.5)
    body = _fitted(body, room, [duct, artery])
    organs = [
        cavity.wall_organ(draw.cavity, room),
        liver.liver_organ(draw.liver, body),
        gallbladder.gallbladder_organ(draw.gallbladder, bladder),
        organ_from("cystic duct", biliary.DUCT_LABEL, "duct", duct, 3),
        organ_from("cystic artery", biliary.ARTERY_LABEL, "artery", artery, 3),
    ]
    above = [bladder, duct, artery, body]
    for tube in (draw.stomach, draw.duodenum, draw.colon, draw.small_bowel, draw.spleen):
        if tube is not None:
            above.append(_fitted(hollow.tube_body(tube, 1.2 * step_mm), room, above))
            organs.append(hollow.hollow_organ(tube, above[-1]))
    fine = min(step_mm, 1.5)
    cord = _fitted(biliary.ligament_body(draw.biliary, fine), room, above)
    organs.append(fat.fat_organ("hepatoduodenal ligament", draw.fat, cord, 0.6))
    organs[-1] = replace(organs[-1], label=biliary.LIGAMENT_LABEL)
    above.append(cord)
    sheet = _fitted(biliary.triangle_body(draw.biliary, _FINE_MM), room, above)
    organs.append(fat.fat_organ("hepatocystic triangle", draw.fat, sheet, 0.4))
    organs[-1] = replace(organs[-1], label=biliary.TRIANGLE_LABEL)
    above.append(sheet)
    bed = _fitted(fat.bed_volume(room, draw.fat, 1.5 * step_mm), room, above)
    organs.append(fat.fat_organ("bed", draw.fat, bed, 0.3))
    apron = fat.omentum_volume(draw.fat, room, [*above[5:8], bed], step_mm)
    apron = fat.with_bands(apron, draw.fat, draw.gallbladder.axis_mm[8:], step_mm)
    apron = _fitted(apron, room, [*above, bed])
    organs.append(fat.fat_organ("omentum", draw.fat, apron, 1.0))
    return [*organs, *ligament.ligament_organs(draw.ligament, body, room)]


def _fitted(body: Volume, room: Volume, others: list[Volume]) -> Volume:
    """A body within the room, cut where others already lie."""
    return carved(kept_inside(body, room, 0.6, 4.0), others, _GAP_MM, _ROUND_MM)


def _with_diaphragm(surface: Surface, room: cavity.Cavity, wall: int) -> Surface:
    """Name the upper part of the wall diaphragm."""
    middle = surface.vertices_mm[surface.faces].mean(axis=1, dtype=np.float64)
    above = (surface.face_instance == wall) & cavity.is_diaphragm(room, middle)
    label = np.where(above, np.uint8(cavity.DIAPHRAGM_LABEL), surface.face_label)
    assert surface.face_material is not None
    material = np.where(above, np.uint8(cavity.diaphragm_material()), surface.face_material)
    return replace(surface, face_label=label, face_material=material)

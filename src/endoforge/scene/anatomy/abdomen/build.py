# SPDX-License-Identifier: Apache-2.0
"""From settings to an abdomen, whichever kind they name."""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

import numpy as np
from jaxtyping import Float64

from endoforge.scene.anatomy.abdomen import cavity, motion
from endoforge.scene.anatomy.abdomen.anatomy import AbdomenAnatomy, ports_of, targets_of
from endoforge.scene.anatomy.abdomen.dissection import dissected
from endoforge.scene.anatomy.abdomen.drawing import AbdomenDraw, sample_abdomen
from endoforge.scene.anatomy.abdomen.fitting import drawn_organs
from endoforge.scene.anatomy.abdomen.from_ct import organs_from_ct
from endoforge.scene.anatomy.abdomen.from_meshes import joined_records, organs_from_meshes
from endoforge.scene.anatomy.abdomen.given import Given
from endoforge.scene.anatomy.abdomen.organs import MATERIALS, Organ, one_surface
from endoforge.scene.anatomy.abdomen.settings import AbdomenSettings, CtAbdomen, MeshAbdomen
from endoforge.scene.anatomy.abdomen.volumes import Volume
from endoforge.scene.records import Surface

#: Where a drawn abdomen came from.
DRAWN_PROVENANCE = {
    "source": "drawn by endoforge.scene.anatomy.abdomen",
    "licence": "Apache-2.0",
}


#: Nothing but what is drawn.
NOTHING = Given({}, DRAWN_PROVENANCE, True)


def build_abdomen(
    settings: AbdomenSettings | CtAbdomen | MeshAbdomen,
    rng: np.random.Generator,
    given: Given | None = None,
) -> AbdomenAnatomy:
    """Build the abdomen that the settings name.

    Args:
        settings: Ranges to draw from, or where the organs come from.
        rng: Random numbers of this one abdomen.
        given: The organs, if they have been read already.

    Returns:
        All organs in one labelled surface, with where to look, where to enter and how it moves.

    Raises:
        SceneError: The organs cannot be used, or the settings leave one no room.
        DataError: A file is damaged or not what it claims to be.
    """
    if isinstance(settings, AbdomenSettings):
        return shape_abdomen(sample_abdomen(settings, rng), settings)
    given = given or given_by(settings)
    drawn = settings.drawn
    return shape_abdomen(sample_abdomen(drawn, rng, given.organs), drawn, given)


def given_by(settings: CtAbdomen | MeshAbdomen) -> Given:
    """The organs that come from a user's files.

    Raises:
        SceneError: The organs cannot be used.
        DataError: A file is damaged or not what it claims to be.
    """
    match settings:
        case CtAbdomen():
            return given_by_ct(settings)
        case MeshAbdomen():
            return given_by_meshes(settings)
        case _:
            assert_never(settings)


def given_by_ct(settings: CtAbdomen) -> Given:
    """The organs of a CT, some of them replaced by meshes.

    Raises:
        SceneError: A name is unknown, there is no liver, or a mesh is unusable.
        DataError: A file is damaged, the gantry was tilted, or slices are missing.
    """
    step_mm = settings.drawn.resolution_mm
    organs, shift, record = organs_from_ct(settings.masks, settings.names, step_mm)
    if settings.meshes:
        meshes, _, more = organs_from_meshes(settings.meshes, step_mm, shift)
        organs, record = {**organs, **meshes}, joined_records(record, more)
    return Given(organs, record, settings.complete)


def given_by_meshes(settings: MeshAbdomen) -> Given:
    """The organs of mesh files.

    Raises:
        SceneError: There is no liver, or a mesh is unusable.
        DataError: A file is damaged.
    """
    organs, _, record = organs_from_meshes(settings.meshes, settings.drawn.resolution_mm, None)
    return Given(organs, record, settings.complete)


def shape_abdomen(
    draw: AbdomenDraw,
    settings: AbdomenSettings,
    given: Given = NOTHING,
) -> AbdomenAnatomy:
    """Turn a drawn abdomen into a mesh; no randomness is left.

    Args:
        draw: What was drawn.
        settings: Says how finely.
        given: Organs that keep their place.
    """
    room = cavity.cavity_volume(draw.cavity, settings.resolution_mm)
    organs = [cavity.wall_organ(draw.cavity, room), *given.organs.values()]
    if given.complete:
        organs = drawn_organs(draw, room, settings.resolution_mm, given.organs)
    organs = _hanging(organs, draw, room)
    surface, instances = one_surface(organs)
    surface = _with_diaphragm(surface, draw.cavity, instances["abdominal wall"])
    down = np.array(draw.cavity.gravity)
    if "gallbladder" in instances:
        surface = dissected(surface, organs, instances, draw.gallbladder, draw.dissection, down)
    ports = ports_of(room)
    view = ports[0].point_mm + 40.0 * ports[0].normal
    chosen = [o for o in organs if o.name not in ("abdominal wall", "bed")]
    return AbdomenAnatomy(
        surface=surface,
        materials=MATERIALS,
        targets=targets_of(chosen, _places(draw, instances), view),
        ports=ports,
        instances=instances,
        motion=_motion(surface, draw, room),
        gravity=down,
        provenance=given.record,
    )


def _places(
    draw: AbdomenDraw, instances: Mapping[str, int]
) -> Mapping[str, Float64[np.ndarray, "3"]]:
    """Further places to look at, on organs that are there."""
    places = {}
    if "gallbladder" in instances:
        places["neck"] = draw.gallbladder.axis_mm[-5]
        places["fundus"] = draw.gallbladder.axis_mm[6]
    if "hepatocystic triangle" in instances:
        places["triangle"] = draw.biliary.corners_mm.mean(axis=0)
    return places


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

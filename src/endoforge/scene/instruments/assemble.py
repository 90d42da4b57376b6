# SPDX-License-Identifier: Apache-2.0
"""Puts pieces together to parts and parts to an instrument."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int

from endoforge.scene.instruments.records import (
    Instrument,
    Joint,
    Keypoint,
    Part,
    PartKind,
    labelled,
)
from endoforge.scene.instruments.solids import Solid, creased, joined
from endoforge.scene.records import ABDOMEN_LABELS, Surface

#: What instruments are made of: names that a scene's tissues must know.
MATERIALS = ("steel", "titanium", "plastic", "ceramic")


_NOTHING = Surface(
    vertices_mm=np.zeros((0, 3), np.float32),
    faces=np.zeros((0, 3), np.int32),
    normals=np.zeros((0, 3), np.float32),
    tint=np.zeros((0, 3), np.float32),
    face_label=np.zeros(0, np.uint8),
    face_instance=np.zeros(0, np.uint16),
    face_material=np.zeros(0, np.uint8),
)


@dataclass(frozen=True, eq=False)
class PartPlan:
    """A part before its pieces are put together.

    Attributes:
        name: Of the part.
        kind: Its class.
        solids: Closed pieces in the tool frame at rest.
        joint: How it moves against its parent.
        parent: Name of the part that carries it; the first part if None.
    """

    name: str
    kind: PartKind
    solids: Sequence[Solid]
    joint: Joint | None = None
    parent: str | None = None


@dataclass(frozen=True)
class Frame:
    """An instrument's plain numbers; see `Instrument`."""

    name: str
    diameter_mm: float
    length_mm: float
    grip_mm: float = 0.0


def joint(
    name: str, axis: Sequence[float], origin_mm: Sequence[float], limits: tuple[float, float]
) -> Joint:
    """A joint that turns about an axis, rad."""
    return Joint(name, "revolute", np.array(axis, float), np.array(origin_mm, float), limits)


def assemble(
    frame: Frame,
    plans: Sequence[PartPlan],
    keypoints: Mapping[str, tuple[str, Sequence[float] | Float64[np.ndarray, "3"]]],
) -> Instrument:
    """Build an instrument from its parts.

    Args:
        frame: Name and sizes.
        plans: The parts, parents first.
        keypoints: Part and place (tool frame at rest, mm) of each key point.
    """
    number = {plan.name: k for k, plan in enumerate(plans)}
    surfaces = [_surface(plan.solids) for plan in plans]
    vertex = np.cumsum([0, *(len(s.vertices_mm) for s in surfaces)])
    face = np.cumsum([0, *(len(s.faces) for s in surfaces)])
    parts = tuple(
        Part(
            plan.name,
            plan.kind,
            -1 if k == 0 else number[plan.parent or plans[0].name],
            plan.joint,
            (int(vertex[k]), int(vertex[k + 1])),
            (int(face[k]), int(face[k + 1])),
        )
        for k, plan in enumerate(plans)
    )
    points = {
        name: Keypoint(number[part], np.array(place, dtype=np.float64))
        for name, (part, place) in keypoints.items()
    }
    surface, materials = _with_used_materials(_stacked(surfaces, vertex))
    instrument = Instrument(
        frame.name,
        surface,
        parts,
        points,
        materials,
        frame.diameter_mm,
        frame.length_mm,
        frame.grip_mm,
    )
    drives = {name: j.limits for name, j in instrument.joints.items() if name == "opening"}
    return replace(instrument, surface=labelled(instrument, ABDOMEN_LABELS, 1), drives=drives)


def _surface(solids: Sequence[Solid]) -> Surface:
    """One part's pieces with sharp edges; labels come later."""
    if not solids:
        return _NOTHING
    vertices, faces = joined(solids)
    tint = np.concatenate([np.full(len(s.vertices_mm), s.tint) for s in solids])
    material = np.concatenate(
        [np.full(len(s.faces), MATERIALS.index(s.material), np.uint8) for s in solids]
    )
    split, index, normals = creased(vertices, faces)
    split_tint = np.empty(len(split))
    split_tint[index] = tint[faces]
    return Surface(
        vertices_mm=split.astype(np.float32),
        faces=index,
        normals=normals,
        tint=np.repeat(split_tint[:, None], 3, axis=1).astype(np.float32),
        face_label=np.zeros(len(index), np.uint8),
        face_instance=np.zeros(len(index), np.uint16),
        face_material=material,
    )


def _stacked(surfaces: Sequence[Surface], start: Int[np.ndarray, "parts_and_end"]) -> Surface:
    material = [s.face_material for s in surfaces if s.face_material is not None]
    return Surface(
        vertices_mm=np.concatenate([s.vertices_mm for s in surfaces]),
        faces=np.concatenate(
            [s.faces + np.int32(k) for s, k in zip(surfaces, start[:-1], strict=True)]
        ),
        normals=np.concatenate([s.normals for s in surfaces]),
        tint=np.concatenate([s.tint for s in surfaces]),
        face_label=np.concatenate([s.face_label for s in surfaces]),
        face_instance=np.concatenate([s.face_instance for s in surfaces]),
        face_material=np.concatenate(material),
    )


def _with_used_materials(surface: Surface) -> tuple[Surface, tuple[str, ...]]:
    """Count only through the materials that occur."""
    material = surface.face_material
    if material is None:
        return surface, MATERIALS[:1]
    used, counted = np.unique(material, return_inverse=True)
    renamed = replace(surface, face_material=counted.reshape(-1).astype(np.uint8))
    return renamed, tuple(MATERIALS[int(k)] for k in used)

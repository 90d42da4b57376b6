# SPDX-License-Identifier: Apache-2.0
"""What an operation leaves on the organs: blood, bile, char, and the bared bed of the gallbladder.

Blood, bile and char change the look alone; the cystic plate is a class of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int32
from scipy.spatial import cKDTree

from endoforge.distributions import draw, draw_count
from endoforge.scene.anatomy.abdomen.gallbladder import Gallbladder
from endoforge.scene.anatomy.abdomen.organs import MATERIALS, Organ
from endoforge.scene.anatomy.abdomen.relief import smooth_noise
from endoforge.scene.anatomy.abdomen.settings import DissectionSettings
from endoforge.scene.anatomy.stains import BILE, BLOOD, Stain, stain_share
from endoforge.scene.records import Surface

PLATE_LABEL = 21
_TISSUE = "connective tissue"

#: Char lies where blood and bile do, in a column of its own; tissue under it keeps this share.
CHAR = 2
_CHARRED = np.array([0.30, 0.26, 0.24])
#: Around char tissue is cooked: paler and greyer.
_COOKED = np.array([1.08, 1.5, 1.5])

_NEAR_MM = 12.0  # volumes know their distances this far out


@dataclass(frozen=True, eq=False)
class Dissection:
    """What was done to one abdomen.

    Attributes:
        patches: What lies on the organs, and where: shares of the way through all likely places.
        reach_mm: How far from the gallbladder's neck most of it lies.
        plate_mm: Width of the bared bed beside the gallbladder at its neck; 0 for none.
        bared: Share of the gallbladder's length along which it is bared, from the neck.
        seed: Unevenness of the plate's border.
    """

    patches: tuple[tuple[Stain, float], ...]
    reach_mm: float
    plate_mm: float
    bared: float
    seed: int


def sample_dissection(
    settings: DissectionSettings, exposure: float, rng: np.random.Generator
) -> Dissection:
    """Draw what an operation has left.

    Args:
        settings: Ranges to draw from.
        exposure: How far the hepatocystic triangle is dissected; its bed is bared as far.
        rng: Random numbers of this one abdomen.
    """
    kinds = [BLOOD] * draw_count(settings.blood, rng) + [BILE] * draw_count(settings.bile, rng)
    kinds += [CHAR] * draw_count(settings.char, rng)
    return Dissection(
        patches=tuple((_patch(kind, settings, rng), float(rng.uniform())) for kind in kinds),
        reach_mm=draw(settings.reach_mm, rng),
        plate_mm=draw(settings.plate_mm, rng) if exposure > 0 else 0.0,
        bared=0.7 * exposure,
        seed=int(rng.integers(2**31)),
    )


def _patch(kind: int, settings: DissectionSettings, rng: np.random.Generator) -> Stain:
    width = draw(settings.width_mm, rng) * (0.4 if kind == CHAR else 1.0)
    thin = kind == BILE or rng.uniform() < 0.4  # a smear lets the tissue through
    return Stain(
        kind=kind,
        width_mm=width,
        run=1.0 if kind == CHAR else float(rng.uniform(1.0, 4.5)),
        strength=float(rng.uniform(0.3, 0.6) if thin else rng.uniform(0.7, 1.0)),
        waves=rng.normal(0.0, 4.5 / width, (9, 3)),
        phase=rng.uniform(0, 2 * np.pi, 9),
    )


@dataclass(frozen=True, eq=False)
class Bed:
    """Where the gallbladder's bed is bared.

    Attributes:
        axis_mm: The gallbladder's, from the fundus to the neck.
        dissection: How far.
    """

    axis_mm: Float64[np.ndarray, "points 3"]
    dissection: Dissection

    def width_at(self, points_mm: Float64[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points"]:
        """How far from the gallbladder the liver is bared beside each point, mm."""
        d = self.dissection
        nearest = cKDTree(self.axis_mm).query(points_mm)[1]
        from_neck = 1.0 - nearest / (len(self.axis_mm) - 1)
        ramp = np.clip((d.bared - from_neck) / 0.2, 0.0, 1.0)
        uneven = 1.0 + 0.35 * smooth_noise(points_mm, 9.0, d.seed)
        return np.asarray(d.plate_mm * ramp * np.clip(uneven, 0.2, 2.0))


def bared_bed(surface: Surface, liver: int, bladder: Organ, plan: Bed) -> Surface:
    """Name the liver's faces beside the dissected gallbladder cystic plate.

    Args:
        surface: The abdomen.
        liver: The liver's object number.
        bladder: The gallbladder.
        plan: How far it is dissected.
    """
    faces = np.flatnonzero(surface.face_instance == liver)
    middle = surface.vertices_mm[surface.faces[faces]].mean(axis=1, dtype=np.float64)
    low, high = bladder.vertices_mm.min(axis=0), bladder.vertices_mm.max(axis=0)
    near = ((middle > low - _NEAR_MM) & (middle < high + _NEAR_MM)).all(axis=1)
    faces, middle = faces[near], middle[near]
    away = cKDTree(bladder.vertices_mm).query(middle, distance_upper_bound=_NEAR_MM)[0]
    chosen = faces[away < plan.width_at(middle)]
    label, material = surface.face_label.copy(), surface.face_material
    assert material is not None
    material = material.copy()
    label[chosen] = PLATE_LABEL
    material[chosen] = MATERIALS.index(_TISSUE)
    surface = replace(surface, face_label=label, face_material=material)
    return _oozing(surface, np.unique(surface.faces[chosen]), plan.dissection)


def _oozing(
    surface: Surface, vertices: Int32[np.ndarray, "chosen"], dissection: Dissection
) -> Surface:
    """Let a raw face ooze blood, here more and there less."""
    stain = np.zeros((len(surface.vertices_mm), 2), np.float32)
    if surface.stain is not None:
        stain[:] = surface.stain
    uneven = smooth_noise(surface.vertices_mm[vertices], 7.0, dissection.seed + 2)
    stain[vertices, BLOOD] = np.clip(0.30 + 0.25 * uneven, 0.0, 0.9)
    return replace(surface, stain=stain)


def cleared_triangle(surface: Surface, triangle: int, dissection: Dissection) -> Surface:
    """Let the fat of the hepatocystic triangle give way to connective tissue as it is dissected."""
    faces = np.flatnonzero(surface.face_instance == triangle)
    middle = surface.vertices_mm[surface.faces[faces]].mean(axis=1, dtype=np.float64)
    bare = smooth_noise(middle, 12.0, dissection.seed + 1) < 4.0 * dissection.bared - 1.2
    assert surface.face_material is not None
    material = surface.face_material.copy()
    material[faces[bare]] = MATERIALS.index(_TISSUE)
    return replace(surface, face_material=material)


def soiled(
    surface: Surface,
    dissection: Dissection,
    sites: Sequence[Float64[np.ndarray, "3"]],
    down: Float64[np.ndarray, "3"],
    free: Bool[np.ndarray, "vertices"],
) -> Surface:
    """Lay blood, bile and char on an abdomen; no label changes.

    Args:
        surface: The abdomen.
        dissection: What lies there.
        sites: Places around which most of it lies.
        down: Unit direction in which blood runs.
        free: True for vertices that something may lie on first.
    """
    if not dissection.patches or not len(sites):
        return surface
    vertices = surface.vertices_mm.astype(np.float64)
    total = np.zeros((len(vertices), 3))
    if surface.stain is not None:
        total[:, :2] = surface.stain
    likely = np.cumsum(_likelihood(vertices, sites, dissection.reach_mm) * free)
    for stain, place in dissection.patches:
        middle = int(np.searchsorted(likely, place * likely[-1]))
        off = vertices - vertices[middle]
        near = np.flatnonzero((np.abs(off) < 1.6 * stain.run * stain.width_mm).all(axis=1))
        share = stain_share(stain, off[near], surface.normals[middle], -down)
        total[near, stain.kind] = np.maximum(total[near, stain.kind], share)
    charred = total[:, CHAR, None]
    cooked = 1.0 + (_COOKED - 1.0) * np.clip(4.0 * charred * (1.0 - charred), 0.0, 1.0)
    tint = surface.tint * cooked * (1.0 - charred * (1.0 - _CHARRED))
    tint = np.clip(tint, 0.22, 1.9)
    lying = np.clip(total[:, :2], 0.0, 1.0).astype(np.float32)
    return replace(surface, tint=tint.astype(np.float32), stain=lying)


def _likelihood(
    vertices: Float64[np.ndarray, "vertices 3"],
    sites: Sequence[Float64[np.ndarray, "3"]],
    reach_mm: float,
) -> Float64[np.ndarray, "vertices"]:
    apart = np.min([np.linalg.norm(vertices - site, axis=1) for site in sites], axis=0)
    return np.asarray(np.exp(-apart / reach_mm))


def dissected(
    surface: Surface,
    organs: Sequence[Organ],
    instances: Mapping[str, int],
    bladder: Gallbladder,
    dissection: Dissection,
    down: Float64[np.ndarray, "3"],
) -> Surface:
    """Bare the gallbladder's bed and soil the organs around its neck.

    Args:
        surface: The abdomen at rest.
        organs: What it was made of.
        instances: Object number of each organ by name.
        bladder: Where gallbladder and neck are.
        dissection: What was done.
        down: Unit direction of gravity.
    """
    bodies = {organ.name: organ for organ in organs}
    if dissection.plate_mm > 0 and {"liver", "gallbladder"} <= bodies.keys():
        bed = Bed(bladder.axis_mm, dissection)
        surface = bared_bed(surface, instances["liver"], bodies["gallbladder"], bed)
    if "hepatocystic triangle" in instances:
        surface = cleared_triangle(surface, instances["hepatocystic triangle"], dissection)
    sites = [bladder.axis_mm[-5], bladder.axis_mm[len(bladder.axis_mm) // 2]]
    free = np.zeros(len(surface.vertices_mm), dtype=bool)
    free[surface.faces[surface.face_instance != instances["abdominal wall"]]] = True
    return soiled(surface, dissection, sites, down, free)

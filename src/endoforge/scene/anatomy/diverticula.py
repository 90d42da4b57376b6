# SPDX-License-Identifier: Apache-2.0
"""Diverticula: holes cut into a wall's mesh and closed again by a pouch behind them."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from endoforge.distributions import draw, draw_count
from endoforge.scene.anatomy.bodies import Site
from endoforge.scene.anatomy.findings_settings import DiverticulumSettings
from endoforge.scene.records import Surface

DIVERTICULUM_LABEL = 4

_RING_MM = 0.6
_LARGEST_MM = 5.0  # edge of a triangle


@dataclass(frozen=True)
class Diverticulum:
    """One pouch before it has a place.

    Attributes:
        opening_mm: Width of its opening.
        depth_mm: How deep it is.
        belly: How much wider it is inside than at its opening, share.
        drift: How far its ground lies aside, share of the depth, in the two directions.
    """

    opening_mm: float
    depth_mm: float
    belly: float
    drift: tuple[float, float]


def sample_diverticula(
    settings: DiverticulumSettings, rng: np.random.Generator
) -> tuple[Diverticulum, ...]:
    """Draw how many pouches there are and the size of each."""
    return tuple(_sample(settings, rng) for _ in range(draw_count(settings.count, rng)))


def _sample(settings: DiverticulumSettings, rng: np.random.Generator) -> Diverticulum:
    opening = draw(settings.opening_mm, rng)
    return Diverticulum(
        opening_mm=opening,
        depth_mm=opening * draw(settings.depth, rng),
        belly=float(rng.uniform(0.0, 0.35)),
        drift=(float(rng.uniform(-0.25, 0.25)), float(rng.uniform(-0.25, 0.25))),
    )


def open_diverticulum(
    surface: Surface, pouch: Diverticulum, site: Site, instance: int
) -> Surface | None:
    """Cut a pouch into a wall.

    The triangles around the place are taken out, the edge of the hole is made round, and a pouch
    of rings is sewn to it, so that a closed wall stays closed.

    Returns:
        The wall with the pouch, or None where the hole would not be one simple opening. Normals of
        the pouch and of its edge are left to be worked out from the triangles.
    """
    inside = _cut(surface, site, pouch.opening_mm / 2)
    loop = _loop(surface.faces[inside])
    if loop is None:
        return None
    vertices = np.asarray(surface.vertices_mm, dtype=np.float64).copy()
    vertices[loop], rings = _rings(vertices[loop], pouch, site)
    count = len(rings)
    columns = len(loop)
    first = len(vertices)
    index = np.concatenate([loop[None], first + np.arange(count * columns).reshape(count, -1)])
    ground = first + count * columns
    faces = _sewn(index, ground)
    centre = rings[-1].mean(axis=0) - 0.1 * pouch.depth_mm * site.normal
    vertices32 = np.concatenate([vertices, rings.reshape(-1, 3), centre[None]]).astype(np.float32)
    return _assembled(surface, inside, (vertices32, faces, instance))


def _cut(surface: Surface, site: Site, radius_mm: float) -> Bool[np.ndarray, "faces"]:
    """Triangles of the wall around the place, on its side of the wall."""
    first = surface.vertices_mm[surface.faces[:, 0]] - site.point_mm.astype(np.float32)
    near = np.flatnonzero((np.abs(first) < radius_mm + _LARGEST_MM).all(axis=1))
    faces = surface.faces[near]
    off = surface.vertices_mm[faces].mean(axis=1, dtype=np.float64) - site.point_mm
    height = off @ site.normal
    across = np.linalg.norm(off - height[:, None] * site.normal, axis=1)
    inside = (across < radius_mm) & (np.abs(height) < radius_mm)
    facing = surface.normals[faces[:, 0]] @ site.normal > 0.2
    cut = np.zeros(len(surface.faces), dtype=bool)
    cut[near] = inside & facing & (surface.face_instance[near] == 0)
    return cut


def _loop(faces: Int32[np.ndarray, "faces 3"]) -> Int64[np.ndarray, "columns"] | None:
    """The edge of a patch of triangles as one round of vertices, or None if it is not one."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
    pairs = {(a, b) for a, b in edges}
    after = {a: b for a, b in edges if (b, a) not in pairs}
    border = sum((b, a) not in pairs for a, b in edges)
    if len(after) != border or border < 8:
        return None
    loop = [next(iter(after))]
    while (vertex := after[loop[-1]]) != loop[0]:
        loop.append(vertex)
        if len(loop) > border:
            return None
    return np.array(loop) if len(loop) == border else None


def _rings(
    edge_mm: Float64[np.ndarray, "columns 3"], pouch: Diverticulum, site: Site
) -> tuple[Float64[np.ndarray, "columns 3"], Float64[np.ndarray, "rings columns 3"]]:
    """The edge made round, and the rings of the pouch behind it."""
    off = edge_mm - site.point_mm
    a, b, height = off @ site.along, off @ site.side, off @ site.normal
    turn = np.unwrap(np.arctan2(b, a))
    radius = float(np.hypot(a, b).mean())
    across = np.cos(turn)[:, None] * site.along + np.sin(turn)[:, None] * site.side
    round_mm = site.point_mm + radius * across + height[:, None] * site.normal
    count = max(int(np.ceil((pouch.depth_mm + radius) / _RING_MM)), 4)
    deep = np.linspace(0, 1, count + 1)[1:, None, None]
    wide = (1 + pouch.belly * np.sin(np.pi * np.minimum(deep * 1.3, 1))) * (1 - deep**4) ** 0.5
    wide = wide * (1 - 0.08 * np.sin(np.pi * np.minimum(4 * deep, 1)))  # a narrower neck
    wide = np.maximum(wide, 0.1)
    drift = pouch.drift[0] * site.along + pouch.drift[1] * site.side
    level = height[:, None] * site.normal * (1 - deep) ** 2
    ring = site.point_mm + radius * wide * across + level
    return round_mm, ring + pouch.depth_mm * deep * (deep * drift - site.normal)


def _sewn(index: Int64[np.ndarray, "rings columns"], ground: int) -> Int32[np.ndarray, "faces 3"]:
    """Triangles between neighbouring rings, and from the last to the ground."""
    a, b = index[:-1], index[1:]
    a2, b2 = np.roll(a, -1, axis=1), np.roll(b, -1, axis=1)
    quads = np.concatenate(
        [np.stack([a, a2, b2], -1).reshape(-1, 3), np.stack([a, b2, b], -1).reshape(-1, 3)]
    )
    last = index[-1]
    fan = np.stack([last, np.roll(last, -1), np.full_like(last, ground)], axis=1)
    return np.concatenate([quads, fan]).astype(np.int32)


def _assembled(
    surface: Surface,
    inside: Bool[np.ndarray, "faces"],
    pouch: tuple[np.ndarray, Int32[np.ndarray, "pouch 3"], int],
) -> Surface:
    vertices, added, instance = pouch
    faces = np.concatenate([surface.faces[~inside], added])
    count, extra = len(added), len(vertices) - len(surface.vertices_mm)
    material = surface.face_material
    if material is not None:
        material = np.concatenate([material[~inside], np.zeros(count, np.uint8)])
    reddish = np.tile(np.array([0.9, 0.8, 0.8], np.float32), (extra, 1))
    return replace(
        surface,
        vertices_mm=vertices,
        faces=faces,
        normals=np.concatenate([surface.normals, np.zeros((extra, 3), np.float32)]),
        tint=np.concatenate([surface.tint, reddish]),
        face_label=np.concatenate(
            [surface.face_label[~inside], np.full(count, DIVERTICULUM_LABEL, np.uint8)]
        ),
        face_instance=np.concatenate(
            [surface.face_instance[~inside], np.full(count, instance, np.uint16)]
        ),
        face_material=material,
    )

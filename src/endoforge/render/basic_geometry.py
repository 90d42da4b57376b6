# SPDX-License-Identifier: Apache-2.0
"""The geometry of the slow renderer: every ray against every triangle, in double precision."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from endoforge.scene.records import Surface

_RAYS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Hits:
    """The closest surface of the rays that met one; world frame."""

    pixel: Int[np.ndarray, "hits"]
    face: Int[np.ndarray, "hits"]
    weights: Float[np.ndarray, "hits 3"]
    distance: Float[np.ndarray, "hits"]
    point: Float[np.ndarray, "hits 3"]
    out: Float[np.ndarray, "hits 3"]
    side: Float[np.ndarray, "hits"]
    facet: Float[np.ndarray, "hits 3"]
    normal: Float[np.ndarray, "hits 3"]
    rest: Float[np.ndarray, "hits 3"]


def intersect(
    surface: Surface, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
) -> tuple[Float[np.ndarray, "rays"], Int[np.ndarray, "rays"], Float[np.ndarray, "rays 2"]]:
    """Distance (inf for none), face and barycentric coordinates of each ray's closest triangle.

    Source:
        Möller & Trumbore, *Fast, minimum storage ray/triangle intersection*, 1997.
    """
    base, second, third = surface.vertices_mm.astype(np.float64)[surface.faces].swapaxes(0, 1)
    edge1, edge2 = second - base, third - base
    answers = []
    for start in range(0, len(directions), _RAYS_AT_ONCE):
        ray = directions[start : start + _RAYS_AT_ONCE, None]
        shift = origins[start : start + _RAYS_AT_ONCE, None] - base
        across = np.cross(ray, edge2)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1 / np.sum(across * edge1, axis=-1)
            u = inverse * np.sum(across * shift, axis=-1)
            turned = np.cross(shift, edge1)
            v = inverse * np.sum(turned * ray, axis=-1)
            distance = inverse * np.sum(turned * edge2, axis=-1)
            inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
        distance = np.where(inside, distance, np.inf)
        face = np.argmin(distance, axis=1)
        row = np.arange(len(face))
        answers.append((distance[row, face], face, np.stack([u[row, face], v[row, face]], -1)))
    distances, faces, places = zip(*answers, strict=True)
    return np.concatenate(distances), np.concatenate(faces), np.concatenate(places)


def closest(
    surface: Surface,
    eye: Float[np.ndarray, "3"],
    rays: Float[np.ndarray, "pixels 3"],
    turn: Float[np.ndarray, "3 3"],
) -> Hits:
    """Find what each pixel's ray meets first and read the surface there."""
    looking = np.flatnonzero(np.isfinite(rays[:, 2]))
    directions = rays[looking] @ turn.T
    distance, face, place = intersect(surface, np.broadcast_to(eye, directions.shape), directions)
    met = np.isfinite(distance)
    distance, face, place, ray = distance[met], face[met], place[met], directions[met]
    weights = np.column_stack([1 - place.sum(axis=1), place])
    corners = surface.faces[face]
    facet = facets(surface, face)
    side = np.where(dot(facet, ray) > 0, -1.0, 1.0)
    normal = side[:, None] * unit(np.einsum("nc,nck->nk", weights, surface.normals[corners]))
    rest = surface.vertices_mm if surface.texture_mm is None else surface.texture_mm
    return Hits(
        pixel=looking[met],
        face=face,
        weights=weights,
        distance=distance,
        point=eye + distance[:, None] * ray,
        out=-ray,
        side=side,
        facet=side[:, None] * facet,
        normal=unit(normal - np.maximum(dot(normal, ray), 0)[:, None] * ray),
        rest=np.einsum("nc,nck->nk", weights, rest[corners]),
    )


def facets(surface: Surface, face: Int[np.ndarray, "hits"]) -> Float[np.ndarray, "hits 3"]:
    """Geometric unit normals of some faces."""
    base, second, third = surface.vertices_mm.astype(np.float64)[surface.faces[face]].swapaxes(0, 1)
    return unit(np.cross(second - base, third - base))


def mix(values: np.ndarray, hits: Hits, surface: Surface) -> Float[np.ndarray, "hits channels"]:
    """Mix values of the vertices by the barycentric place of each hit."""
    corners = values[surface.faces[hits.face]].astype(np.float64)
    mixed: Float[np.ndarray, "hits channels"] = np.einsum("nc,nck->nk", hits.weights, corners)
    return mixed


def clear(
    surface: Surface, starts: Float[np.ndarray, "points 3"], end: Float[np.ndarray, "3"]
) -> np.ndarray:
    """True where nothing stands between the points and the end."""
    away = end - starts
    length = np.linalg.norm(away, axis=1)
    distance, _, _ = intersect(surface, starts, away / length[:, None])
    reached: np.ndarray = distance >= length * (1 - 1e-4)
    return reached


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1."""
    scaled: np.ndarray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Dot product of rows."""
    product: np.ndarray = np.einsum("nk,nk->n", a, b)
    return product

# SPDX-License-Identifier: Apache-2.0
"""One organ as a labelled mesh, and several of them as one surface."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Float64, Int32
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes

from endoforge.errors import SceneError
from endoforge.scene.anatomy.abdomen.volumes import Volume
from endoforge.scene.anatomy.lumen import taubin
from endoforge.scene.anatomy.surfaces import vertex_normals
from endoforge.scene.records import Surface

#: What the objects of an abdomen are made of; `Surface.face_material` counts in this order.
MATERIALS: tuple[str, ...] = (
    "liver",
    "gallbladder",
    "abdominal wall",
    "fat",
    "ligament",
    "stomach",
    "bowel",
    "diaphragm",
    "duct",
    "artery",
    "peritoneum",
    "spleen",
    "organ",
    "connective tissue",
)


@dataclass(frozen=True, eq=False)
class Organ:
    """One closed body of one kind.

    Attributes:
        name: For example ``"liver"`` or ``"small bowel"``; targets are named after it.
        label: Class index, see `scene.records.ABDOMEN_LABELS`.
        material: One of `MATERIALS`.
        vertices_mm: World positions.
        faces: Triangles that turn counter-clockwise seen from where a camera may be.
        tint: Multiplies the material's albedo.
        volume: The same body as distances, for what rests on it.
        stain: Blood and bile at each vertex; none if None.
    """

    name: str
    label: int
    material: str
    vertices_mm: Float32[np.ndarray, "vertices 3"]
    faces: Int32[np.ndarray, "faces 3"]
    tint: Float32[np.ndarray, "vertices 3"]
    volume: Volume
    stain: Float32[np.ndarray, "vertices 2"] | None = None

    @property
    def normals(self) -> Float32[np.ndarray, "vertices 3"]:
        """Unit normals at the vertices."""
        return vertex_normals(self.vertices_mm, self.faces)


def organ_from(name: str, label: int, material: str, body: Volume, smoothing: int = 6) -> Organ:
    """Put a closed surface around the largest piece of a body.

    Raises:
        SceneError: Nothing of the body is left.
    """
    values = np.pad(body.values, 1, constant_values=np.float32(body.grid.step_mm))
    if not (values < 0).any():
        raise SceneError(f"nothing is left of the {name}; give it more room or leave it out")
    corners, triangles, _, _ = marching_cubes(values, 0.0)
    vertices, faces = largest_piece(np.asarray(corners, np.float64), triangles.astype(np.int32))
    vertices = taubin(vertices, faces, smoothing)
    world = (vertices - 1) * body.grid.step_mm + body.grid.origin_mm
    return Organ(
        name=name,
        label=label,
        material=material,
        vertices_mm=world.astype(np.float32),
        faces=np.ascontiguousarray(faces),
        tint=np.ones((len(world), 3), np.float32),
        volume=body,
    )


def largest_piece(
    vertices: Float64[np.ndarray, "vertices 3"], faces: Int32[np.ndarray, "faces 3"]
) -> tuple[Float64[np.ndarray, "kept 3"], Int32[np.ndarray, "kept_faces 3"]]:
    """Keep the connected piece with the most triangles."""
    edges = (faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel())
    links = coo_array((np.ones(2 * len(faces)), edges), shape=(len(vertices), len(vertices)))
    piece = connected_components(links, directed=False)[1][faces[:, 0]]
    kept = faces[piece == np.argmax(np.bincount(piece))]
    used, index = np.unique(kept, return_inverse=True)
    return vertices[used], index.reshape(-1, 3).astype(np.int32)


def shifted_along_normals(organ: Organ, by_mm: Float[np.ndarray, "vertices"]) -> Organ:
    """Move every vertex along its normal; what is not above 0 cannot run into a neighbour."""
    moved = organ.vertices_mm + organ.normals * by_mm[:, None].astype(np.float32)
    return replace(organ, vertices_mm=moved.astype(np.float32))


def tinted(organ: Organ, light: Float[np.ndarray, "vertices"], warm: float = 0.0) -> Organ:
    """Make an organ lighter or darker by a share at each vertex, and warmer by one for all."""
    base = 1.0 + np.asarray(light, dtype=np.float64)[:, None]
    colour = base * np.array([1.0 + warm, 1.0, 1.0 - warm])
    return replace(organ, tint=np.clip(organ.tint * colour, 0.4, 1.8).astype(np.float32))


def one_surface(organs: Sequence[Organ]) -> tuple[Surface, Mapping[str, int]]:
    """Put all organs into one surface.

    Returns:
        The surface, with instances from 1 in the organs' order, and each name's instance.
    """
    counts = [len(o.faces) for o in organs]
    offsets = np.cumsum([0, *(len(o.vertices_mm) for o in organs[:-1])]).astype(np.int32)
    instances = np.arange(1, len(organs) + 1)
    stains = [
        np.zeros((len(o.vertices_mm), 2), np.float32) if o.stain is None else o.stain
        for o in organs
    ]
    surface = Surface(
        vertices_mm=np.concatenate([o.vertices_mm for o in organs]),
        faces=np.concatenate([o.faces + k for o, k in zip(organs, offsets, strict=True)]),
        normals=np.concatenate([o.normals for o in organs]),
        tint=np.concatenate([o.tint for o in organs]),
        face_label=np.repeat([o.label for o in organs], counts).astype(np.uint8),
        face_instance=np.repeat(instances, counts).astype(np.uint16),
        face_material=np.repeat([MATERIALS.index(o.material) for o in organs], counts).astype(
            np.uint8
        ),
        stain=np.concatenate(stains) if any(s.any() for s in stains) else None,
    )
    return surface, {o.name: int(k) for o, k in zip(organs, instances, strict=True)}

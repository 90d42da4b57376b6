# SPDX-License-Identifier: Apache-2.0
"""The scene as data: surfaces, centre lines and what they are made of. Nothing here renders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8, UInt16

from endoforge.optics.tissue import Tissue

#: Classes of a colon scene; 0 is what a ray meets when it leaves the anatomy.
COLON_LABELS: Mapping[int, str] = {
    0: "outside",
    1: "wall",
    2: "fold",
    3: "polyp",
    4: "diverticulum",
    5: "valve",
    6: "appendix",
    7: "fluid",
    8: "stool",
    9: "tool shaft",
    10: "tool tip",
}

#: Classes of a laparoscopic scene.
ABDOMEN_LABELS: Mapping[int, str] = {
    0: "outside",
    1: "liver",
    2: "gallbladder",
    3: "abdominal wall",
    4: "fat",
    5: "ligament",
    6: "tool tip",
    7: "tool shaft",
    8: "cystic duct",
    9: "cystic artery",
    10: "hepatocystic triangle",
    11: "stomach",
    12: "bowel",
    13: "diaphragm",
    14: "vessel",
    15: "spleen",
    16: "kidney",
    17: "pancreas",
    18: "other organ",
    19: "tool wrist",
    20: "clip",
    21: "cystic plate",
}


def volume_labels(organ_names: Mapping[int, str]) -> dict[int, str]:
    """Classes of a CT scene: 0 where nothing opaque is met, 1 tissue of no segmented organ.

    An organ's class is its number in the CT and one more.

    Args:
        organ_names: Names of the segmented organs by number, from 1.
    """
    return {0: "outside", 1: "tissue", **{n + 1: name for n, name in organ_names.items()}}


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh with labels, in the world frame.

    Attributes:
        vertices_mm: World positions, mm.
        faces: Vertex indices; counter-clockwise seen from the camera's side (inside a lumen).
        normals: Unit vertex normals in the world frame, towards the camera's side.
        tint: Multiplies the tissue's albedo at each vertex, per colour channel, around 1.
        face_label: Class index of each triangle.
        face_instance: Object number of each triangle, 0 for none.
        face_material: Which of the scene's tissues each triangle is made of; all the first if None.
        texture_mm: Where each vertex lies in its object's rest frame; patterns are laid there, so
            that they stick to moving tissue. The vertices themselves if None.
        stain: Blood and bile on each vertex, 0 none to 1 covered; none if None.
    """

    vertices_mm: Float32[np.ndarray, "vertices 3"]
    faces: Int32[np.ndarray, "faces 3"]
    normals: Float32[np.ndarray, "vertices 3"]
    tint: Float32[np.ndarray, "vertices 3"]
    face_label: UInt8[np.ndarray, "faces"]
    face_instance: UInt16[np.ndarray, "faces"]
    face_material: UInt8[np.ndarray, "faces"] | None = None
    texture_mm: Float32[np.ndarray, "vertices 3"] | None = None
    stain: Float32[np.ndarray, "vertices 2"] | None = None


@dataclass(frozen=True, eq=False)
class Centreline:
    """A curve through the lumen from the rectum (first point) to the caecum (last point).

    Attributes:
        points_mm: World positions, equally spaced along the curve, mm.
        radius_mm: Distance from each point to the nearest wall, mm.
    """

    points_mm: Float64[np.ndarray, "points 3"]
    radius_mm: Float64[np.ndarray, "points"]

    @property
    def length_mm(self) -> float:
        """Length along the curve, mm."""
        return float(np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1).sum())


@runtime_checkable
class Motion(Protocol):
    """How the vertices of a scene move: a pure function of the frame's number.

    Frames -1 and one past the last can be asked for too, for backward and forward flow.
    """

    @property
    def moving(self) -> Bool[np.ndarray, "vertices"]:
        """True for every vertex that ever leaves its rest position."""

    def vertices_at(self, frame: int) -> Float32[np.ndarray, "vertices 3"]:
        """World positions of all vertices at a frame, mm."""


@dataclass(frozen=True, eq=False)
class Landmark:
    """Where a named part is at every frame: an instrument's tip, joint or shaft.

    Attributes:
        name: For example ``"grasper-1/tip"``.
        instance: The object that it belongs to, as in `Surface.face_instance`.
        world_from_part: Pose of the part at each frame, mm; its origin is the key point.
    """

    name: str
    instance: int
    world_from_part: Float64[np.ndarray, "frames 4 4"]


@dataclass(frozen=True, eq=False)
class Scene:
    """One anatomy that a camera can look at, with everything that moves in it.

    Attributes:
        surface: All tissue and tools in one labelled mesh, at rest.
        tissues: How the surface looks, by `Surface.face_material`.
        labels: Class names by class index.
        centreline: Where a camera may travel; None where there is no lumen.
        motion: How the surface moves; None for a rigid scene.
        landmarks: Named parts whose place is a label.
        materials: Names of the tissues, in their order.
        provenance: Where the anatomy came from and under which licence; goes into dataset.json.
    """

    surface: Surface
    tissues: tuple[Tissue, ...]
    labels: Mapping[int, str]
    centreline: Centreline | None = None
    motion: Motion | None = None
    landmarks: tuple[Landmark, ...] = ()
    materials: tuple[str, ...] = ("mucosa",)
    provenance: Mapping[str, str] = field(default_factory=dict)

# SPDX-License-Identifier: Apache-2.0
"""The scene as data: surfaces, centre lines and what they are made of. Nothing here renders."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8, UInt16

from endoforge.optics.tissue import Tissue

#: Classes of a colon scene; 0 is what a ray meets when it leaves the anatomy.
COLON_LABELS: Mapping[int, str] = {0: "outside", 1: "wall", 2: "fold", 3: "polyp"}


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
    """

    vertices_mm: Float32[np.ndarray, "vertices 3"]
    faces: Int32[np.ndarray, "faces 3"]
    normals: Float32[np.ndarray, "vertices 3"]
    tint: Float32[np.ndarray, "vertices 3"]
    face_label: UInt8[np.ndarray, "faces"]
    face_instance: UInt16[np.ndarray, "faces"]


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


@dataclass(frozen=True, eq=False)
class Scene:
    """One anatomy that a camera can travel through.

    Attributes:
        surface: All tissue in one labelled mesh.
        centreline: Where the camera may go.
        tissue: How the surface looks.
        labels: Class names by class index.
        provenance: Where the anatomy came from and under which licence; goes into dataset.json.
    """

    surface: Surface
    centreline: Centreline
    tissue: Tissue
    labels: Mapping[int, str]
    provenance: Mapping[str, str] = field(default_factory=dict)

# SPDX-License-Identifier: Apache-2.0
"""One anatomy as one file beside the shards.

A patient's colon takes tens of seconds to extract, so it is done once and every worker reads this
file; the report draws the camera path over it.
"""

import json
from pathlib import Path

import numpy as np

from endoforge.scene.anatomy.build import Anatomy
from endoforge.scene.paths.targets import Target
from endoforge.scene.records import Centreline, Surface
from endoforge.simulation.array_files import opened_arrays, write_arrays

ANATOMY_FILE = "anatomy.npz"

_SURFACE = ("vertices_mm", "faces", "normals", "tint", "face_label", "face_instance")
_OPTIONAL = ("face_material", "texture_mm", "stain")


def write_anatomy(path: Path, anatomy: Anatomy) -> None:
    """Write an anatomy, whole or not at all.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    arrays = {name: getattr(anatomy.surface, name) for name in _SURFACE}
    optional = {name: getattr(anatomy.surface, name) for name in _OPTIONAL}
    arrays |= {name: array for name, array in optional.items() if array is not None}
    targets = [
        (t.name, t.point_mm.tolist(), t.radius_mm, t.normal.tolist()) for t in anatomy.targets
    ]
    words = {"materials": anatomy.materials, "targets": targets}
    arrays |= {
        "points_mm": anatomy.centreline.points_mm,
        "radius_mm": anatomy.centreline.radius_mm,
        "provenance": np.frombuffer(json.dumps(dict(anatomy.provenance)).encode(), np.uint8),
        "words": np.frombuffer(json.dumps(words).encode(), np.uint8),
    }
    write_arrays(path, arrays)


def read_anatomy(path: Path) -> Anatomy:
    """Read an anatomy that `write_anatomy` wrote.

    Raises:
        DataError: The file is damaged; removing it makes the next run extract the anatomy again.
    """
    with opened_arrays(path) as file:
        names = [*_SURFACE, *(name for name in _OPTIONAL if name in file)]
        words = json.loads(file["words"].tobytes())
        return Anatomy(
            surface=Surface(**{name: file[name] for name in names}),
            centreline=Centreline(points_mm=file["points_mm"], radius_mm=file["radius_mm"]),
            provenance=json.loads(file["provenance"].tobytes()),
            materials=tuple(words["materials"]),
            targets=tuple(
                Target(name, np.array(point), radius, np.array(normal))
                for name, point, radius, normal in words["targets"]
            ),
        )

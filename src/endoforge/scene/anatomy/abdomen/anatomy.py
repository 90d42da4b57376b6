# SPDX-License-Identifier: Apache-2.0
"""The record that every kind of abdomen ends in, with the places that cameras and tools go to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from endoforge.scene.anatomy.abdomen.organs import Organ
from endoforge.scene.anatomy.abdomen.volumes import Volume
from endoforge.scene.anatomy.curves import unit
from endoforge.scene.paths.targets import Target
from endoforge.scene.records import Motion, Surface


@dataclass(frozen=True, eq=False)
class AbdomenAnatomy:
    """An abdomen without its look.

    Attributes:
        surface: All organs and the wall around them in one labelled mesh, at rest.
        materials: What `Surface.face_material` counts through.
        targets: Places to look at and to work on, by name: liver, gallbladder, neck, triangle, …
        ports: Places on the wall where instruments enter; their normals point inwards.
        instances: Object number of each organ by name.
        motion: How the organs move; None for a still abdomen.
        gravity: Unit direction of gravity in the world.
        provenance: Where it came from and under which licence.
    """

    surface: Surface
    materials: tuple[str, ...]
    targets: tuple[Target, ...]
    ports: tuple[Target, ...]
    instances: Mapping[str, int]
    motion: Motion | None
    gravity: Float64[np.ndarray, "3"]
    provenance: Mapping[str, str]


#: Where trocars stand: name, a point inside at their height, and the way outwards.
_PORTS: tuple[tuple[str, tuple[float, float, float], tuple[float, float, float]], ...] = (
    ("port-camera", (10.0, 0.0, -138.0), (0.0, 1.0, -0.1)),
    ("port-epigastric", (14.0, 0.0, -38.0), (0.0, 1.0, 0.1)),
    ("port-right", (72.0, 0.0, -72.0), (0.25, 1.0, 0.0)),
    ("port-flank", (98.0, -5.0, -95.0), (0.75, 0.65, 0.0)),
)


def ports_of(room: Volume) -> tuple[Target, ...]:
    """Where the usual four trocars pass the wall of a room.

    Source:
        Litynski, Am J Surg 1999, the four ports of the American technique of cholecystectomy.
    """
    ports = []
    for name, start, outwards in _PORTS:
        way = unit(np.array(outwards))
        reach = np.arange(0.0, 260.0, 0.5)
        inside = room.at(np.array(start) + reach[:, None] * way) < 0
        last = float(reach[int(np.argmin(inside))]) if inside[0] else 0.0
        point = np.array(start) + last * way
        ports.append(Target(name, point, 6.0, -unit(room.gradient_at(point[None]))[0]))
    return tuple(ports)


def targets_of(
    organs: Sequence[Organ], places: Mapping[str, Float64[np.ndarray, "3"]], view_mm: np.ndarray
) -> tuple[Target, ...]:
    """Each organ's place nearest to a camera, then named places.

    Args:
        organs: Organs to look at.
        places: Further places by name, world mm.
        view_mm: Where a camera usually is.
    """
    found = [_of_organ(organ, view_mm) for organ in organs]
    for name, point in places.items():
        found.append(Target(name, point, 5.0, unit(view_mm - point)))
    return tuple(found)


def _of_organ(organ: Organ, view_mm: Float64[np.ndarray, "3"]) -> Target:
    """The middle of what a camera there can see of an organ, on its surface."""
    points, normals = organ.vertices_mm.astype(np.float64), organ.normals.astype(np.float64)
    facing = (normals * unit(view_mm - points)).sum(axis=1)
    seen = points[facing > 0.2] if (facing > 0.2).any() else points
    middle = seen.mean(axis=0)
    at = int(np.argmin(np.linalg.norm(points - middle, axis=1) - 20.0 * (facing > 0.2)))
    spread = np.linalg.norm(seen - middle, axis=1)
    return Target(organ.name, points[at], float(np.median(spread)), normals[at])

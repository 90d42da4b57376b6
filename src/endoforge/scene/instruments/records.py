# SPDX-License-Identifier: Apache-2.0
"""What an instrument is: one mesh, the parts it is made of, their joints and its key points.

The **tool frame** has its origin where the shaft ends, z along the shaft towards the tip, y the way
the upper jaw opens and x along the jaws' pivot. Everything is stored at rest, all joints at 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float64

from endoforge.errors import SceneError
from endoforge.scene.records import Surface

#: What a part counts as; a scene without a class for wrists calls them tips.
PartKind: TypeAlias = Literal["tool shaft", "tool wrist", "tool tip", "clip"]

#: How a joint moves its part: turn about an axis (rad), slide along it (mm), or narrow across it
#: (share by which distances from the origin shrink along the axis; how a snare's loop closes).
JointKind: TypeAlias = Literal["revolute", "prismatic", "squeeze"]

_INSTEAD = {"tool wrist": "tool tip", "clip": "tool tip"}


@dataclass(frozen=True, eq=False)
class Joint:
    """How a part moves against its parent.

    Attributes:
        name: For example ``"opening"``.
        kind: What the joint does.
        axis: Unit vector in the tool frame at rest.
        origin_mm: A point on the axis, tool frame at rest, mm.
        limits: Least and largest value, rad, mm or a share.
        mimic: Name of the joint that this one follows; itself if None.
        multiplier: Its value per unit of the joint that it follows.
        offset: Its value where the joint that it follows is at 0.
    """

    name: str
    kind: JointKind
    axis: Float64[np.ndarray, "3"]
    origin_mm: Float64[np.ndarray, "3"]
    limits: tuple[float, float]
    mimic: str | None = None
    multiplier: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, eq=False)
class Part:
    """A piece that moves as one.

    Attributes:
        name: For example ``"upper jaw"``.
        kind: Its class.
        parent: Number of the part that carries it, which comes before it; -1 for none.
        joint: How it moves against its parent; None if it does not.
        vertices: First and one past the last vertex.
        faces: First and one past the last triangle.
    """

    name: str
    kind: PartKind
    parent: int
    joint: Joint | None
    vertices: tuple[int, int]
    faces: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Keypoint:
    """A named point of a part.

    Attributes:
        part: Number of the part that it moves with.
        point_mm: In the tool frame at rest, mm.
    """

    part: int
    point_mm: Float64[np.ndarray, "3"]


@dataclass(frozen=True, eq=False)
class Instrument:
    """A tool at rest in its own frame.

    Attributes:
        name: Its kind, e.g. ``"grasper"``.
        surface: The mesh in the tool frame, mm; `face_material` counts in `materials`.
        parts: In an order in which parents come first.
        keypoints: Always holds ``"tip"``, ``"pivot"`` and ``"shaft end"``.
        materials: Names of what it is made of.
        diameter_mm: Of the shaft.
        length_mm: Of the shaft; it ends at z = -length.
        grip_mm: How far behind the tip tissue lies that the jaws hold, mm; 0 without jaws.
        drives: Joints that open the jaws, with their values closed and open; others are a wrist.
    """

    name: str
    surface: Surface
    parts: tuple[Part, ...]
    keypoints: Mapping[str, Keypoint]
    materials: tuple[str, ...]
    diameter_mm: float
    length_mm: float
    grip_mm: float = 0.0
    drives: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def joints(self) -> dict[str, Joint]:
        """The joints that can be set, by name; those that only follow others are left out."""
        found = [part.joint for part in self.parts if part.joint and part.joint.mimic is None]
        return {joint.name: joint for joint in found}


def labelled(instrument: Instrument, labels: Mapping[int, str], instance: int) -> Surface:
    """The instrument's surface with a scene's class numbers and one object number.

    Args:
        instrument: The tool.
        labels: The scene's class names by number, e.g. `COLON_LABELS`.
        instance: Object number, from 1.

    Raises:
        SceneError: The scene has no class for tools.
    """
    number = {name: index for index, name in labels.items()}
    face_label = np.empty(len(instrument.surface.faces), np.uint8)
    for part in instrument.parts:
        name = part.kind if part.kind in number else _INSTEAD.get(part.kind, part.kind)
        if name not in number:
            raise SceneError(f"the scene's classes have no {part.kind!r}; they are {[*number]}")
        face_label[slice(*part.faces)] = number[name]
    face_instance = np.full(len(face_label), instance, np.uint16)
    return replace(instrument.surface, face_label=face_label, face_instance=face_instance)

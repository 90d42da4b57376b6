# SPDX-License-Identifier: Apache-2.0
"""Organs from a user's mesh files: checked, turned to the patient's axes, repaired when asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import ndimage

from endoforge.errors import SceneError
from endoforge.frames.foreign import OBJ, PLY, STL, FileKind, kind_of_file, parse_in_child
from endoforge.frames.storage import sha256_of
from endoforge.scene.anatomy.abdomen.from_ct import Mask, volume_of
from endoforge.scene.anatomy.abdomen.given import KINDS, need_liver, shift_to_frame
from endoforge.scene.anatomy.abdomen.glb import parse_any_mesh
from endoforge.scene.anatomy.abdomen.labels import organs_of
from endoforge.scene.anatomy.abdomen.mesh_checks import crossing_triangles, tidied
from endoforge.scene.anatomy.abdomen.organs import Organ, organ_from
from endoforge.scene.anatomy.abdomen.settings import OrganMesh
from endoforge.scene.anatomy.abdomen.volumes import Volume
from endoforge.scene.anatomy.lumen import signed_volume
from endoforge.scene.anatomy.mesh import covering_points
from endoforge.scene.anatomy.surfaces import open_edges

GLB = FileKind("GLB mesh", (".glb",), ((0, b"glTF"),))

_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
_SIDES = {
    "right": (1, 0, 0), "left": (-1, 0, 0), "front": (0, 1, 0),
    "back": (0, -1, 0), "head": (0, 0, 1), "feet": (0, 0, -1),
}  # fmt: skip
_SMALLEST_MM, _LARGEST_MM = 8.0, 700.0
_LEAST_MM = {"liver": 120.0, "stomach": 60.0, "colon": 60.0, "gallbladder": 25.0, "spleen": 50.0}
_MOST_CHECKED = 150_000
_CLOSING = (0, 1, 2, 4, 7)  # cells; gaps of twice as many are closed
_FILLED = 0.85


@dataclass(frozen=True, eq=False)
class Shape:
    """One file's surface in the patient's axes.

    Attributes:
        vertices_mm: Where its corners are, mm.
        faces: Triangles that face outwards.
        notes: What was done to it.
        rebuild: It must be made anew from the space that it fills.
    """

    vertices_mm: Float64[np.ndarray, "vertices 3"]
    faces: Int64[np.ndarray, "faces 3"]
    notes: tuple[str, ...]
    rebuild: bool


def organs_from_meshes(
    meshes: Sequence[OrganMesh], step_mm: float, shift: Float64[np.ndarray, "3"] | None
) -> tuple[dict[str, Organ], Float64[np.ndarray, "3"], dict[str, str]]:
    """Read organs from mesh files that share one frame.

    Args:
        meshes: Files, organs and units.
        step_mm: Grid for rebuilt organs.
        shift: The way from the files' frame to the drawn abdomen's; found from the liver if None.

    Returns:
        The organs by name in the drawn abdomen's frame, that way, and the record.

    Raises:
        DataError: A file is damaged or not what it claims to be.
        SceneError: A surface is open, runs through itself, or its size fits no organ; a name is
            unknown, or there is no liver.
    """
    named = {_organ(mesh): mesh for mesh in meshes}
    if len(named) < len(meshes):
        raise SceneError(f"{len(meshes)} meshes name only {len(named)} organs; give each once")
    if shift is None:
        need_liver(set(named), "the list of meshes")
    shapes = {name: read_shape(mesh) for name, mesh in named.items()}
    if shift is None:
        shift = shift_to_frame(shapes["liver"].vertices_mm)
    organs = {n: _placed(n, shape, shift, step_mm) for n, shape in shapes.items()}
    return organs, shift, _record(named, shapes)


def _organ(mesh: OrganMesh) -> str:
    plain = mesh.organ.strip().lower()
    if plain in KINDS:
        return plain
    name = organs_of([mesh.organ], "anatomy.meshes")[mesh.organ]
    if name is None:
        raise SceneError(
            f"{mesh.organ!r} is not seen from inside the abdomen; expected one of "
            f"{', '.join(KINDS)}"
        )
    return name


def read_shape(mesh: OrganMesh) -> Shape:
    """Read one file and check that it bounds a body.

    Raises:
        DataError: The file is damaged or not what it claims to be.
        SceneError: The surface is open or runs through itself, or its size fits no organ.
    """
    path = mesh.file
    kind_of_file(path, (STL, OBJ, PLY, GLB))
    content = parse_in_child(parse_any_mesh, path)
    unit = mesh.unit or "m"  # GLB files are in metres
    turn = np.array([_SIDES[side] for side in mesh.axes], dtype=np.float64)
    vertices, faces = tidied(
        content["vertices"] * (_MM[unit] * mesh.scale) @ turn, content["faces"]
    )
    if np.linalg.det(turn) < 0:
        faces = np.ascontiguousarray(faces[:, ::-1])
    _check_size(path, vertices, unit, _LEAST_MM.get(_organ(mesh), _SMALLEST_MM))
    fault = _fault(vertices, faces)
    if fault and not mesh.repair:
        raise SceneError(
            f"{path} is not the surface of a body: {fault}; mend it, or set "
            "repair: true to rebuild it from the space that it fills"
        )
    notes = [f"rebuilt: {fault}"] if fault else []
    if not fault and signed_volume(vertices, faces) < 0:
        faces = np.ascontiguousarray(faces[:, ::-1])
        notes.append("turned inside out, because its triangles faced inwards")
    if len(faces) > _MOST_CHECKED:
        notes.append(f"not searched for crossings: more than {_MOST_CHECKED} triangles")
    return Shape(vertices, faces, tuple(notes), bool(fault))


def _check_size(
    path: Path, vertices: Float64[np.ndarray, "vertices 3"], unit: str, least_mm: float
) -> None:
    size = float(np.linalg.norm(np.ptp(vertices, axis=0))) if len(vertices) else 0.0
    if not least_mm <= size <= _LARGEST_MM:
        raise SceneError(
            f"{path} is {size:.4g} mm across when its unit is {unit}; this organ has "
            f"{least_mm:.0f} to {_LARGEST_MM:.0f} mm: state another unit or scale"
        )


def _fault(vertices: Float64[np.ndarray, "vertices 3"], faces: Int64[np.ndarray, "faces 3"]) -> str:
    """What keeps a surface from bounding a body; crossings are only sought in a closed one."""
    gaps = open_edges(faces)
    if gaps:
        return f"{gaps} edges do not join two triangles of the same side (open)"
    crossed = crossing_triangles(vertices, faces) if len(faces) <= _MOST_CHECKED else 0
    if crossed:
        return f"{crossed} triangles are run through by others (self-intersecting)"
    return ""


def _placed(name: str, shape: Shape, shift: Float64[np.ndarray, "3"], step_mm: float) -> Organ:
    kind = KINDS[name]
    body = _filled(name, shape, shift, step_mm)
    if shape.rebuild:
        return organ_from(kind.name, kind.label, kind.material, body)
    vertices = (shape.vertices_mm + shift).astype(np.float32)
    faces = shape.faces.astype(np.int32)
    tint = np.ones((len(vertices), 3), np.float32)
    return Organ(kind.name, kind.label, kind.material, vertices, faces, tint, body)


def _filled(name: str, shape: Shape, shift: Float64[np.ndarray, "3"], step_mm: float) -> Volume:
    """The space inside a surface, as distances; holes below a cell are closed."""
    cell = 0.6 * step_mm
    low = shape.vertices_mm.min(axis=0) - 2 * cell
    size = np.ceil((shape.vertices_mm.max(axis=0) - low) / cell).astype(int) + 3
    shell = np.zeros(tuple(size), dtype=bool)
    for points in covering_points(shape.vertices_mm, shape.faces, 0.5 * cell):
        shell[tuple(np.rint((points - low) / cell).astype(int).T)] = True
    solid = _solid(name, shell, cell)
    world = np.diag([cell, cell, cell, 1.0])
    world[:3, 3] = low
    body = volume_of(Mask(name, solid, world, False), shift, step_mm)
    thinner = body.values + np.float32(0.5 * cell)  # the shell's cells reach half outwards
    return Volume(body.grid, thinner)


def _solid(
    name: str, shell: Bool[np.ndarray, "i j k"], cell_mm: float
) -> Bool[np.ndarray, "i j k"]:
    """Fill a shell; its gaps are closed as little as it takes to fill most of what can be.

    Raises:
        SceneError: Its gaps are too wide.
    """
    filled = []
    for rounds in _CLOSING:
        thick = np.pad(shell, rounds + 1)
        if rounds:  # a thicker shell has no gaps; what it adds outside is taken off again
            thick = ndimage.binary_dilation(thick, iterations=rounds)
        solid = ndimage.binary_fill_holes(thick)
        if rounds:
            solid = ndimage.binary_erosion(solid, iterations=rounds)
        inner = (slice(rounds + 1, -rounds - 1),) * 3
        filled.append(solid[inner] | shell)
    most = max(int(solid.sum()) for solid in filled)
    if most < 1.1 * shell.sum() and name not in ("ligament", "fat"):
        raise SceneError(
            f"the surface of the {name} has gaps wider than {2 * _CLOSING[-1] * cell_mm:.0f} mm: "
            "what is inside cannot be told; close them"
        )
    return next(solid for solid in filled if solid.sum() >= _FILLED * most)


def _record(named: Mapping[str, OrganMesh], shapes: Mapping[str, Shape]) -> dict[str, str]:
    notes = [f"{name}: {note}" for name, shape in shapes.items() for note in shape.notes]
    return {
        "source": "meshes " + ", ".join(m.file.name for m in named.values()),
        "licence": "that of the meshes; not stated in them",
        "organs": ", ".join(named),
        "sha256": " ".join(sha256_of(m.file) for m in named.values()),
        "repairs": "; ".join(notes) or "none",
    }


def joined_records(one: Mapping[str, str], two: Mapping[str, str]) -> dict[str, str]:
    """The record of organs from two sources."""
    names = [*one, *(n for n in two if n not in one)]
    return {n: "; ".join(v for r in (one, two) if (v := r.get(n))) for n in names}

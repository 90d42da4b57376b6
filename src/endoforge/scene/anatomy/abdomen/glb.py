# SPDX-License-Identifier: Apache-2.0
"""Reading a GLB (binary glTF) strictly. `parse_any_mesh` runs in the limited child."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from endoforge.errors import DataError
from endoforge.scene.anatomy.meshfile import parse_mesh

_KINDS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC3": 3}
_TRIANGLES = 4
_MOST_NODES = 20_000
_MOST_FACES = 5_000_000

Part = tuple[Float64[np.ndarray, "vertices 3"], Int64[np.ndarray, "faces 3"]]


def parse_any_mesh(path: Path) -> dict[str, Any]:
    """Read a mesh by the ending of its name, GLB included.

    Returns:
        ``vertices`` (float64, in the file's unit and axes) and ``faces`` (int64).

    Raises:
        DataError: The file is cut, claims what it does not hold, or holds no usable triangles.
    """
    return parse_glb(path) if path.suffix.lower() == ".glb" else parse_mesh(path)


def parse_glb(path: Path) -> dict[str, Any]:
    """Read all triangles of the scene in a GLB, each mesh put to its node's place.

    Raises:
        DataError: The file is damaged, needs other files, or is packed in a way not read here.
    """
    try:
        document, binary = _chunks(path)
        parts = _scene_parts(path, document, binary)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is a GLB with a part that cannot be read ({error!r})") from None
    if not parts:
        raise DataError(f"{path} holds no triangles; expected a surface")
    offsets = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    vertices = np.concatenate([vertices for vertices, _ in parts])
    faces = np.concatenate([faces + k for (_, faces), k in zip(parts, offsets, strict=False)])
    if not np.isfinite(vertices).all():
        raise DataError(f"{path} has vertices that are no numbers; export it again")
    if len(faces) > _MOST_FACES:
        raise DataError(f"{path} has {len(faces)} triangles; at most {_MOST_FACES} are read")
    return {"vertices": vertices, "faces": faces}


def _chunks(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    length = int.from_bytes(content[8:12], "little")
    if content[:4] != b"glTF" or int.from_bytes(content[4:8], "little") != 2:
        raise DataError(f"{path} is no GLB of version 2: it starts with {content[:8]!r}")
    if length != len(content):
        raise DataError(
            f"{path} claims {length} bytes but has {len(content)}; it is cut, export it again"
        )
    first = int.from_bytes(content[12:16], "little")
    if content[16:20] != b"JSON" or 20 + first > length:
        raise DataError(f"{path} does not begin with a description that fits; export it again")
    document = json.loads(content[20 : 20 + first])
    rest = content[20 + first :]
    size = int.from_bytes(rest[:4], "little")
    if rest and (rest[4:8] != b"BIN\0" or 8 + size > len(rest)):
        raise DataError(f"{path} has a second part that is cut; export it again")
    needed = document.get("extensionsRequired", [])
    if needed:
        raise DataError(f"{path} needs {', '.join(map(str, needed))}; export it without packing")
    return document, rest[8 : 8 + size]


def _scene_parts(path: Path, document: dict[str, Any], binary: bytes) -> list[Part]:
    """All meshes that hang in the scene, by walking down from its roots."""
    nodes = document.get("nodes", [])
    scene = document["scenes"][document.get("scene", 0)]
    waiting = [(int(k), np.eye(4)) for k in scene["nodes"]]
    parts: list[Part] = []
    visited = 0
    while waiting:
        index, world_from_parent = waiting.pop()
        visited += 1
        if visited > _MOST_NODES:
            raise DataError(f"{path} has more than {_MOST_NODES} nodes, or nodes in a ring")
        node = nodes[index]
        world = world_from_parent @ _transform(node)
        waiting.extend((int(k), world) for k in node.get("children", []))
        if "mesh" in node:
            parts.extend(
                _primitive(document, binary, primitive, world)
                for primitive in document["meshes"][node["mesh"]]["primitives"]
                if primitive.get("mode", _TRIANGLES) == _TRIANGLES
            )
    return parts


def _transform(node: dict[str, Any]) -> Float64[np.ndarray, "4 4"]:
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    x, y, z, w = (float(v) for v in node.get("rotation", (0, 0, 0, 1)))
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, :3] = matrix[:3, :3] * np.array(node.get("scale", (1, 1, 1)), dtype=np.float64)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def _primitive(
    document: dict[str, Any],
    binary: bytes,
    primitive: dict[str, Any],
    world: Float64[np.ndarray, "4 4"],
) -> Part:
    points = _accessor(document, binary, primitive["attributes"]["POSITION"])
    if not np.isfinite(points).all():
        raise ValueError("positions that are no numbers")
    points = points.astype(np.float64)
    if "indices" in primitive:
        told = _accessor(document, binary, primitive["indices"])
        if told.dtype.kind not in "iu":
            raise ValueError(f"corners that are numbered by {told.dtype}")
        index = told.astype(np.int64).ravel()
    else:
        index = np.arange(len(points), dtype=np.int64)
    if index.size % 3 or (index.size and not 0 <= index.min() <= index.max() < len(points)):
        raise ValueError(f"{index.size} corners that do not make triangles of {len(points)} points")
    vertices = points @ world[:3, :3].T + world[:3, 3]
    faces = index.reshape(-1, 3)
    if np.linalg.det(world[:3, :3]) < 0:
        faces = faces[:, ::-1]
    return vertices, faces


def _accessor(document: dict[str, Any], binary: bytes, number: int) -> np.ndarray:
    """The values behind one accessor, held against the file before they are read."""
    accessor = document["accessors"][number]
    if "sparse" in accessor or "bufferView" not in accessor:
        raise ValueError("values that are stored sparsely")
    view = document["bufferViews"][accessor["bufferView"]]
    if document["buffers"][view["buffer"]].get("uri"):
        raise ValueError("values that lie in another file")
    kind, width = np.dtype(_KINDS[accessor["componentType"]]), _WIDTHS[accessor["type"]]
    count = int(accessor["count"])
    start = int(view.get("byteOffset", 0)) + int(accessor.get("byteOffset", 0))
    stride = int(view.get("byteStride", 0)) or width * kind.itemsize
    end = start + max(count - 1, 0) * stride + width * kind.itemsize
    if min(count, start) < 0 or stride < width * kind.itemsize or end > len(binary):
        raise ValueError(f"{count} values up to byte {end} of {len(binary)}")
    rows = np.lib.stride_tricks.as_strided(
        np.frombuffer(binary, np.uint8, end - start, start),
        (count, width * kind.itemsize),
        (stride, 1),
        writeable=False,
    )
    return np.ascontiguousarray(rows).view(kind).reshape(count, width)

# SPDX-License-Identifier: Apache-2.0
"""Strict readers of triangle meshes. They run in the limited child of `frames.foreign`.

Each returns ``vertices`` (float64, in the file's unit) and ``faces`` (int64). What a header claims
is held against the file before anything is read; nothing is repaired silently.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from endoforge.errors import DataError

_MOST_FACES = 5_000_000
_PLY_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip


def parse_mesh(path: Path) -> dict[str, Any]:
    """Read a mesh by the ending of its name.

    Returns:
        ``vertices`` and ``faces``.

    Raises:
        DataError: The file is cut, claims what it does not hold, or holds no usable triangles.
    """
    reader = {".stl": parse_stl, ".obj": parse_obj, ".ply": parse_ply}[path.suffix.lower()]
    return reader(path)


def parse_stl(path: Path) -> dict[str, Any]:
    """Read a binary or text STL; equal corners become one vertex.

    Raises:
        DataError: The number of faces in the header disagrees with the file's size.
    """
    content = path.read_bytes()
    claimed = int.from_bytes(content[80:84], "little") if len(content) >= 84 else -1
    if claimed >= 0 and len(content) == 84 + 50 * claimed:
        _check_count(path, claimed)
        record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("extra", "<u2")])
        corners = np.frombuffer(content, record, claimed, 84)["corners"].astype(np.float64)
    elif content[:6].lower().startswith(b"solid") and b"facet" in content[:2000].lower():
        corners = _stl_text(path, content)
    else:
        raise DataError(
            f"{path} claims {claimed} triangles, which take {84 + 50 * max(claimed, 0)} bytes, but "
            f"it has {len(content)}; it is cut or damaged, export it again"
        )
    vertices, faces = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    return _checked(path, vertices, np.asarray(faces, dtype=np.int64).reshape(-1, 3))


def _stl_text(path: Path, content: bytes) -> Float64[np.ndarray, "faces 3 3"]:
    if b"endsolid" not in content[-1000:].lower():
        raise DataError(f"{path} is a text STL without its last line; it is cut, export it again")
    found = re.findall(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)", content, re.IGNORECASE)
    if len(found) % 3:
        raise DataError(f"{path} has {len(found)} corners, which do not make whole triangles")
    _check_count(path, len(found) // 3)
    return _numbers(path, found).reshape(-1, 3, 3)


def parse_obj(path: Path) -> dict[str, Any]:
    """Read vertices and faces of an OBJ; polygons are cut into fans.

    Raises:
        DataError: A face names a vertex that does not exist, or a line is damaged.
    """
    vertices: list[list[bytes]] = []
    faces: list[tuple[int, int, int]] = []
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            words = line.split()
            if words[:1] == [b"v"]:
                vertices.append(words[1:4])
            elif words[:1] == [b"f"]:
                faces.extend(_obj_face(path, number, words[1:], len(vertices)))
                _check_count(path, len(faces))
    if any(len(v) != 3 for v in vertices):
        raise DataError(f"{path} has a vertex without three coordinates; export it again")
    return _checked(path, _numbers(path, vertices), np.array(faces, dtype=np.int64).reshape(-1, 3))


def _obj_face(
    path: Path, number: int, words: list[bytes], known: int
) -> Iterator[tuple[int, int, int]]:
    """Triangles of one face line; negative numbers count back from the last vertex."""
    try:
        named = [int(word.split(b"/")[0]) for word in words]
    except ValueError:
        raise DataError(f"{path}, line {number}: cannot read the face {words[:4]!r}") from None
    if len(named) < 3 or 0 in named:
        raise DataError(f"{path}, line {number}: a face names {named}; expected 3 vertices from 1")
    index = [i - 1 if i > 0 else known + i for i in named]
    for i in range(1, len(index) - 1):
        yield index[0], index[i], index[i + 1]


def parse_ply(path: Path) -> dict[str, Any]:
    """Read vertices and triangles of a PLY, text or binary.

    Raises:
        DataError: The header claims more than the file holds, or faces are not triangles.
    """
    content = path.read_bytes()
    end = re.search(rb"end_header\r?\n", content[:100_000])
    if end is None:
        raise DataError(f"{path} has no end of header in its first 100,000 bytes; export it again")
    try:
        form, elements = _ply_header(content[: end.start()].decode("ascii"))
        _check_columns(elements)
    except (ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path} has a PLY header that cannot be read ({error!r})") from None
    _check_count(path, max(elements[0][1], elements[1][1]))
    body = content[end.end() :]
    if form == "ascii":
        return _ply_text(path, body, elements)
    return _ply_binary(path, body, elements, "<" if form == "binary_little_endian" else ">")


_Element = tuple[str, int, list[list[str]]]


def _ply_header(text: str) -> tuple[str, list[_Element]]:
    form, elements = "", list[_Element]()
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["format"]:
            form = {w: w for w in ("ascii", "binary_little_endian", "binary_big_endian")}[words[1]]
        elif words[:1] == ["element"]:
            elements.append((words[1], int(words[2]), []))
        elif words[:1] == ["property"]:
            elements[-1][2].append(words[1:])
    if not form or any(count < 0 for _, count, _ in elements):
        raise ValueError("no format, or a count below 0")
    return form, elements


def _check_columns(elements: list[_Element]) -> None:
    """Raise a ValueError unless vertices with x, y, z come first, then faces with a list first."""
    names = [name for name, _, _ in elements]
    if names[:2] != ["vertex", "face"] or not elements[1][2]:
        raise ValueError(f"it lists {names}; expected vertices, then faces that begin with a list")
    columns = [name for kind, name in elements[0][2] if _PLY_TYPES[kind]]
    word, count_kind, index_kind, _ = elements[1][2][0]
    if len(set(columns)) != len(columns) or not {"x", "y", "z"} <= set(columns):
        raise ValueError(f"vertices have {columns}; expected x, y and z once each")
    if word != "list" or {_PLY_TYPES[count_kind][0], _PLY_TYPES[index_kind][0]} - {"i", "u"}:
        raise ValueError(f"faces have {elements[1][2][0]}; expected a list of whole numbers")


def _ply_binary(path: Path, body: bytes, elements: list[_Element], order: str) -> dict[str, Any]:
    (_, vertex_count, columns), (_, face_count, lists) = elements[:2]
    vertex = np.dtype([(name, order + _PLY_TYPES[kind]) for kind, name in columns])
    face = _face_row(path, lists, order, body[vertex_count * vertex.itemsize :])
    needed = vertex_count * vertex.itemsize + face_count * face.itemsize
    if len(body) < needed:
        raise DataError(
            f"{path} claims {vertex_count} vertices and {face_count} triangles, which take "
            f"{needed} bytes, but holds {len(body)}; it is cut, or its faces are no triangles"
        )
    rows = np.frombuffer(body, vertex, vertex_count)
    faces = np.frombuffer(body, face, face_count, vertex_count * vertex.itemsize)
    if (faces["n0"] != 3).any():
        raise DataError(f"{path} has faces that are no triangles; triangulate it first")
    for name in face.names or ():
        if name[0] == "n" and (faces[name] != faces[name][:1]).any():
            raise DataError(f"{path} has faces with lists of different lengths; drop them")
    points = np.stack([rows[axis].astype(np.float64) for axis in "xyz"], axis=1)
    return _checked(path, points, faces["i0"].astype(np.int64))


def _face_row(path: Path, lists: list[list[str]], order: str, start: bytes) -> "np.dtype[Any]":
    """How one face lies in the file: three corners, then what else it has, such as colours.

    Further lists are taken to be as long as the first face's; the caller checks the others.
    """
    fields: list[Any] = []
    for k, words in enumerate(lists):
        if words[0] != "list":
            fields.append((f"c{k}", order + _PLY_TYPES[words[0]]))
            continue
        counts = np.dtype(order + _PLY_TYPES[words[1]])
        at = np.dtype(fields).itemsize if fields else 0
        if len(start) < at + counts.itemsize:
            raise DataError(f"{path} ends before its first face does; it is cut, export it again")
        length = 3 if k == 0 else int(np.frombuffer(start, counts, 1, at)[0])
        if not 0 <= length <= 64:
            raise DataError(f"{path} has a face with a list of {length} values; export it again")
        fields += [(f"n{k}", counts), (f"i{k}", order + _PLY_TYPES[words[2]], length)]
    return np.dtype(fields)


def _ply_text(path: Path, body: bytes, elements: list[_Element]) -> dict[str, Any]:
    (_, vertex_count, columns), (_, face_count, _) = elements[:2]
    lines = body.split(b"\n")
    rows = [line.split() for line in lines[: vertex_count + face_count]]
    points, faces = rows[:vertex_count], rows[vertex_count:]
    if len(faces) != face_count or any(len(r) != len(columns) for r in points):
        raise DataError(
            f"{path} claims {vertex_count} vertices and {face_count} triangles but has "
            f"{len(lines)} lines; it is cut or damaged, export it again"
        )
    if any(row[:1] != [b"3"] or len(row) < 4 for row in faces):
        raise DataError(f"{path} has faces that are no triangles; triangulate it first")
    axes = [[name for _, name in columns].index(axis) for axis in "xyz"]
    try:
        index = np.array([row[1:4] for row in faces], dtype=object).astype(np.int64).reshape(-1, 3)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path} has a vertex index that is no number ({error})") from None
    return _checked(path, _numbers(path, [[r[a] for a in axes] for r in points]), index)


# ---- checks for all kinds -----------------------------------------------------------------------


def _numbers(path: Path, words: Any) -> Float64[np.ndarray, "rows 3"]:
    try:
        return np.array(words, dtype=object).astype(np.float64).reshape(-1, 3)
    except ValueError as error:
        raise DataError(f"{path} has a coordinate that is no number ({error})") from None


def _check_count(path: Path, count: int) -> None:
    if count > _MOST_FACES:
        raise DataError(f"{path} has {count} triangles; at most {_MOST_FACES} are read: thin it")


def _checked(
    path: Path, vertices: Float64[np.ndarray, "vertices 3"], faces: Int64[np.ndarray, "faces 3"]
) -> dict[str, Any]:
    """Refuse an empty mesh, coordinates that are no numbers, and indices out of range."""
    if not len(vertices) or not len(faces):
        raise DataError(
            f"{path} has {len(vertices)} vertices and {len(faces)} triangles; expected a surface"
        )
    bad = np.flatnonzero(~np.isfinite(vertices).all(axis=1))
    if bad.size:
        raise DataError(
            f"{path} has {bad.size} vertices that are no numbers, first vertex {bad[0]} "
            f"{vertices[bad[0]].tolist()}; export it again"
        )
    low, high = int(faces.min()), int(faces.max())
    if low < 0 or high >= len(vertices):
        raise DataError(
            f"{path} has a triangle that names vertex {low if low < 0 else high}, but there are "
            f"{len(vertices)}; export it again"
        )
    return {"vertices": vertices, "faces": faces}

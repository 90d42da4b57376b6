# SPDX-License-Identifier: Apache-2.0
"""Strict reader of URDF files; it runs in the limited child of `frames.foreign`.

Only links, their visual shapes and joints are read. Document types and entities are refused, so
that no file can make the parser fetch or multiply anything.
"""

import math
from pathlib import Path
from typing import Any
from xml.parsers import expat

from endoforge.errors import DataError
from endoforge.scene.anatomy.meshfile import parse_mesh

_MOST_ELEMENTS = 50_000
_MOST_LEVELS = 40
_KINDS = ("fixed", "revolute", "continuous", "prismatic")

#: A name, attributes and children.
Element = tuple[str, dict[str, str], list[Any]]


def parse_urdf(path: Path) -> dict[str, Any]:
    """Read a robot's links and joints as plain values, in the file's unit (metres, rad).

    Returns:
        ``links``: name, visuals (shape, size or mesh and scale, xyz, rpy, colour); ``joints``:
        name, kind, parent, child, xyz, rpy, axis, limits, mimic.

    Raises:
        DataError: It is no URDF, or a number or a name in it is missing or damaged.
    """
    root = _tree(path, path.read_bytes())
    if root[0] != "robot":
        raise DataError(f"{path} begins with <{root[0]}>; expected the <robot> of a URDF file")
    colours = {m[1].get("name", ""): _colour(path, m) for m in root[2] if m[0] == "material"}
    links = [_link(path, e, colours) for e in root[2] if e[0] == "link"]
    joints = [_joint(path, e) for e in root[2] if e[0] == "joint"]
    for what, names in (
        ("link", [e["name"] for e in links]),
        ("joint", [e["name"] for e in joints]),
    ):
        if double := {name for name in names if names.count(name) > 1}:
            raise DataError(f"{path} has more than one {what} named {sorted(double)[0]!r}")
    if not links:
        raise DataError(f"{path} has no links; expected at least one")
    return {"links": links, "joints": joints}


def parse_meshes(path: Path, meshes: list[str]) -> dict[str, Any]:
    """Read the meshes of a URDF.

    Args:
        path: The URDF, for messages only.
        meshes: The mesh files.

    Returns:
        ``vertices0``, ``faces0``, ``vertices1``, … in the order of the files.
    """
    result: dict[str, Any] = {}
    for number, mesh in enumerate(meshes):
        content = parse_mesh(Path(mesh))
        result[f"vertices{number}"] = content["vertices"]
        result[f"faces{number}"] = content["faces"]
    return result


# ---- XML ----------------------------------------------------------------------------------------


def _tree(path: Path, content: bytes) -> Element:
    """Elements and attributes of an XML file; text is dropped."""
    top: Element = ("", {}, [])
    open_elements: list[Element] = [top]
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > _MOST_ELEMENTS or len(open_elements) > _MOST_LEVELS:
            raise DataError(
                f"{path} has more than {_MOST_ELEMENTS} elements or {_MOST_LEVELS} levels; a URDF "
                "has far fewer"
            )
        element: Element = (name, attributes, [])
        open_elements[-1][2].append(element)
        open_elements.append(element)

    def refuse(name: str, *_rest: Any) -> None:
        raise DataError(f"{path} declares a document type ({name!r}); a URDF has none: remove it")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: open_elements.pop()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise DataError(f"{path} is not well-formed XML: {error}; export it again") from None
    root: Element = top[2][0]
    return root


def _child(element: Element, *names: str) -> Element | None:
    """The first descendant along a path of names."""
    for name in names:
        found = next((e for e in element[2] if e[0] == name), None)
        if found is None:
            return None
        element = found
    return element


# ---- links and joints ---------------------------------------------------------------------------


def _link(path: Path, element: Element, colours: dict[str, list[float]]) -> dict[str, Any]:
    name = _name(path, element)
    visuals = [_visual(path, name, e, colours) for e in element[2] if e[0] == "visual"]
    return {"name": name, "visuals": visuals}


def _visual(
    path: Path, link: str, element: Element, colours: dict[str, list[float]]
) -> dict[str, Any]:
    where = f"the visual of link {link!r}"
    geometry = _child(element, "geometry")
    if geometry is None or len(geometry[2]) != 1:
        raise DataError(f"{path}: {where} has no single <geometry>; expected a mesh or a shape")
    shape: Element = geometry[2][0]
    material = _child(element, "material")
    colour = (
        []
        if material is None
        else _colour(path, material) or colours.get(material[1].get("name", ""), [])
    )
    result: dict[str, Any] = {"shape": shape[0], "colour": colour, **_origin(path, where, element)}
    match shape[0]:
        case "mesh":
            result["mesh"] = shape[1].get("filename", "")
            result["scale"] = _numbers(path, where, shape, "scale", "1 1 1")
        case "box":
            result["size"] = _numbers(path, where, shape, "size", "")
        case "cylinder":
            result["size"] = [
                *_numbers(path, where, shape, "radius", "", 1),
                *_numbers(path, where, shape, "length", "", 1),
            ]
        case "sphere":
            result["size"] = _numbers(path, where, shape, "radius", "", 1)
        case other:
            raise DataError(f"{path}: {where} is a <{other}>; expected mesh, box, cylinder, sphere")
    return result


def _joint(path: Path, element: Element) -> dict[str, Any]:
    name, kind = _name(path, element), element[1].get("type", "")
    if kind not in _KINDS:
        raise DataError(
            f"{path}: joint {name!r} is of type {kind!r}; expected one of {', '.join(_KINDS)}"
        )
    where = f"joint {name!r}"
    ends = [_child(element, end) for end in ("parent", "child")]
    if any(end is None or not end[1].get("link") for end in ends):
        raise DataError(f"{path}: {where} must name the links of its parent and its child")
    return {
        "name": name,
        "kind": kind,
        "parent": ends[0][1]["link"] if ends[0] else "",
        "child": ends[1][1]["link"] if ends[1] else "",
        "axis": _axis(path, where, kind, element),
        "limits": _limits(path, where, kind, element),
        "mimic": _mimic(path, where, element),
        **_origin(path, where, element),
    }


def _axis(path: Path, where: str, kind: str, element: Element) -> list[float]:
    own = _child(element, "axis")
    axis = [1.0, 0.0, 0.0] if own is None else _numbers(path, where, own, "xyz", "1 0 0")
    length = math.hypot(*axis)
    if kind == "fixed":
        return [1.0, 0.0, 0.0]
    if length < 1e-9:
        raise DataError(f"{path}: {where} turns about the axis {axis}, which has no direction")
    return [value / length for value in axis]


def _limits(path: Path, where: str, kind: str, element: Element) -> list[float]:
    if kind in ("fixed", "continuous"):
        return [-math.pi, math.pi]
    own = _child(element, "limit")
    if own is None:
        raise DataError(f"{path}: {where} is {kind} and needs a <limit> with lower and upper")
    (low,) = _numbers(path, where, own, "lower", "0", 1)
    (high,) = _numbers(path, where, own, "upper", "0", 1)
    if low > high:
        raise DataError(f"{path}: {where} has a lower limit {low:g} above its upper limit {high:g}")
    return [low, high]


def _mimic(path: Path, where: str, element: Element) -> list[Any]:
    """Name of the joint that is followed, multiplier and offset; empty if there is none."""
    own = _child(element, "mimic")
    if own is None:
        return []
    if not own[1].get("joint"):
        raise DataError(f'{path}: {where} follows no joint by name; expected mimic joint="…"')
    (multiplier,) = _numbers(path, where, own, "multiplier", "1", 1)
    (offset,) = _numbers(path, where, own, "offset", "0", 1)
    return [own[1]["joint"], multiplier, offset]


def _origin(path: Path, where: str, element: Element) -> dict[str, list[float]]:
    own = _child(element, "origin")
    if own is None:
        return {"xyz": [0.0, 0.0, 0.0], "rpy": [0.0, 0.0, 0.0]}
    return {key: _numbers(path, where, own, key, "0 0 0") for key in ("xyz", "rpy")}


def _colour(path: Path, material: Element) -> list[float]:
    own = _child(material, "color")
    return [] if own is None else _numbers(path, "a material", own, "rgba", "1 1 1 1", 4)


def _name(path: Path, element: Element) -> str:
    if not (name := element[1].get("name", "")):
        raise DataError(f"{path} has a <{element[0]}> without a name; give it one")
    return name


def _numbers(
    path: Path, where: str, element: Element, key: str, default: str, count: int = 3
) -> list[float]:
    text = element[1].get(key, default)
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        values = []
    if len(values) != count or not all(math.isfinite(v) for v in values):
        raise DataError(f"{path}: {where} has {key}={text!r}; expected {count} finite numbers")
    return values

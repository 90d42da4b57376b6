# SPDX-License-Identifier: Apache-2.0
"""A user's own instrument from a URDF file: links become parts, joints stay joints.

A URDF is in metres and radians and has a frame per link. Here all parts lie in one tool frame at
rest, in mm, with z along the shaft.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int

from endoforge.errors import DataError, SceneError
from endoforge.frames.foreign import OBJ, STL, FileKind, Limits, kind_of_file, parse_in_child
from endoforge.geometry.poses import rotation_between, rotation_from_vector
from endoforge.scene.instruments.assemble import Frame, PartPlan, assemble
from endoforge.scene.instruments.records import Instrument, Joint, PartKind
from endoforge.scene.instruments.settings import UrdfSettings
from endoforge.scene.instruments.solids import Solid, lathe, moved, of, outward, skin
from endoforge.scene.instruments.urdf_file import parse_meshes, parse_urdf

URDF = FileKind("URDF file", (".urdf", ".xml"))

_MM = 1000.0
_LIMITS = Limits(file_bytes=5_000_000, memory_bytes=4_000_000_000, cpu_s=60)
_DARK = 0.25
_PARENTS = 4


def read_urdf(settings: UrdfSettings) -> Instrument:
    """Read an instrument and bring it into the tool frame.

    Args:
        settings: The file, which link carries the shaft, and what its links count as.

    Raises:
        DataError: The file or one of its meshes is missing, damaged or not what it claims to be.
        SceneError: The links do not make one tree, or a link or joint of the settings is unknown.
    """
    path = settings.urdf
    kind_of_file(path, (URDF,), _LIMITS)
    content = parse_in_child(parse_urdf, path, _LIMITS)
    tree = _tree(path, content["links"], content["joints"])
    chosen = _below(tree, _root_of(tree, settings))
    shapes = _shapes(
        path, [tree.links[name] for name in chosen if settings.links.get(name) != "left out"]
    )
    return _instrument(tree, chosen, shapes, settings)


@dataclass(frozen=True, eq=False)
class _Tree:
    """A robot: links and the joint above each by the link's name; parents come first."""

    path: Path
    links: Mapping[str, Any]
    above: Mapping[str, Any]
    order: tuple[str, ...]


def _tree(path: Path, links: Sequence[Any], joints: Sequence[Any]) -> _Tree:
    """Check that the joints make one tree.

    Raises:
        SceneError: They name unknown links, give a link two parents, or go round in a circle.
    """
    named = {link["name"]: link for link in links}
    above: dict[str, Any] = {}
    for joint in joints:
        for end in (joint["parent"], joint["child"]):
            if end not in named:
                raise SceneError(
                    f"{path}: joint {joint['name']!r} names the link {end!r}, which is not there"
                )
        if joint["child"] in above:
            raise SceneError(
                f"{path}: link {joint['child']!r} hangs on two joints; expected a tree"
            )
        above[joint["child"]] = joint
    order = [name for name in named if name not in above]
    for name in order:  # grows while it is walked through
        order.extend(child for child, joint in above.items() if joint["parent"] == name)
    if len(order) != len(named):
        lost = sorted(set(named) - set(order))
        raise SceneError(f"{path}: the links {lost[:3]} hang on each other in a circle")
    return _Tree(path, named, above, tuple(order))


def _root_of(tree: _Tree, settings: UrdfSettings) -> str:
    names = [settings.root, *settings.links] if settings.root else [*settings.links]
    for name in names:
        if name not in tree.links:
            raise SceneError(f"{tree.path} has no link {name!r}; it has {', '.join(tree.links)}")
    if settings.root:
        return settings.root
    roots = [name for name in tree.order if name not in tree.above]
    if len(roots) > 1:
        raise SceneError(f"{tree.path} has {len(roots)} separate links {roots[:3]}; state its root")
    return roots[0]


def _below(tree: _Tree, root: str) -> tuple[str, ...]:
    kept = {root}
    for name in tree.order:
        if name in tree.above and tree.above[name]["parent"] in kept:
            kept.add(name)
    return tuple(name for name in tree.order if name in kept)


# ---- shapes -------------------------------------------------------------------------------------


def _shapes(path: Path, links: Sequence[Any]) -> dict[str, list[Solid]]:
    """Pieces of each link in the link's own frame, mm."""
    files = [
        mesh_file(path, visual["mesh"], link["name"])
        for link in links
        for visual in link["visuals"]
        if visual["shape"] == "mesh"
    ]
    different = list(dict.fromkeys(files))
    content = parse_in_child(parse_meshes, path, arguments=([str(f) for f in different],))
    place = iter(files)
    result: dict[str, list[Solid]] = {}
    for link in links:
        result[link["name"]] = []
        for visual in link["visuals"]:
            number = different.index(next(place)) if visual["shape"] == "mesh" else -1
            mesh = (
                (content[f"vertices{number}"], content[f"faces{number}"]) if number >= 0 else None
            )
            result[link["name"]].append(_solid(visual, mesh))
    return result


def mesh_file(path: Path, name: str, link: str) -> Path:
    """The mesh that a URDF names: beside it, or in a package's folder above it.

    Raises:
        DataError: There is no such file, or it is neither STL nor OBJ.
    """
    package, _, rest = name.removeprefix("package://").partition("/")
    wanted = rest if name.startswith("package://") else name.removeprefix("file://")
    if not wanted:
        raise DataError(f"{path}: the mesh of link {link!r} has no file name; give it one")
    folders = [path.parent, *path.parent.parents[:_PARENTS]]
    if name.startswith("package://"):
        folders = [*(folder / package for folder in folders), *folders]
    else:
        folders = folders[:1]
    for folder in folders:
        if (folder / wanted).is_file():
            kind_of_file(folder / wanted, (STL, OBJ))
            return folder / wanted
    raise DataError(
        f"{path}: link {link!r} needs the mesh {name!r}, which is not at {folders[0] / wanted}; "
        "put it there"
    )


def _solid(visual: Mapping[str, Any], mesh: tuple[Any, Any] | None) -> Solid:
    link_from_shape = _pose(visual["xyz"], visual["rpy"])
    red, green, blue, _ = visual["colour"] or (1.0, 1.0, 1.0, 1.0)
    dark = 0.3 * red + 0.6 * green + 0.1 * blue < _DARK
    size = _MM * np.array(visual.get("size", ()))
    match visual["shape"]:
        case "mesh":
            vertices, faces = mesh if mesh is not None else (np.zeros((0, 3)), np.zeros((0, 3)))
            solid = _clean(vertices * visual["scale"] * _MM, faces)
        case "box":
            square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size[:2] / 2
            ends = [np.column_stack([square, np.full(4, z)]) for z in (-size[2] / 2, size[2] / 2)]
            solid = skin(np.stack(ends))
        case "cylinder":
            solid = lathe(np.array([(-size[1] / 2, size[0]), (size[1] / 2, size[0])]), 32)
        case _:
            turn = np.linspace(-np.pi / 2, np.pi / 2, 17)[1:-1]
            solid = lathe(size[0] * np.stack([np.sin(turn), np.cos(turn)], 1), 32)
    return of(moved(solid, link_from_shape), "plastic" if dark else "steel")


def _clean(vertices: Float64[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> Solid:
    """Equal corners made one, slivers dropped, and turned outwards as a whole."""
    size = float(np.ptp(vertices, axis=0).max())
    _, first, same = np.unique(
        np.round(vertices / (1e-6 * size)), axis=0, return_index=True, return_inverse=True
    )
    kept, index = vertices[first], same.reshape(-1)[faces]
    corners = kept[index]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    return outward(kept, index[area > 1e-12 * size**2])


# ---- the instrument -----------------------------------------------------------------------------


def _instrument(
    tree: _Tree,
    chosen: tuple[str, ...],
    shapes: Mapping[str, list[Solid]],
    settings: UrdfSettings,
) -> Instrument:
    root_from_link = _rest_poses(tree, chosen)
    kinds = _kinds(tree, chosen, shapes, settings)
    shaft = [n for n in chosen if kinds[n] == "tool shaft" and shapes.get(n)]
    if not shaft:
        raise SceneError(
            f"{tree.path}: no link with a shape below {chosen[0]!r} is the shaft; name one"
        )
    tool_from_root, radius, length = _tool_frame(
        np.concatenate([
            s.vertices_mm @ root_from_link[n][:3, :3].T + root_from_link[n][:3, 3]
            for n in shaft for s in shapes[n]
        ]), settings,
    )  # fmt: skip
    plans = []
    for name in chosen:
        pose = tool_from_root @ root_from_link[name]
        solids = [moved(solid, pose) for solid in shapes.get(name, [])]
        joint = _joint(tree, name, pose) if name != chosen[0] else None
        parent = tree.above[name]["parent"] if name != chosen[0] else None
        plans.append(PartPlan(name, kinds[name], solids, joint, parent))
    _check_followers(tree, plans)
    pivot = next(
        (p.joint.origin_mm for p in plans if p.joint and p.joint.name == settings.opening), None
    )
    keypoints = _keypoints(tree, plans, settings, pivot)
    grip = 0.0 if pivot is None else 0.25 * float(np.linalg.norm(keypoints["tip"][1] - pivot))
    tool = assemble(Frame(tree.path.stem, 2 * radius, length, grip), plans, keypoints)
    return replace(tool, drives=_drives(tree, tool, settings))


def _rest_poses(tree: _Tree, chosen: tuple[str, ...]) -> dict[str, Float64[np.ndarray, "4 4"]]:
    poses = {chosen[0]: np.eye(4)}
    for name in chosen[1:]:
        joint = tree.above[name]
        poses[name] = poses[joint["parent"]] @ _pose(joint["xyz"], joint["rpy"])
    return poses


def _kinds(
    tree: _Tree,
    chosen: tuple[str, ...],
    shapes: Mapping[str, list[Solid]],
    settings: UrdfSettings,
) -> dict[str, PartKind]:
    """What each link counts as: fixed to the root a shaft, the last to move a tip, else a wrist."""
    kinds: dict[str, PartKind] = {chosen[0]: "tool shaft"}
    carries = {
        tree.above[n]["parent"]
        for n in chosen[1:]
        if tree.above[n]["kind"] != "fixed" and shapes.get(n)
    }
    for name in chosen[1:]:
        joint = tree.above[name]
        if joint["kind"] == "fixed":
            kinds[name] = kinds[joint["parent"]]
        else:
            kinds[name] = "tool wrist" if name in carries else "tool tip"
    for name in reversed(chosen[1:]):  # what carries a link that carries others is a wrist too
        parent = tree.above[name]["parent"]
        if kinds[name] == "tool wrist" and kinds[parent] == "tool tip":
            kinds[parent] = "tool wrist"
    stated = {n: k for n, k in settings.links.items() if n in kinds and k != "left out"}
    return kinds | stated


def _tool_frame(
    shaft_mm: Float64[np.ndarray, "vertices 3"], settings: UrdfSettings
) -> tuple[Float64[np.ndarray, "4 4"], float, float]:
    """tool_from_root, and the shaft's radius and length."""
    turn = rotation_between(np.array(settings.axis), np.array([0.0, 0.0, 1.0]))
    turned = shaft_mm @ turn.T
    end = float(turned[:, 2].max())
    pose = np.eye(4)
    pose[:3, :3] = turn
    pose[2, 3] = -end
    radius = float(np.median(np.linalg.norm(turned[:, :2], axis=1)))  # flanges are few vertices
    return pose, radius, end - float(turned[:, 2].min())


def _joint(tree: _Tree, name: str, tool_from_link: Float64[np.ndarray, "4 4"]) -> Joint | None:
    """A link's joint in the tool frame at rest."""
    joint = tree.above[name]
    if joint["kind"] == "fixed":
        return None
    slides = joint["kind"] == "prismatic"
    unit = _MM if slides else 1.0
    leader, multiplier, offset = joint["mimic"] or (None, 1.0, 0.0)
    return Joint(
        name=joint["name"],
        kind="prismatic" if slides else "revolute",
        axis=tool_from_link[:3, :3] @ np.array(joint["axis"]),
        origin_mm=tool_from_link[:3, 3].copy(),
        limits=(unit * joint["limits"][0], unit * joint["limits"][1]),
        mimic=leader,
        multiplier=multiplier,
        offset=unit * offset,
    )


def _check_followers(tree: _Tree, plans: Sequence[PartPlan]) -> None:
    """Refuse a joint that follows one which is not there or which follows another itself."""
    own = {p.joint.name for p in plans if p.joint and p.joint.mimic is None}
    for plan in plans:
        if plan.joint and plan.joint.mimic is not None and plan.joint.mimic not in own:
            raise SceneError(
                f"{tree.path}: joint {plan.joint.name!r} follows {plan.joint.mimic!r}, which is no "
                f"free joint below {plans[0].name!r}; choose a root above both"
            )


def _keypoints(
    tree: _Tree,
    plans: Sequence[PartPlan],
    settings: UrdfSettings,
    pivot: Float64[np.ndarray, "3"] | None,
) -> dict[str, tuple[str, Float64[np.ndarray, "3"]]]:
    """The tip, the pivot, the shaft's end, and the far end of every part that is a tip."""
    ends = {}
    for plan in plans:
        if plan.kind == "tool tip" and plan.solids:
            points = np.concatenate([s.vertices_mm for s in plan.solids])
            last = points[points[:, 2] > points[:, 2].max() - 0.3]
            ends[f"{plan.name} tip"] = (plan.name, last.mean(axis=0))
    carrier = plans[0].name
    if pivot is not None:
        driven = next(p for p in plans if p.joint and p.joint.name == settings.opening)
        carrier = driven.parent or carrier
    middle = [place for _, place in ends.values()] or [np.zeros(3)]
    tip = (carrier if pivot is not None else next(iter(ends.values()), (carrier,))[0],
           np.mean(middle, axis=0))  # fmt: skip
    at = np.zeros(3) if pivot is None else pivot
    return {"tip": tip, "pivot": (carrier, at), "shaft end": (plans[0].name, np.zeros(3)), **ends}


def _drives(
    tree: _Tree, tool: Instrument, settings: UrdfSettings
) -> dict[str, tuple[float, float]]:
    """Which joint opens the jaws, closed and open."""
    if settings.opening is None:
        return {}
    joint = tool.joints.get(settings.opening)
    if joint is None:
        known = ", ".join(tool.joints) or "none"
        raise SceneError(f"{tree.path} has no free joint {settings.opening!r}; it has {known}")
    low, high = joint.limits
    ends = (settings.closed, settings.open)
    if not all(low <= value <= high for value in ends):
        raise SceneError(
            f"joint {settings.opening!r} moves within {low:g} to {high:g}, but closed and open are "
            f"{ends}; choose values within"
        )
    return {settings.opening: ends}


def _pose(xyz_m: Sequence[float], rpy_rad: Sequence[float]) -> Float64[np.ndarray, "4 4"]:
    """Pose from a place in metres and roll, pitch, yaw about fixed axes."""
    pose = np.eye(4)
    for angle, axis in zip(rpy_rad, np.eye(3), strict=True):
        pose[:3, :3] = rotation_from_vector(angle * axis) @ pose[:3, :3]
    pose[:3, 3] = _MM * np.array(xyz_m)
    return pose

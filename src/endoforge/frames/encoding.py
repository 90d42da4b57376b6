# SPDX-License-Identifier: Apache-2.0
"""A frame as named files, and back. What the numbers of a file stand for is in `frames.planes`.

Nothing here touches the disk.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from endoforge.errors import CameraError, DataError, ShapeError
from endoforge.frames.frame import Frame, RightView
from endoforge.frames.light_planes import (
    albedo_of,
    bytes_of,
    encode_albedo,
    encode_flags,
    encode_image,
    encode_shading,
    flags_of,
    image_of,
    shading_of,
    words_of,
)
from endoforge.frames.members import (
    ALL_FIELDS,
    FIELDS,
    MEMBERS,
    OPTIONAL_LABELS,
    OPTIONAL_MEMBERS,
    labels_with,
    members_of,
)
from endoforge.frames.planes import (
    DEPTH_SCALE_MM,
    depth_of,
    encode_depth,
    encode_flow,
    encode_normal,
    encode_texture,
    flow_of,
    normal_of,
    texture_of,
)
from endoforge.frames.png import Png, decode_png, encode_png
from endoforge.frames.storage import parse_json, to_json
from endoforge.frames.volume_planes import (
    encode_further_depth,
    encode_hu,
    encode_opacity,
    hu_of,
    opacity_of,
)
from endoforge.geometry.cameras import Camera, camera_from_dict
from endoforge.geometry.poses import check_pose

Arrays: TypeAlias = dict[str, Any]


def key_of(index: int) -> str:
    """The name that all files of a frame share, e.g. ``000017``."""
    return f"{index:06d}"


def labels_of(frame: Frame) -> tuple[str, ...]:
    """The optional labels that a frame holds, by their name in `Frame`."""
    return tuple(
        name
        for name in OPTIONAL_LABELS
        if (bool(frame.facts) if name == "facts" else getattr(frame, name) is not None)
    )


def frame_to_members(
    frame: Frame, index: int, depth_scale_mm: float = DEPTH_SCALE_MM
) -> dict[str, bytes]:
    """Pack a frame into files, named as WebDataset wants them: ``000017.depth.png`` and so on.

    Args:
        frame: The frame; its depth must fit into 65535 steps.
        index: Its place in the shard.
        depth_scale_mm: Millimetres per step of depth.

    Raises:
        ShapeError: Two of its arrays differ in size, or its camera is of another size.
        DataError: A value that should be valid is not, or does not fit.
    """
    source = f"frame {frame.index} of sequence {frame.sequence}"
    names = members_of(labels_of(frame))
    _check_sizes(frame, source)
    files = {
        "image.png": encode_image(frame.image),
        "depth.png": encode_depth(
            np.where(frame.valid, frame.depth_mm, np.float32(np.nan)), depth_scale_mm, source
        ),
        "normal.png": encode_normal(frame.normal_camera, frame.valid, source),
        "label.png": encode_png(frame.label, {"meaning": "class index, 255 = ignore"}),
        "instance.png": encode_png(frame.instance, {"meaning": "object number, 0 = none"}),
        "flow.png": encode_flow(frame.flow_px, frame.occluded, "the next frame", source),
        **_optional_files(frame, source),
        **_volume_files(frame, depth_scale_mm, source),
        **({} if frame.right is None else _right_files(frame.right, depth_scale_mm, source)),
        "json": _encode_facts(frame, source),
    }
    if int((frame.valid & ~(frame.depth_mm > 0)).sum()):
        raise DataError(f"{source}: a valid pixel must have a depth above 0 mm; mask the others")
    return {f"{key_of(index)}.{name}": files[name] for name in names}


def frame_from_members(members: Mapping[str, bytes], source: str = "the frame") -> Frame:
    """Unpack a frame from its files; the inverse of `frame_to_members`.

    Args:
        members: All files of one frame by name, with or without the key.
        source: Names the frame in errors.

    Raises:
        DataError: A file is missing or damaged, or the files do not fit together.
    """
    files = without_key(members, source)
    facts = decode_facts(files["json"], source)
    fields = [name for name, file in ALL_FIELDS.items() if file in files]
    arrays = decode_fields(files, fields, source)
    _check_decoded(arrays, facts["camera"], facts.get("right_camera"), source)
    eye = {name: facts.pop(name) for name in _RIGHT_FACTS if name in facts}
    seen = {n.removeprefix("right_"): arrays.pop(n) for n in fields if n.startswith("right_")}
    if bool(seen) != bool(eye):
        raise DataError(
            f"{source} has the right eye's pictures or its lens, but not both; make it anew"
        )
    if seen:
        seen.pop("valid")
        arrays["right"] = RightView(
            camera=eye["right_camera"], camera_from_world=eye["right_camera_from_world"], **seen
        )
    return Frame(**facts, **arrays)


def without_key(members: Mapping[str, bytes], source: str) -> dict[str, bytes]:
    """Drop the key that the names share, and make sure that every file of a frame is there.

    Raises:
        DataError: A file is missing, unknown, or of another frame.
    """
    known = {*MEMBERS, *OPTIONAL_MEMBERS}
    keys = {name.partition(".")[0] for name in members if name not in known}
    files = {n if n in known else n.partition(".")[2]: data for n, data in members.items()}
    if len(keys) > 1:
        raise DataError(
            f"{source} must have the files of one frame, got those of {sorted(keys)}; restore it"
        )
    try:
        labels_with(files)
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
    return files


def decode_fields(files: Mapping[str, bytes], fields: Sequence[str], source: str) -> Arrays:
    """Unpack only some of a frame's arrays, in the conventions of `Frame`.

    Args:
        files: The files by name, without the key; only those that the fields need.
        fields: Names among `members.ALL_FIELDS`.
        source: Names the frame in errors.

    Raises:
        DataError: A field or a file is unknown, missing or damaged.
    """
    unknown = [name for name in fields if name not in ALL_FIELDS]
    if unknown:
        raise DataError(f"a frame has no field {unknown[0]!r}; valid: {', '.join(ALL_FIELDS)}")
    found: Arrays = {}
    for file in dict.fromkeys(ALL_FIELDS[name] for name in fields):
        if file not in files:
            raise DataError(f"{source} has no {file}; this data set was made without that label")
        found |= _DECODERS[file](decode_png(files[file], f"{source}: {file}"), f"{source}: {file}")
    return {name: found[name] for name in fields}


def decode_facts(content: bytes, source: str) -> Arrays:
    """Unpack what a frame's JSON file says: sequence, index, camera, the two poses, and facts.

    Where there is a second eye, ``right_camera`` and ``right_camera_from_world`` come too.

    Raises:
        DataError: A fact is missing or impossible.
    """
    values = parse_json(content, f"{source}: json")
    try:
        found = {
            "sequence": _whole(values["sequence"]),
            "index": _whole(values["index"]),
            "camera": camera_from_dict(values["camera"]),
            "camera_from_world": check_pose(values["camera_from_world"]),
            "next_camera_from_world": check_pose(
                values["next_camera_from_world"], "next_camera_from_world"
            ),
            "facts": _group(values.get("facts", {})),
        }
        if "right" in values:
            found["right_camera"] = camera_from_dict(values["right"]["camera"])
            found["right_camera_from_world"] = check_pose(
                values["right"]["camera_from_world"], "right camera_from_world"
            )
    except KeyError as error:
        raise DataError(f"{source}: json has no {error}; make the frame anew") from None
    except (CameraError, TypeError, ValueError) as error:
        raise DataError(f"{source}: json is wrong: {error}; make the frame anew") from None
    return found


# ---- packing ------------------------------------------------------------------------------------


def _check_sizes(frame: Frame, source: str) -> None:
    def check(name: str, array: Any, camera: Camera) -> None:
        size = (camera.height, camera.width)
        if array.shape[:2] != size:
            raise ShapeError(
                f"{source}: {name} is {array.shape[:2]} but the camera is {size} (height, width); "
                "all arrays of a frame have the camera's size"
            )

    for name in (*FIELDS, *OPTIONAL_LABELS):
        if isinstance(array := getattr(frame, name), np.ndarray):
            check(name, array, frame.camera)
    if (right := frame.right) is not None:
        check("right.image", right.image, right.camera)
        check("right.depth_mm", right.depth_mm, right.camera)
        check("right.from_left_px", right.from_left_px, frame.camera)
        check("right.occluded", right.occluded, frame.camera)


def _optional_files(frame: Frame, source: str) -> dict[str, bytes]:
    files = {}
    if frame.clean is not None:
        files["clean.png"] = encode_image(frame.clean, "the picture without faults of the sensor")
    if frame.albedo is not None:
        files["albedo.png"] = encode_albedo(frame.albedo, frame.valid, source)
    if frame.shading is not None:
        files["shading.png"] = encode_shading(frame.shading, frame.valid, source)
    if frame.specular is not None:
        files["specular.png"] = encode_flags(frame.specular, "the wet film dominates")
    if frame.back_flow_px is not None and frame.back_occluded is not None:
        files["back_flow.png"] = encode_flow(
            frame.back_flow_px, frame.back_occluded, "the previous frame", source
        )
    if frame.texture_mm is not None:
        files["texture.png"] = encode_texture(frame.texture_mm, frame.valid, source)
    if frame.material is not None:
        notes = {"meaning": "object that the texture belongs to"}
        files["material.png"] = encode_png(frame.material, notes)
    if frame.moving is not None:
        files["moving.png"] = encode_flags(frame.moving, "the tissue moves by itself")
    return files


def _volume_files(frame: Frame, depth_scale_mm: float, source: str) -> dict[str, bytes]:
    files = {}
    if frame.opacity is not None:
        files["opacity.png"] = encode_opacity(frame.opacity, source)
    for name in ("expected", "first"):
        depth = getattr(frame, f"{name}_depth_mm")
        if depth is not None:
            files[f"{name}_depth.png"] = encode_further_depth(
                depth, frame.valid, depth_scale_mm, f"{source}, {name} depth"
            )
    if frame.hu is not None:
        files["hu.png"] = encode_hu(frame.hu, source)
    return files


def _right_files(right: RightView, depth_scale_mm: float, source: str) -> dict[str, bytes]:
    source = f"{source}, right eye"
    return {
        "right.image.png": encode_image(right.image),
        "right.depth.png": encode_depth(right.depth_mm, depth_scale_mm, source),
        "right.flow.png": encode_flow(
            right.from_left_px, right.occluded, "the right eye, from the left", source
        ),
    }


def _encode_facts(frame: Frame, source: str) -> bytes:
    values: dict[str, Any] = {
        "sequence": frame.sequence,
        "index": frame.index,
        "camera": frame.camera.to_dict(),
        "camera_from_world": frame.camera_from_world.tolist(),
        "next_camera_from_world": frame.next_camera_from_world.tolist(),
    }
    if frame.right is not None:
        values["right"] = {
            "camera": frame.right.camera.to_dict(),
            "camera_from_world": frame.right.camera_from_world.tolist(),
        }
    if frame.facts:
        values["facts"] = dict(frame.facts)
    try:
        return to_json(values).encode()
    except (TypeError, ValueError) as error:
        raise DataError(f"{source}: facts must be plain and finite values: {error}") from None


# ---- unpacking ----------------------------------------------------------------------------------


def _check_decoded(arrays: Arrays, camera: Camera, right: Camera | None, source: str) -> None:
    own_lens = ("right_image", "right_depth_mm", "right_valid")
    for name, array in arrays.items():
        lens = right if right is not None and name in own_lens else camera
        size = (lens.height, lens.width)
        if array.shape[:2] != size:
            raise DataError(
                f"{source}: {name} is {array.shape[:2]} but its camera is {size} (height, width); "
                "the file belongs to another camera"
            )


def _decode_depth(png: Png, source: str) -> Arrays:
    depth = depth_of(png, source)
    return {"depth_mm": depth, "valid": ~np.isnan(depth)}


def _decode_flow(png: Png, source: str) -> Arrays:
    flow, occluded = flow_of(png, source)
    return {"flow_px": flow, "occluded": occluded}


def _decode_back_flow(png: Png, source: str) -> Arrays:
    flow, occluded = flow_of(png, source)
    return {"back_flow_px": flow, "back_occluded": occluded}


def _decode_right_depth(png: Png, source: str) -> Arrays:
    depth = depth_of(png, source)
    return {"right_depth_mm": depth, "right_valid": ~np.isnan(depth)}


def _decode_right_flow(png: Png, source: str) -> Arrays:
    flow, occluded = flow_of(png, source)
    return {"right_from_left_px": flow, "right_occluded": occluded}


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"expected a whole number from 0, got {value!r:.80}")
    return value


def _group(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"facts must be a group of keys, got {value!r:.80}")
    return value


_RIGHT_FACTS = ("right_camera", "right_camera_from_world")

_DECODERS: Mapping[str, Callable[[Png, str], Arrays]] = {
    "image.png": lambda png, source: {"image": image_of(png, source)},
    "depth.png": _decode_depth,
    "normal.png": lambda png, source: {"normal_camera": normal_of(png, source)},
    "label.png": lambda png, source: {"label": bytes_of(png, source)},
    "instance.png": lambda png, source: {"instance": words_of(png, source)},
    "flow.png": _decode_flow,
    "clean.png": lambda png, source: {"clean": image_of(png, source)},
    "albedo.png": lambda png, source: {"albedo": albedo_of(png, source)},
    "shading.png": lambda png, source: {"shading": shading_of(png, source)},
    "specular.png": lambda png, source: {"specular": flags_of(png, source)},
    "back_flow.png": _decode_back_flow,
    "texture.png": lambda png, source: {"texture_mm": texture_of(png, source)},
    "material.png": lambda png, source: {"material": bytes_of(png, source)},
    "moving.png": lambda png, source: {"moving": flags_of(png, source)},
    "right.image.png": lambda png, source: {"right_image": image_of(png, source)},
    "right.depth.png": _decode_right_depth,
    "right.flow.png": _decode_right_flow,
    "opacity.png": lambda png, source: {"opacity": opacity_of(png, source)},
    "expected_depth.png": lambda png, source: {"expected_depth_mm": depth_of(png, source)},
    "first_depth.png": lambda png, source: {"first_depth_mm": depth_of(png, source)},
    "hu.png": lambda png, source: {"hu": hu_of(png, source)},
}

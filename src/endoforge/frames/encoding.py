# SPDX-License-Identifier: Apache-2.0
"""A frame as named files, and back: which numbers stand for which millimetres and pixels.

Everything that is needed to read a file is in the file: unit, scale and meaning are PNG notes.
Nothing here touches the disk.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32

from endoforge.errors import CameraError, DataError, ShapeError
from endoforge.frames.frame import Frame
from endoforge.frames.png import Png, decode_png, encode_png
from endoforge.frames.storage import parse_json, to_json
from endoforge.geometry.cameras import camera_from_dict
from endoforge.geometry.poses import check_pose

#: Millimetres per step of a stored depth; the farthest depth is 327.675 mm.
DEPTH_SCALE_MM = 0.005

#: Pixels per step of a stored flow; the largest is just under 512 px.
FLOW_SCALE_PX = 1 / 64

#: Stored normals are rounded to this many of 65536 steps (13 bits, at most 0.012 degrees off).
NORMAL_STEP = 8

#: Every file of a frame, without its key; `FIELDS` says what is inside.
MEMBERS = ("image.png", "depth.png", "normal.png", "label.png", "instance.png", "flow.png", "json")

#: What of a frame can be read on its own, and the file that holds it.
FIELDS: Mapping[str, str] = {
    "image": "image.png",
    "depth_mm": "depth.png",
    "valid": "depth.png",
    "normal_camera": "normal.png",
    "label": "label.png",
    "instance": "instance.png",
    "flow_px": "flow.png",
    "occluded": "flow.png",
}

# The third channel of flow.png.
_FLOW_UNKNOWN, _FLOW_VISIBLE, _FLOW_OCCLUDED, _FLOW_OCCLUDED_UNKNOWN = 0, 1, 2, 3
_FLOW_STATE = np.array(  # by [occluded, known]
    [[_FLOW_UNKNOWN, _FLOW_VISIBLE], [_FLOW_OCCLUDED_UNKNOWN, _FLOW_OCCLUDED]], np.uint16
)
_FLOW_ZERO = 1 << 15

Arrays: TypeAlias = dict[str, Any]


def key_of(index: int) -> str:
    """The name that all files of a frame share, e.g. ``000017``."""
    return f"{index:06d}"


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
    _check_sizes(frame, source)
    files = {
        "image.png": encode_png(frame.image),
        "depth.png": encode_depth(
            np.where(frame.valid, frame.depth_mm, np.float32(np.nan)), depth_scale_mm, source
        ),
        "normal.png": _encode_normal(frame.normal_camera, frame.valid, source),
        "label.png": encode_png(frame.label, {"meaning": "class index, 255 = ignore"}),
        "instance.png": encode_png(frame.instance, {"meaning": "object number, 0 = none"}),
        "flow.png": _encode_flow(frame.flow_px, frame.occluded, source),
        "json": _encode_facts(frame),
    }
    if int((frame.valid & ~(frame.depth_mm > 0)).sum()):
        raise DataError(f"{source}: a valid pixel must have a depth above 0 mm; mask the others")
    return {f"{key_of(index)}.{name}": files[name] for name in MEMBERS}


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
    arrays = decode_fields(files, tuple(FIELDS), source)
    size = (facts["camera"].height, facts["camera"].width)
    for name, array in arrays.items():
        if array.shape[:2] != size:
            raise DataError(
                f"{source}: {name} is {array.shape[:2]} but its camera is {size} (height, width); "
                "the file belongs to another camera"
            )
    return Frame(**facts, **arrays)


def without_key(members: Mapping[str, bytes], source: str) -> dict[str, bytes]:
    """Drop the key that the names share, and make sure that every file of a frame is there.

    Raises:
        DataError: A file is missing, unknown, or of another frame.
    """
    keys = {name.partition(".")[0] for name in members if name not in MEMBERS}
    files = {n if n in MEMBERS else n.partition(".")[2]: data for n, data in members.items()}
    if len(keys) > 1 or set(files) != set(MEMBERS):
        raise DataError(
            f"{source} must have the files {', '.join(MEMBERS)}; got {', '.join(sorted(members))}"
        )
    return files


def decode_fields(files: Mapping[str, bytes], fields: Sequence[str], source: str) -> Arrays:
    """Unpack only some of a frame's arrays, in the conventions of `Frame`.

    Args:
        files: The files by name, without the key; only those that the fields need.
        fields: Names among `FIELDS`.
        source: Names the frame in errors.

    Raises:
        DataError: A field or a file is unknown, missing or damaged.
    """
    unknown = [name for name in fields if name not in FIELDS]
    if unknown:
        raise DataError(f"a frame has no field {unknown[0]!r}; valid: {', '.join(FIELDS)}")
    found: Arrays = {}
    for file in dict.fromkeys(FIELDS[name] for name in fields):
        found |= _DECODERS[file](decode_png(files[file], f"{source}: {file}"), f"{source}: {file}")
    return {name: found[name] for name in fields}


def encode_depth(
    depth_mm: Float32[np.ndarray, "height width"],
    scale_mm: float = DEPTH_SCALE_MM,
    source: str = "depth",
) -> bytes:
    """Pack depth into a 16 bit PNG that says its own unit and scale; NaN becomes 0 (invalid).

    Args:
        depth_mm: z in the camera frame, mm; NaN where invalid.
        scale_mm: Millimetres per step.
        source: Names the frame in errors.

    Raises:
        DataError: A depth does not fit into 65535 steps, or the scale is not above 0.
    """
    if not (math.isfinite(scale_mm) and scale_mm > 0):
        raise DataError(f"{source}: the depth scale must be above 0 mm, got {scale_mm!r}")
    steps = np.rint(depth_mm * np.float32(1 / scale_mm))
    known = ~np.isnan(steps)
    farthest = float(steps.max(initial=0, where=known))
    if farthest > 65535:
        raise DataError(
            f"{source}: depth reaches {farthest * scale_mm:.1f} mm, but at {scale_mm} mm per step "
            f"a file ends at {65535 * scale_mm:.1f}; mark it invalid or choose a larger scale"
        )
    stored = np.where(known, np.maximum(steps, 1), 0).astype(np.uint16)
    notes = {"meaning": "z", "unit": "mm", "scale": repr(float(scale_mm)), "invalid": "0"}
    return encode_png(stored, notes)


def decode_depth(content: bytes, source: str = "depth") -> Float32[np.ndarray, "height width"]:
    """Unpack depth that `encode_depth` packed.

    Returns:
        z in the camera frame, mm; NaN where invalid.

    Raises:
        DataError: The file is damaged, or does not say that it holds z in mm and at which scale.
    """
    depth: np.ndarray = _decode_depth(decode_png(content, source), source)["depth_mm"]
    return depth


def depth_scale_of(png: Png, source: str) -> float:
    """Millimetres per step that a depth file states.

    Raises:
        DataError: It does not hold z in mm, or states no usable scale.
    """
    notes = png.notes
    if (notes.get("meaning"), notes.get("unit")) != ("z", "mm"):
        raise DataError(
            f"{source} must say that it holds z in mm, got {notes.get('meaning')!r} in "
            f"{notes.get('unit')!r}; convert it"
        )
    try:
        scale = float(notes.get("scale", ""))
    except ValueError:
        scale = math.nan
    if not (math.isfinite(scale) and scale > 0):
        raise DataError(f"{source} must state a scale above 0 mm, got {notes.get('scale')!r}")
    return scale


def decode_facts(content: bytes, source: str) -> Arrays:
    """Unpack what a frame's JSON file says: sequence, index, camera and the two poses.

    Raises:
        DataError: A fact is missing or impossible.
    """
    values = parse_json(content, f"{source}: json")
    try:
        return {
            "sequence": _whole(values["sequence"]),
            "index": _whole(values["index"]),
            "camera": camera_from_dict(values["camera"]),
            "camera_from_world": check_pose(values["camera_from_world"]),
            "next_camera_from_world": check_pose(
                values["next_camera_from_world"], "next_camera_from_world"
            ),
        }
    except KeyError as error:
        raise DataError(f"{source}: json has no {error}; make the frame anew") from None
    except (CameraError, TypeError, ValueError) as error:
        raise DataError(f"{source}: json is wrong: {error}; make the frame anew") from None


# ---- inside -------------------------------------------------------------------------------------


def _check_sizes(frame: Frame, source: str) -> None:
    size = (frame.camera.height, frame.camera.width)
    for name in FIELDS:
        shape = getattr(frame, name).shape[:2]
        if shape != size:
            raise ShapeError(
                f"{source}: {name} is {shape} but the camera is {size} (height, width); all arrays "
                "of a frame have the camera's size"
            )


def _encode_facts(frame: Frame) -> bytes:
    facts = {
        "sequence": frame.sequence,
        "index": frame.index,
        "camera": frame.camera.to_dict(),
        "camera_from_world": frame.camera_from_world.tolist(),
        "next_camera_from_world": frame.next_camera_from_world.tolist(),
    }
    return to_json(facts).encode()


def _encode_normal(
    normal: Float32[np.ndarray, "height width 3"],
    valid: Bool[np.ndarray, "height width"],
    source: str,
) -> bytes:
    """(0, 0, 0) stands for "unknown": no unit vector is stored like that."""
    half = np.float32(65535 / 2 / NORMAL_STEP)
    steps = normal * half
    steps += half
    np.rint(steps, out=steps)
    steps *= NORMAL_STEP
    known = np.isfinite(steps[..., 0] + steps[..., 1] + steps[..., 2])
    if (valid & ~known).any() or _beyond(steps, -2 * NORMAL_STEP, 65535 + 2 * NORMAL_STEP):
        raise DataError(f"{source}: a valid pixel must have a unit normal; mask the others")
    np.clip(steps, 0, 65535, out=steps)
    steps[~(known & valid)] = 0
    notes = {"meaning": "unit normal, camera frame", "value": "v/65535*2-1"}
    return encode_png(steps.astype(np.uint16), notes)


def _encode_flow(
    flow: Float32[np.ndarray, "height width 2"],
    occluded: Bool[np.ndarray, "height width"],
    source: str,
) -> bytes:
    steps = np.rint(flow * np.float32(1 / FLOW_SCALE_PX))
    u, v = (steps[..., axis] + _FLOW_ZERO for axis in (0, 1))
    fits = (u >= 0) & (u <= 65535) & (v >= 0) & (v <= 65535)
    lost = ~fits & ~occluded & np.isfinite(u + v)
    if lost.any():
        largest = float(np.abs(flow[lost]).max())
        raise DataError(
            f"{source}: a visible point moves by {largest:.0f} px, but a file holds less than "
            f"{_FLOW_ZERO * FLOW_SCALE_PX:.0f}; use more frames for this movement"
        )
    stored = np.empty((*fits.shape, 3), np.uint16)
    stored[..., 0] = np.where(fits, u, _FLOW_ZERO)
    stored[..., 1] = np.where(fits, v, _FLOW_ZERO)
    stored[..., 2] = _FLOW_STATE[occluded.view(np.uint8), fits.view(np.uint8)]
    notes = {"meaning": "flow to the next frame", "unit": "px", "value": "(v-32768)/64"}
    return encode_png(
        stored, notes | {"third": "0 unknown 1 visible 2 occluded 3 occluded unknown"}
    )


def _beyond(values: Float32[np.ndarray, "*shape"], low: float, high: float) -> bool:
    """Whether a number (NaN aside) lies outside a range."""
    return bool(np.fmin.reduce(values, axis=None) < low or np.fmax.reduce(values, axis=None) > high)


def _decode_image(png: Png, source: str) -> Arrays:
    return {"image": _expect(png.pixels, np.uint8, 3, source)}


def _decode_depth(png: Png, source: str) -> Arrays:
    scale = depth_scale_of(png, source)
    stored = _expect(png.pixels, np.uint16, 2, source)
    valid = stored > 0
    depth = stored * np.float32(scale)
    depth[~valid] = np.nan
    return {"depth_mm": depth, "valid": valid}


def _decode_normal(png: Png, source: str) -> Arrays:
    stored = _expect(png.pixels, np.uint16, 3, source)
    normal = np.asarray(stored * np.float32(2 / 65535) - np.float32(1))
    normal[~stored.any(axis=-1)] = np.nan
    return {"normal_camera": normal}


def _decode_label(png: Png, source: str) -> Arrays:
    return {"label": _expect(png.pixels, np.uint8, 2, source)}


def _decode_instance(png: Png, source: str) -> Arrays:
    return {"instance": _expect(png.pixels, np.uint16, 2, source)}


def _decode_flow(png: Png, source: str) -> Arrays:
    stored = _expect(png.pixels, np.uint16, 3, source)
    state: np.ndarray = stored[..., 2]
    if state.max() > _FLOW_OCCLUDED_UNKNOWN:
        raise DataError(
            f"{source}: the third channel must be 0 to 3, got {state.max()}; restore it"
        )
    flow = (stored[..., :2] - np.float32(_FLOW_ZERO)) * np.float32(FLOW_SCALE_PX)
    flow[(state == _FLOW_UNKNOWN) | (state == _FLOW_OCCLUDED_UNKNOWN)] = np.nan
    return {"flow_px": flow, "occluded": state >= _FLOW_OCCLUDED}


def _expect(pixels: Any, dtype: type, dimensions: int, source: str) -> Any:
    if pixels.dtype != dtype or pixels.ndim != dimensions:
        raise DataError(
            f"{source} must be {np.dtype(dtype)} with {1 if dimensions == 2 else 3} channels, got "
            f"{pixels.dtype} of shape {pixels.shape}; restore it"
        )
    return pixels


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"expected a whole number from 0, got {value!r:.80}")
    return value


_DECODERS: Mapping[str, Callable[[Png, str], Arrays]] = {
    "image.png": _decode_image,
    "depth.png": _decode_depth,
    "normal.png": _decode_normal,
    "label.png": _decode_label,
    "instance.png": _decode_instance,
    "flow.png": _decode_flow,
}

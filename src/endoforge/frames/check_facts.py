# SPDX-License-Identifier: Apache-2.0
"""Facts of a frame against its pictures: boxes, key points and tracks must be where they say."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from endoforge.errors import CameraError
from endoforge.frames.check_flow import Fault
from endoforge.frames.check_matter import TEXTURE_TOLERANCE_MM
from endoforge.frames.facts import boxes_of, on_surface, plain_pixel
from endoforge.frames.frame import Frame
from endoforge.frames.manifest import DatasetManifest
from endoforge.frames.sampling import pick, sample, step_length
from endoforge.geometry.poses import check_pose

#: A key point's pixel may be off its own pose by this much, px; poses are rounded to 1e-9.
PIXEL_TOLERANCE_PX = 0.01


def facts_faults(frame: Frame, manifest: DatasetManifest) -> Iterator[Fault]:
    """Yield what is wrong with the facts of one frame.

    Args:
        frame: As it was read.
        manifest: Names the classes, and says whether there must be facts.
    """
    if ("facts" in manifest.optional_labels) != bool(frame.facts):
        promised = "promises" if "facts" in manifest.optional_labels else "does not list"
        yield Fault("facts", f"it has {len(frame.facts)} facts, but dataset.json {promised} them")
    if fault := _form_fault(frame.facts):
        yield Fault("facts", fault)
        return
    yield from _box_faults(frame, manifest)
    yield from _keypoint_faults(frame)
    yield from _track_faults(frame)


def facts_pair_faults(frame: Frame, following: Frame) -> Iterator[Fault]:
    """Yield tracks that change their piece of tissue between a frame and the next."""
    if _form_fault(frame.facts) or _form_fault(following.facts):
        return
    before = {track["id"]: track for track in frame.facts.get("tracks", [])}
    for track in following.facts.get("tracks", []):
        old = before.get(track["id"], track)
        if (old["texture_mm"], old["material"]) != (track["texture_mm"], track["material"]):
            yield Fault(
                "tracks",
                f"track {track['id']} is at {old['texture_mm']} mm on the texture and then at "
                f"{track['texture_mm']}",
            )
            return


# ---- form ---------------------------------------------------------------------------------------


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _numbers(count: int) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list) and len(value) == count and all(map(_is_number, value))
    )


def _pixel(value: Any) -> bool:
    return value is None or _numbers(2)(value)


def _pose(value: Any) -> bool:
    try:
        check_pose(value)
    except (CameraError, ValueError, TypeError):
        return False
    return True


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


_FORMS: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    "objects": {
        "instance": _is_whole,
        "label": _is_whole,
        "class": _text,
        "box_px": _numbers(4),
        "area_px": _is_whole,
    },
    "keypoints": {
        "name": _text,
        "instance": _is_whole,
        "pixel_px": _pixel,
        "depth_mm": _is_number,
        "visible": _flag,
        "camera_from_part": _pose,
    },
    "tracks": {
        "id": _is_whole,
        "pixel_px": _pixel,
        "depth_mm": _is_number,
        "visible": _flag,
        "texture_mm": _numbers(3),
        "material": _is_whole,
    },
    "lights": {},
    "instruments": {},
}
_SINGLE: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "previous_camera_from_world": (_pose, "a rigid 4 x 4 pose"),
    "continuous": (_flag, "true or false"),
    "sensor": (lambda value: isinstance(value, dict), "a group of keys"),
}
_NAMES = {"objects": "instance", "keypoints": "name", "tracks": "id"}


def _form_fault(facts: Mapping[str, Any]) -> str | None:
    """What is wrong with the form of the facts; keys that are not known here may be anything."""
    for name, (fits, form) in _SINGLE.items():
        if name in facts and not fits(facts[name]):
            return f"{name} must be {form}, got {facts[name]!r:.60}"
    for kind in _FORMS:
        if fault := _list_fault(kind, facts.get(kind, [])):
            return fault
    return None


def _list_fault(kind: str, entries: Any) -> str | None:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return f"{kind} must be a list of groups, got {entries!r:.60}"
    for entry in entries:
        for key, fits in _FORMS[kind].items():
            if key not in entry or not fits(entry[key]):
                return f"{kind}: {key} is missing or wrong: {entry.get(key)!r:.60}"
    if kind in _NAMES:
        names = [entry[_NAMES[kind]] for entry in entries]
        if len(set(names)) != len(names):
            return f"{kind}: two have the same {_NAMES[kind]}"
    return None


# ---- against the pictures -----------------------------------------------------------------------


def _box_faults(frame: Frame, manifest: DatasetManifest) -> Iterator[Fault]:
    if "objects" not in frame.facts:
        return
    stated = {entry["instance"]: entry for entry in frame.facts["objects"]}
    shown = {
        entry["instance"]: entry for entry in boxes_of(frame.label, frame.instance, manifest.labels)
    }
    if set(stated) != set(shown):
        yield Fault("objects", f"it lists {sorted(stated)}, but the picture has {sorted(shown)}")
        return
    for number, entry in shown.items():
        for key, value in entry.items():
            if stated[number][key] != value:
                yield Fault(
                    "objects", f"object {number}: {key} must be {value}, got {stated[number][key]}"
                )
                return


def _keypoint_faults(frame: Frame) -> Iterator[Fault]:
    for entry in frame.facts.get("keypoints", []):
        name, stated = entry["name"], entry["pixel_px"]
        point = np.array(entry["camera_from_part"])[:3, 3]
        pixel = plain_pixel(frame.camera.project(point), frame.camera)
        if abs(entry["depth_mm"] - point[2]) > 1e-3:
            yield Fault("keypoints", f"{name} is at {point[2]:.3f} mm, not {entry['depth_mm']}")
            return
        if (pixel is None) != (stated is None) or (
            pixel and np.abs(np.subtract(pixel, stated)).max() > PIXEL_TOLERANCE_PX
        ):
            yield Fault("keypoints", f"{name} must be at {pixel} px, got {stated}")
            return
        if entry["visible"] and (fault := _unseen(frame, entry)):
            yield Fault("keypoints", f"{name} is visible, but {fault}")
            return


def _unseen(frame: Frame, entry: Mapping[str, Any]) -> str | None:
    """Why a key point that is said to be visible is not."""
    if entry["pixel_px"] is None:
        return "the lens cannot image it"
    u, v = (int(np.floor(value)) for value in entry["pixel_px"])
    if not (0 <= u < frame.camera.width and 0 <= v < frame.camera.height):
        return "its pixel is outside the picture"
    around = frame.instance[max(v - 2, 0) : v + 3, max(u - 2, 0) : u + 3]
    if entry["instance"] > 0 and not (around == entry["instance"]).any():
        return f"the picture shows the objects {np.unique(around).tolist()} there"
    return None


def _track_faults(frame: Frame) -> Iterator[Fault]:
    tracks = [track for track in frame.facts.get("tracks", []) if track["visible"]]
    if not tracks:
        return
    if any(track["pixel_px"] is None for track in tracks):
        yield Fault("tracks", "a visible point has no pixel")
        return
    pixels = np.array([track["pixel_px"] for track in tracks])
    depth = np.array([track["depth_mm"] for track in tracks])
    seen = on_surface(pixels, depth, frame.depth_mm)
    if (~seen).sum() > max(1, 0.1 * len(seen)):  # at a rim, rounding decides
        yield Fault("tracks", f"{(~seen).sum()} visible points are not on the depth image")
        return
    if frame.texture_mm is None:
        return
    texture = sample(frame.texture_mm, pixels[None])[0]
    step = pick(step_length(frame.texture_mm, TEXTURE_TOLERANCE_MM), pixels[None])[0]
    apart = np.linalg.norm(texture - np.array([track["texture_mm"] for track in tracks]), axis=-1)
    clear = np.isfinite(apart) & np.isfinite(step)
    off = apart[clear] > 2 * TEXTURE_TOLERANCE_MM + 0.75 * step[clear]
    if off.sum() > max(1, 0.1 * len(off)):
        yield Fault(
            "tracks",
            f"{off.sum()} visible points are elsewhere on the texture, up to "
            f"{apart[clear].max():.2f} mm",
        )

# SPDX-License-Identifier: Apache-2.0
"""From the kernel's flat rows to the record of a frame."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from endoforge.frames.frame import Frame, RightView
from endoforge.geometry.cameras import Camera
from endoforge.optics.sensor import develop, develop_clean
from endoforge.render import constants as fixed
from endoforge.render.view import Rendering, RightEye, View
from endoforge.streams import stream

Rows = Mapping[str, np.ndarray]

#: Labels of the kernel that have the frame's own names and are numbers, NaN where invalid.
_NUMBERS = ("albedo", "shading", "back_flow_px", "texture_mm")


def assemble(view: View, camera: Camera, rows: Rows, labels: frozenset[str]) -> Rendering:
    """Build the frame of one eye; the second eye is added by `with_right`."""
    pictures = {name: as_picture(row, camera) for name, row in rows.items()}
    radiance, meaning = pictures["radiance"], pictures["meaning"]
    flags, depth = pictures["flags"], pictures["depth_mm"]
    frame = Frame(
        sequence=view.sequence,
        index=view.index,
        image=developed(radiance, view, camera),
        camera=camera,
        camera_from_world=view.camera_from_world,
        next_camera_from_world=view.next_camera_from_world,
        depth_mm=depth,
        valid=(flags & fixed.FOUND) != 0,
        normal_camera=pictures["normal_camera"],
        label=meaning.astype(np.uint8),  # the lowest byte
        instance=(meaning >> 8).astype(np.uint16),  # the next two
        flow_px=pictures["flow_px"],
        occluded=(flags & fixed.HIDDEN_NEXT) != 0,
    )
    extra: dict[str, Any] = {
        name: pictures[name] for name in _NUMBERS if name in labels and name in pictures
    }
    frame = replace(frame, **extra, **whole_labels(view, pictures, labels))
    return Rendering(without_depthless(frame), radiance)


def whole_labels(view: View, pictures: Rows, labels: frozenset[str]) -> dict[str, Any]:
    """The optional labels that are masks, numbers of things, or pictures to look at."""
    flags = pictures["flags"]
    found = (flags & fixed.FOUND) != 0
    values: dict[str, Any] = {}
    if "clean" in labels:
        values["clean"] = developed_clean(pictures.get("sharp", pictures["radiance"]), view)
    if "specular" in labels:
        values["specular"] = (flags & fixed.SPECULAR) != 0
    if "back_occluded" in labels:
        values["back_occluded"] = (flags & fixed.HIDDEN_PREVIOUS) != 0
    if "material" in labels:
        number = (pictures["meaning"] >> 24).astype(np.uint8) + np.uint8(1)
        values["material"] = np.where(found, number, np.uint8(0))
    if "moving" in labels:
        values["moving"] = (flags & fixed.MOVES) != 0
    return values


def with_right(
    rendering: Rendering, view: View, eye: RightEye, rows: Rows, right_rows: Rows
) -> Rendering:
    """Add what the second eye saw."""
    frame = rendering.frame
    flow = as_picture(rows["right_flow_px"], frame.camera)
    hidden = (as_picture(rows["flags"], frame.camera) & fixed.HIDDEN_RIGHT) != 0
    depth = as_picture(right_rows["depth_mm"], eye.camera)
    with np.errstate(invalid="ignore"):
        depth = np.where(depth > 0, depth, np.float32(np.nan))
    right = RightView(
        image=developed(as_picture(right_rows["radiance"], eye.camera), view, eye.camera, 1),
        camera=eye.camera,
        camera_from_world=eye.camera_from_world,
        depth_mm=depth,
        from_left_px=np.where(frame.valid[..., None], flow, np.float32(np.nan)),
        occluded=hidden & frame.valid,
    )
    return replace(rendering, frame=replace(frame, right=right))


def developed(
    radiance: Float32[np.ndarray, "height width 3"], view: View, camera: Camera, eye: int = 0
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture that the sensor of the left (0) or right (1) eye makes of a frame."""
    noise = stream(view.seed, "sensor noise", view.sequence, view.index, eye)
    return develop(radiance, replace(view.sensor, moment=float(view.index)), noise, camera)


def developed_clean(
    radiance: Float32[np.ndarray, "height width 3"], view: View
) -> UInt8[np.ndarray, "height width 3"]:
    """The same picture without any fault of lens, sensor or coding."""
    return develop_clean(radiance, view.sensor)


def as_picture(row: np.ndarray, camera: Camera) -> np.ndarray:
    """A flat row as rows, columns and, if more than one, channels."""
    channels = len(row) // (camera.height * camera.width)
    shape = (camera.height, camera.width)
    return row.reshape(shape if channels == 1 else (*shape, channels))


def without_depthless(frame: Frame) -> Frame:
    """Mark what a very wide lens sees sideways and behind itself as invalid: z is not above 0."""
    depthless = frame.valid & ~(frame.depth_mm > 0)
    if not depthless.any():
        return frame
    numbers = ("depth_mm", "normal_camera", "flow_px", *_NUMBERS)
    whole = ("valid", "instance", "occluded", "specular", "back_occluded", "material", "moving")
    cleared: dict[str, Any] = {}
    for name in (*numbers, *whole):
        array = getattr(frame, name)
        if array is not None:
            cleared[name] = array.copy()
            cleared[name][depthless] = np.nan if name in numbers else 0
    return replace(frame, **cleared)

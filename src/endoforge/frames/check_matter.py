# SPDX-License-Identifier: Apache-2.0
"""The optional labels of a single eye: colour, light, and what keeps its value along the flow.

A piece of tissue has the same place on the texture in every frame, however it moves.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, UInt8

from endoforge.frames.check_flow import (
    EDGES,
    FLOW_TOLERANCE_PX,
    Displacement,
    Fault,
    depth_faults,
    displacement_faults,
    landing_of,
    still_pixels,
)
from endoforge.frames.frame import Frame
from endoforge.frames.planes import known_pixels
from endoforge.frames.sampling import pick, sample, step_length, uniform
from endoforge.geometry.poses import is_pose, relative_pose

#: Largest median disagreement of a place on the texture along the flow, mm; two steps of the file.
TEXTURE_TOLERANCE_MM = 0.04

#: The same as a share of the distance between two pixels' places.
_TEXTURE_STEP = 0.1

#: Flow there and back may leave this much, px, and this share of its length.
_RETURN_PX, _RETURN_SHARE = 0.25, 0.05

#: Share of pixels that may break a rule along the flow, where edges pass.
_STRAYS = 0.02

#: Two pictures of the same thing correlate at least like this.
_ALIKE = 0.6

#: Rank correlation of albedo * shading with the clean picture.
_RANKED = 0.6


def matter_faults(frame: Frame, depth_step_mm: float) -> Iterator[Fault]:
    """Yield what is wrong with the optional labels of one frame, the right eye aside.

    Args:
        frame: As it was read.
        depth_step_mm: Precision of the stored depth, mm.
    """
    yield from _presence_faults(frame)
    if frame.clean is not None and not alike(frame.image, frame.clean, frame.valid):
        yield Fault("clean", "it does not show what the image shows")
    yield from _radiance_faults(frame)
    before = frame.facts.get("previous_camera_from_world")
    if before is not None and is_pose(before):
        way = _way_back(frame, np.array(before, np.float64))
        yield from displacement_faults(frame, way, depth_step_mm) if way else ()


def matter_pair_faults(frame: Frame, following: Frame, depth_step_mm: float) -> Iterator[Fault]:
    """Yield contradictions of optional labels between a frame and the next one.

    Args:
        frame: Earlier.
        following: Next of its sequence.
        depth_step_mm: Precision of the stored depth, mm.
    """
    if frame.camera != following.camera:
        return
    yield from _carried_faults(frame, following, frame.flow_px, frame.occluded, "next")
    way = _way_back(following, frame.camera_from_world)
    if way is None:
        return
    if "previous_camera_from_world" not in following.facts:  # otherwise done with the frame itself
        yield from displacement_faults(following, way, depth_step_mm)
    yield from depth_faults(following, way, frame.depth_mm, "depth-previous")
    yield from _carried_faults(following, frame, way.stored_px, way.occluded, "previous")
    yield from _return_faults(frame, following)


def _way_back(frame: Frame, before: Float64[np.ndarray, "4 4"]) -> Displacement | None:
    """The back flow to a pose; None if the frame has none."""
    if frame.back_flow_px is None or frame.back_occluded is None:
        return None
    return Displacement(
        "back-flow",
        frame.back_flow_px,
        frame.back_occluded,
        relative_pose(before, frame.camera_from_world),
        frame.camera,
        still_pixels(frame),
    )


def alike(
    first: UInt8[np.ndarray, "height width 3"],
    second: UInt8[np.ndarray, "height width 3"],
    where: Bool[np.ndarray, "height width"],
) -> bool:
    """Whether two pictures show the same thing, as far as brightness tells; True if one is flat."""
    if first.shape != second.shape:
        return False
    size = (max(first.shape[1] // 4, 4), max(first.shape[0] // 4, 4))
    seen = cv2.resize(where.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.99
    a, b = (
        cv2.resize(p.mean(axis=-1, dtype=np.float32), size, interpolation=cv2.INTER_AREA)[seen]
        for p in (first, second)
    )
    if len(a) < 16 or min(a.std(), b.std()) < 4:
        return True
    return float(np.corrcoef(a, b)[0, 1]) > _ALIKE


# ---- one frame ----------------------------------------------------------------------------------


def _presence_faults(frame: Frame) -> Iterator[Fault]:
    for name in ("albedo", "shading", "texture_mm"):
        values = getattr(frame, name)
        if values is None:
            continue
        known = known_pixels(values)
        if (wrong := int((known != frame.valid).sum())) > 0:
            kind = name.removesuffix("_mm")
            yield Fault(kind, f"{wrong} pixels are valid and have none, or the other way round")
    for name in ("specular", "moving"):
        flags = getattr(frame, name)
        if flags is not None and (wrong := int((flags & ~frame.valid).sum())) > 0:
            yield Fault(name, f"{wrong} pixels have it but are not valid")
    if frame.albedo is not None and float(np.nanmax(frame.albedo, initial=0)) > 1:
        yield Fault("albedo", f"it reaches {float(np.nanmax(frame.albedo)):.3f}, more than 1")
    if frame.shading is not None and not float(np.nanmax(frame.shading, initial=0)) > 0:
        yield Fault("shading", "no light reaches any pixel")


def _radiance_faults(frame: Frame) -> Iterator[Fault]:
    """The sensor is monotone, so the order of brightness survives where no film shines."""
    if frame.albedo is None or frame.shading is None:
        return
    picture = frame.image if frame.clean is None else frame.clean
    light = frame.albedo.mean(axis=-1) * frame.shading.mean(axis=-1)
    bright = picture.max(axis=-1)
    seen = frame.valid & (bright > 4) & (bright < 250)
    if frame.specular is not None:
        seen &= ~frame.specular
    a, b = light[seen][:: max(seen.sum() // 4000, 1)], picture.mean(axis=-1)[seen]
    b = b[:: max(seen.sum() // 4000, 1)]
    if len(a) < 200 or np.quantile(b, 0.95) - np.quantile(b, 0.05) < 15:
        return
    ranks = float(np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1])
    if ranks < _RANKED:
        yield Fault(
            "radiance",
            f"albedo * shading does not order the pixels as the picture does ({ranks:.2f})",
        )


# ---- two frames ---------------------------------------------------------------------------------


def _carried_faults(
    frame: Frame,
    other: Frame,
    displacement_px: Float32[np.ndarray, "height width 2"],
    occluded: Bool[np.ndarray, "height width"],
    name: str,
) -> Iterator[Fault]:
    """A piece of tissue keeps its place on the texture and its material."""
    landing = landing_of(frame, displacement_px)
    visible = frame.valid & ~occluded & known_pixels(landing)
    if frame.material is not None and other.material is not None:
        there = pick(other.material, landing)
        clear = visible & uniform(frame.material) & np.isfinite(there)
        clear &= pick(uniform(other.material), landing) > 0
        share = float((there != frame.material)[clear].mean()) if clear.any() else 0.0
        if share > _STRAYS:
            yield Fault(
                "material",
                f"{100 * share:.0f} % of the points are of another one in the {name} frame",
            )
    if frame.texture_mm is not None and other.texture_mm is not None:
        yield from _texture_faults(frame, other, landing, visible, name)


def _texture_faults(
    frame: Frame,
    other: Frame,
    landing: Float[np.ndarray, "height width 2"],
    visible: Bool[np.ndarray, "height width"],
    name: str,
) -> Iterator[Fault]:
    assert frame.texture_mm is not None
    assert other.texture_mm is not None
    step = pick(step_length(other.texture_mm, TEXTURE_TOLERANCE_MM), landing)
    apart = np.linalg.norm(sample(other.texture_mm, landing) - frame.texture_mm, axis=-1)
    clear = visible & np.isfinite(apart) & np.isfinite(step)
    if clear.sum() < 50:
        return
    excess = apart[clear] - _TEXTURE_STEP * step[clear]
    if (middle := float(np.median(excess))) > TEXTURE_TOLERANCE_MM:
        yield Fault("texture", f"it is {middle:.2f} mm off in the {name} frame (median)")
        return
    strays = float((apart[clear] > 2 * TEXTURE_TOLERANCE_MM + 1.5 * step[clear]).mean())
    if strays > _STRAYS:
        yield Fault(
            "texture", f"{100 * strays:.0f} % of the visible points differ in the {name} frame"
        )


def _return_faults(frame: Frame, following: Frame) -> Iterator[Fault]:
    """Flow there and back flow from there must cancel out."""
    assert following.back_flow_px is not None
    assert following.back_occluded is not None
    landing = landing_of(frame, frame.flow_px)
    back = sample(following.back_flow_px, landing)
    near = np.stack([pick(following.back_flow_px[..., axis], landing) for axis in (0, 1)], axis=-1)
    calm = np.linalg.norm(back - near, axis=-1) < _RETURN_PX
    both = frame.valid & ~frame.occluded & known_pixels(back) & calm
    both &= pick(following.back_occluded, landing) == 0
    if both.sum() < 50:
        return
    left = np.linalg.norm(frame.flow_px + back, axis=-1)[both]
    length = np.linalg.norm(frame.flow_px, axis=-1)[both]
    if (middle := float(np.median(left))) > FLOW_TOLERANCE_PX + 0.02 * float(np.median(length)):
        yield Fault("flow-return", f"flow there and back leaves {middle:.2f} px (median)")
        return
    strays = float((left > _RETURN_PX + _RETURN_SHARE * length).mean())
    if strays > max(_STRAYS, EDGES):
        yield Fault("flow-return", f"{100 * strays:.0f} % of the points do not come back")

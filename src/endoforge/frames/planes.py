# SPDX-License-Identifier: Apache-2.0
"""One plane of a frame as one PNG file, and back: which number stands for which mm or px.

Unit, scale and meaning are notes in each file, so that a file alone can be read. Colours and light
are in `frames.light_planes`; nothing here touches the disk.
"""

import math
from typing import Any, TypeAlias

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, UInt16

from endoforge.errors import DataError
from endoforge.frames.png import Png, decode_png, encode_png

#: Millimetres per step of a stored depth; the farthest depth is 327.675 mm.
DEPTH_SCALE_MM = 0.005

#: Pixels per step of a stored flow; the largest is just under 512 px.
FLOW_SCALE_PX = 1 / 64

#: Stored normals are rounded to this many of 65536 steps (11 bits, at most 0.05 degrees off).
NORMAL_STEP = 32

#: Millimetres per step of a stored place on the texture; doubled where a frame spans over 1310 mm.
TEXTURE_SCALE_MM = 0.02

# The third channel of a flow file.
_FLOW_UNKNOWN, _FLOW_VISIBLE, _FLOW_OCCLUDED, _FLOW_OCCLUDED_UNKNOWN = 0, 1, 2, 3
_FLOW_ZERO = 1 << 15

Arrays: TypeAlias = dict[str, Any]


# ---- depth --------------------------------------------------------------------------------------


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
    return depth_of(decode_png(content, source), source)


def depth_of(png: Png, source: str) -> Float32[np.ndarray, "height width"]:
    """Depth: z in the camera frame, mm; NaN where invalid.

    Raises:
        DataError: The file does not say that it holds z in mm and at which scale.
    """
    scale = depth_scale_of(png, source)
    stored = expect(png.pixels, np.uint16, 2, source)
    depth: np.ndarray = stored * np.float32(scale)
    depth[stored == 0] = np.nan
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
    return _number_in(png, "scale", source)


# ---- normals ------------------------------------------------------------------------------------


def encode_normal(
    normal: Float32[np.ndarray, "height width 3"],
    valid: Bool[np.ndarray, "height width"],
    source: str,
) -> bytes:
    """Pack unit normals; (0, 0, 0) stands for "unknown": no unit vector is stored like that.

    Raises:
        DataError: A valid pixel has no unit normal.
    """
    half = np.float32(65535 / 2 / NORMAL_STEP)
    steps = normal * half
    steps += half
    np.rint(steps, out=steps)
    steps *= NORMAL_STEP
    known = known_pixels(steps)
    if (valid & ~known).any() or _beyond(steps, -2 * NORMAL_STEP, 65535 + 2 * NORMAL_STEP):
        raise DataError(f"{source}: a valid pixel must have a unit normal; mask the others")
    np.clip(steps, 0, 65535, out=steps)
    notes = {"meaning": "unit normal, camera frame", "value": "v/65535*2-1"}
    return encode_png(words_from(steps, valid), notes)


def normal_of(png: Png, source: str) -> Float32[np.ndarray, "height width 3"]:
    """Unit normals in the camera frame; NaN where unknown.

    Raises:
        DataError: The file is no 16 bit RGB.
    """
    stored = expect(png.pixels, np.uint16, 3, source)
    normal = np.asarray(stored * np.float32(2 / 65535) - np.float32(1))
    normal[~stored.any(axis=-1)] = np.nan
    return normal


# ---- flow ---------------------------------------------------------------------------------------


def encode_flow(
    flow: Float32[np.ndarray, "height width 2"],
    occluded: Bool[np.ndarray, "height width"],
    target: str,
    source: str,
) -> bytes:
    """Pack a displacement and what is hidden at its end.

    Args:
        flow: (du, dv), px; NaN where unknown.
        occluded: True where the point is hidden in the picture that the flow leads to.
        target: Which picture that is, e.g. ``"the next frame"``.
        source: Names the frame in errors.

    Raises:
        DataError: A visible point moves farther than a file can hold.
    """
    steps = flow * np.float32(1 / FLOW_SCALE_PX)
    np.rint(steps, out=steps)
    steps += _FLOW_ZERO
    held = (steps >= 0) & (steps <= 65535)
    fits: np.ndarray = held[..., 0] & held[..., 1]
    lost = ~fits & ~occluded
    if lost.any() and (lost := lost & np.isfinite(flow[..., 0] + flow[..., 1])).any():
        largest = float(np.abs(flow[lost]).max())
        raise DataError(
            f"{source}: a visible point moves by {largest:.0f} px, but a file holds less than "
            f"{_FLOW_ZERO * FLOW_SCALE_PX:.0f}; use more frames for this movement"
        )
    steps[~fits] = _FLOW_ZERO
    hidden, known = occluded.view(np.uint8), fits.view(np.uint8)
    state = 3 * hidden + known - 2 * (hidden & known)  # as the four numbers above
    stored = cv2.merge([steps.astype(np.uint16), state.astype(np.uint16)])
    notes = {"meaning": f"flow to {target}", "unit": "px", "value": "(v-32768)/64"}
    return encode_png(
        stored, notes | {"third": "0 unknown 1 visible 2 occluded 3 occluded unknown"}
    )


def flow_of(
    png: Png, source: str
) -> tuple[Float32[np.ndarray, "height width 2"], Bool[np.ndarray, "height width"]]:
    """(du, dv) in px, NaN where unknown; and True where the point is occluded.

    Raises:
        DataError: The file is no 16 bit RGB, or its third channel means nothing.
    """
    stored = expect(png.pixels, np.uint16, 3, source)
    state: np.ndarray = stored[..., 2]
    if state.max() > _FLOW_OCCLUDED_UNKNOWN:
        raise DataError(
            f"{source}: the third channel must be 0 to 3, got {state.max()}; restore it"
        )
    flow = (stored[..., :2] - np.float32(_FLOW_ZERO)) * np.float32(FLOW_SCALE_PX)
    flow[(state == _FLOW_UNKNOWN) | (state == _FLOW_OCCLUDED_UNKNOWN)] = np.nan
    return flow, state >= _FLOW_OCCLUDED


# ---- places on the texture ----------------------------------------------------------------------


def encode_texture(
    texture_mm: Float32[np.ndarray, "height width 3"],
    valid: Bool[np.ndarray, "height width"],
    source: str,
) -> bytes:
    """Pack places in the rest frame; one grid for all frames, so that equal places stay equal.

    Raises:
        DataError: A valid pixel has no place.
    """
    if (valid & ~known_pixels(texture_mm)).any():
        raise DataError(f"{source}: a valid pixel must have a place on the texture")
    scale = TEXTURE_SCALE_MM
    low, high = _ends(texture_mm) if valid.any() else (np.zeros(3), np.zeros(3))
    while float((high - low).max()) > 65533 * scale:
        scale *= 2
    first = np.rint(low / scale) - 2  # so that no valid pixel is stored as 0
    steps = texture_mm * np.float32(1 / scale)
    rows = steps.reshape(len(steps), -1)
    rows -= np.tile(first.astype(np.float32), steps.shape[1])
    np.rint(steps, out=steps)
    notes = {
        "meaning": "place in the rest frame of the object",
        "unit": "mm",
        "value": "v*scale+offset",
        "scale": repr(scale),
        "offset": " ".join(repr(float(value)) for value in first * scale),
        "invalid": "0 0 0",
    }
    return encode_png(words_from(steps, valid), notes)


def texture_of(png: Png, source: str) -> Float32[np.ndarray, "height width 3"]:
    """Place of each pixel in the rest frame of its object, mm; NaN where invalid.

    Raises:
        DataError: The file is no 16 bit RGB, or does not say its unit, scale and offset.
    """
    if png.notes.get("unit") != "mm":
        raise DataError(f"{source} must hold mm, got {png.notes.get('unit')!r}; convert it")
    stored = expect(png.pixels, np.uint16, 3, source)
    scale = _number_in(png, "scale", source)
    try:
        offset = np.array([float(value) for value in png.notes.get("offset", "").split()])
    except ValueError:
        offset = np.zeros(0)
    if offset.shape != (3,) or not np.isfinite(offset).all():
        raise DataError(
            f"{source} must state an offset of three numbers in mm, got {png.notes.get('offset')!r}"
        )
    texture = stored * np.float32(scale)
    texture += offset.astype(np.float32)
    texture[(stored == 0).all(axis=-1)] = np.nan
    return np.asarray(texture)


# ---- shared -------------------------------------------------------------------------------------


def expect(pixels: Any, dtype: type, dimensions: int, source: str) -> Any:
    """The pixels, once they have the type and the number of axes that the file must have.

    Raises:
        DataError: Says what came instead.
    """
    if pixels.dtype != dtype or pixels.ndim != dimensions:
        raise DataError(
            f"{source} must be {np.dtype(dtype)} with {1 if dimensions == 2 else 3} channels, got "
            f"{pixels.dtype} of shape {pixels.shape}; restore it"
        )
    return pixels


def known_pixels(
    values: Float[np.ndarray, "height width channels"],
) -> Bool[np.ndarray, "height width"]:
    """True where all channels are finite; much faster than a reduction over so short an axis."""
    total = values[..., 0]
    with np.errstate(invalid="ignore", over="ignore"):
        for channel in range(1, values.shape[-1]):
            total = total + values[..., channel]
    return np.asarray(np.isfinite(total))


def words_from(
    steps: Float32[np.ndarray, "height width 3"], valid: Bool[np.ndarray, "height width"]
) -> UInt16[np.ndarray, "height width 3"]:
    """Whole numbers as 16 bits; 0 where invalid, whatever stands there. Changes `steps`."""
    steps[~valid] = 0
    return steps.astype(np.uint16)


def _number_in(png: Png, name: str, source: str) -> float:
    """A number above 0 among the notes."""
    try:
        value = float(png.notes.get(name, ""))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise DataError(f"{source} must state a {name} above 0 mm, got {png.notes.get(name)!r}")
    return value


def _ends(
    values: Float32[np.ndarray, "height width 3"],
) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3"]]:
    """Smallest and largest number of each channel, NaN aside."""
    low = np.fmin.reduce(np.fmin.reduce(values, axis=0), axis=0)  # whole rows at once are fast
    high = np.fmax.reduce(np.fmax.reduce(values, axis=0), axis=0)
    return low.astype(np.float64), high.astype(np.float64)


def _beyond(values: Float32[np.ndarray, "*shape"], low: float, high: float) -> bool:
    """Whether a number (NaN aside) lies outside a range."""
    return bool(np.fmin.reduce(values, axis=None) < low or np.fmax.reduce(values, axis=None) > high)

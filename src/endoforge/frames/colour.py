# SPDX-License-Identifier: Apache-2.0
"""Label maps as pictures: false colours, their bars and legends, the same wherever they are shown.

Depth has a logarithmic scale, because a step that matters at 5 mm is invisible at 100 mm. What is
not known is always the same neutral grey, never a colour of the scale.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

#: The grey of a pixel about which nothing is known.
UNKNOWN = (118, 122, 128)

#: Class colours, chosen to stay apart for colour-blind eyes (Okabe and Ito, adapted).
CLASS_COLOURS: tuple[tuple[int, int, int], ...] = (
    (60, 64, 72),
    (230, 159, 128),
    (86, 160, 211),
    (240, 200, 60),
    (0, 158, 115),
    (204, 121, 167),
    (150, 110, 220),
    (213, 94, 0),
)

_MAPS = {"depth": cv2.COLORMAP_MAGMA, "error": cv2.COLORMAP_VIRIDIS, "angle": cv2.COLORMAP_CIVIDIS}


@dataclass(frozen=True)
class Scale:
    """How a quantity becomes a colour.

    Attributes:
        low: Value at the start of the bar, in `unit`.
        high: Value at its end, in `unit`.
        unit: Written beside the bar.
        logarithmic: Equal steps of colour are equal ratios.
        colours: ``"depth"``, ``"error"`` or ``"angle"``.
        reverse: Small values get the bright end.
    """

    low: float
    high: float
    unit: str
    logarithmic: bool = False
    colours: str = "error"
    reverse: bool = False

    def position(self, values: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
        """Place of each value on the bar, 0 to 1; values beyond the ends stay at the ends."""
        low, high = self.low, self.high
        if self.logarithmic:
            values = np.log(np.maximum(values, np.float32(1e-6)))
            low, high = math.log(low), math.log(high)
        place: np.ndarray = (values - np.float32(low)) / np.float32(high - low)
        clipped: np.ndarray = np.clip(place, 0, 1)
        return clipped

    def ticks(self) -> list[tuple[float, str]]:
        """Round values on the bar with their place, 0 to 1, and their text."""
        values = _octaves(self.low, self.high) if self.logarithmic else _even(self.low, self.high)
        places = self.position(np.array(values, np.float32))
        return [(float(p), f"{v:g}") for p, v in zip(places, values, strict=True)]


#: Depth everywhere: near is bright, each doubling the same step.
DEPTH_SCALE = Scale(4.0, 128.0, "mm", logarithmic=True, colours="depth", reverse=True)

#: Error of a depth, as a share of the true depth.
ERROR_SCALE = Scale(0.0, 0.5, "of the true depth", colours="error")


def colour_values(
    values: Float32[np.ndarray, "height width"], scale: Scale
) -> UInt8[np.ndarray, "height width 3"]:
    """Give each value its colour on the scale; NaN becomes the grey of the unknown."""
    known = np.isfinite(values)
    place = scale.position(np.where(known, values, np.float32(scale.low)))
    place = 1 - place if scale.reverse else place
    picture = _lookup(np.round(place * 255).astype(np.uint8), scale)
    picture[~known] = UNKNOWN
    return picture


def colour_bar(width: int, height: int, scale: Scale) -> UInt8[np.ndarray, "height width 3"]:
    """The colours of a scale from its low end (left) to its high end (right)."""
    place = np.linspace(0, 255, width)
    place = place[::-1] if scale.reverse else place
    return _lookup(np.tile(np.round(place).astype(np.uint8), (height, 1)), scale)


def colour_normals(
    normals: Float32[np.ndarray, "height width 3"],
) -> UInt8[np.ndarray, "height width 3"]:
    """Unit normals in the camera frame: red right, green down, blue towards the camera."""
    known = np.isfinite(normals).all(axis=-1)
    towards = np.where(known[..., None], normals, 0) * np.array([1, 1, -1], np.float32)
    picture = np.round((towards + 1) * 127.5).clip(0, 255).astype(np.uint8)
    picture[~known] = UNKNOWN
    return picture


def colour_classes(label: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width 3"]:
    """Class indices in the fixed class colours; ignored pixels become the grey of the unknown."""
    table = np.tile(np.array(UNKNOWN, np.uint8), (256, 1))
    for index in range(255):
        table[index] = class_colour(index)
    picture: np.ndarray = table[label]
    return picture


def class_colour(index: int) -> tuple[int, int, int]:
    """Colour of one class, red, green, blue."""
    return CLASS_COLOURS[index % len(CLASS_COLOURS)]


def colour_instances(
    instance: np.ndarray,
) -> UInt8[np.ndarray, "height width 3"]:
    """Object numbers in hues that differ from their neighbours'; 0 is dark."""
    hue = (instance.astype(np.int64) * 67 % 180).astype(np.uint8)
    full = np.full_like(hue, 200)
    picture: np.ndarray = cv2.cvtColor(np.stack([hue, full, full + 35], -1), cv2.COLOR_HSV2RGB)
    picture[instance == 0] = CLASS_COLOURS[0]
    return picture


def colour_flow(
    flow_px: Float32[np.ndarray, "height width 2"], largest_px: float
) -> UInt8[np.ndarray, "height width 3"]:
    """Motion as colour: the hue is its direction, the strength its length up to `largest_px`."""
    known = np.isfinite(flow_px).all(axis=-1)
    u, v = (np.where(known, flow_px[..., axis], 0) for axis in (0, 1))
    hue = np.mod(np.arctan2(v, u), 2 * np.pi) / (2 * np.pi) * 179
    strength = np.clip(np.hypot(u, v) / max(largest_px, 1e-6), 0, 1) * 255
    hsv = np.stack([hue, strength, np.full_like(hue, 245)], axis=-1).round().astype(np.uint8)
    picture: np.ndarray = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    picture[~known] = UNKNOWN
    return picture


def colour_mask(
    mask: Bool[np.ndarray, "height width"], valid: Bool[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    """True in light, False in dark, unknown in grey."""
    picture = np.where(mask[..., None], np.uint8(236), np.uint8(44)).repeat(3, axis=-1)
    picture[~valid] = UNKNOWN
    return picture


# ---- inside -------------------------------------------------------------------------------------


def _lookup(index: UInt8[np.ndarray, "height width"], scale: Scale) -> np.ndarray:
    coloured = cv2.applyColorMap(index, _MAPS[scale.colours])
    return np.ascontiguousarray(coloured[..., ::-1])


def _octaves(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9)
    return [2.0**power for power in range(first, last + 1)] or [low, high]


def _even(low: float, high: float) -> list[float]:
    span = high - low
    step = 10 ** math.floor(math.log10(span))
    step *= next(f for f in (0.1, 0.2, 0.25, 0.5, 1.0, 2.0) if span / (step * f) <= 6)
    count = math.floor(span / step + 1e-6)
    return [round(low + step * k, 10) for k in range(count + 1)]

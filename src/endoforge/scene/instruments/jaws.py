# SPDX-License-Identifier: Apache-2.0
"""Upper jaws of every kind in the pivot's frame: z towards the tip, y up, teeth at y = 0.

The lower jaw is the upper one turned by half a turn about z. The hub lies beside the middle plane,
so that the two do not meet at the pivot.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from endoforge.scene.instruments.shaft import _ALONG_X
from endoforge.scene.instruments.solids import Solid, lathe, moved, skin, wire

#: Turns an upper jaw into a lower one.
HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class JawShape:
    """Sizes of a jaw.

    Attributes:
        length_mm: From the pivot to the tip.
        width_mm: Across, at its root.
        tip_width_mm: Across, where its round end begins.
        height_mm: From the teeth to the back, at its root.
        tip_height_mm: The same near the tip.
        pitch_mm: Distance of the teeth.
        tooth_mm: Their height.
        bend_mm: How far the tip is bent sideways (towards +x).
    """

    length_mm: float = 22.0
    width_mm: float = 4.6
    tip_width_mm: float = 3.4
    height_mm: float = 2.2
    tip_height_mm: float = 1.0
    pitch_mm: float = 0.9
    tooth_mm: float = 0.35
    bend_mm: float = 0.0


def fenestrated_jaw(shape: JawShape, window_mm: tuple[float, float]) -> list[Solid]:
    """A jaw with a long window and teeth on its rim.

    Args:
        shape: Sizes.
        window_mm: z where the window begins and ends.
    """
    root = window_mm[0] - 1.6
    return [_hub(shape), _neck(shape, root + 0.8), _loop(shape, root, window_mm)]


def solid_jaw(shape: JawShape) -> list[Solid]:
    """A slim jaw without a window, with teeth across it and often bent to one side."""
    root = 4.2
    z = np.concatenate([
        np.arange(root, shape.length_mm - 1.0, shape.pitch_mm / 2),
        shape.length_mm - 1.0 + np.sin(np.linspace(0, np.pi / 2 * 0.96, 8)),
    ])  # fmt: skip
    width = _half_width(shape, z) * _round_end(z, shape.length_mm - 1.0, 1.0)
    top = _height(shape, z) * (0.35 + 0.65 * _round_end(z, shape.length_mm - 1.0, 1.0))
    bottom = _teeth(shape, z)
    share = np.array([-1, -1, -0.97, -0.7, -0.35, 0, 0.35, 0.7, 0.97, 1, 1, 0.5, 0, -0.5])
    rise = np.array([0.0, 0.2, 0.5, 0.82, 0.96, 1, 0.96, 0.82, 0.5, 0.2, 0, 0, 0, 0])
    x = share * width[:, None] + _bend(shape, z)[:, None]
    y = bottom[:, None] + rise * np.maximum(top - bottom, 0.05)[:, None]
    rings = np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=2)
    return [_hub(shape), _neck(shape, root + 0.6), skin(rings)]


def scissor_blade(shape: JawShape) -> list[Solid]:
    """A thin blade beside the middle plane, bevelled to its edge and curved to one side."""
    end = shape.length_mm
    z = np.concatenate([np.linspace(1.0, end - 1.2, 26), end - 1.2 + 1.2 * np.sin(
        np.linspace(0.1, np.pi / 2 * 0.97, 8))])  # fmt: skip
    rounded = _round_end(z, end - 1.2, 1.2)
    height = _height(shape, z) * rounded
    edge = -0.45 * (1 - z / end) * rounded  # blades overlap a little
    thickness = 0.95 - 0.35 * z / end
    across = np.array([0.02, 0.02, 0.35, 1.0, 1.0, 0.75])
    rise = np.array([1.0, 0.0, 0.04, 0.45, 0.85, 1.0])
    x = across * thickness[:, None] + _bend(shape, z)[:, None]
    y = edge[:, None] + rise * (height - edge)[:, None]
    rings = np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=2)
    return [_hub(shape), skin(rings)]


def clip_jaw(shape: JawShape) -> list[Solid]:
    """A narrow bar with a groove along its inner face, in which a clip's leg lies."""
    z = np.concatenate([np.linspace(2.0, shape.length_mm - 1.0, 16), shape.length_mm - np.array(
        [0.6, 0.3, 0.08])])  # fmt: skip
    width, top = _half_width(shape, z), _height(shape, z)
    taper = np.concatenate([np.ones(16), [0.96, 0.86, 0.66]])
    share = np.array([-1, -1, -0.8, 0.8, 1, 1, 0.45, 0.45, -0.45, -0.45])
    rise = np.array([0.0, 0.7, 1, 1, 0.7, 0, 0, 0.3, 0.3, 0])
    x = share * (width * taper)[:, None]
    y = rise * (top * taper)[:, None]
    rings = np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=2)
    return [_hub(shape), _neck(shape, 3.0), skin(rings)]


def cup(radius_mm: float, length_mm: float) -> list[Solid]:
    """The half shell of a biopsy forceps with a scalloped rim, open downwards."""
    turn = np.linspace(0, 2 * np.pi, 61)[:-1]
    lift = np.array([0.0, 0.12, 0.3, 0.5, 0.7, 0.88])
    scallop = 0.1 * radius_mm * np.abs(np.cos(8 * turn)) + 0.03
    rings: list[Float64[np.ndarray, "columns 3"]] = []
    for wall, order in ((1.0, lift), (0.78, lift[::-1])):
        for share in order:
            flat = wall * np.cos(share * np.pi / 2)
            x, z = radius_mm * flat * np.sin(turn), 0.5 * length_mm * flat * np.cos(turn)
            y = wall * radius_mm * np.sin(share * np.pi / 2) + max(1 - share / 0.12, 0) * scallop
            rings.append(np.stack([x, y, z + 0.55 * length_mm], axis=1))
    rings.insert(6, _dot(rings[5], radius_mm * 0.99))
    rings.insert(7, _dot(rings[7], radius_mm * 0.77))
    shell = skin(np.stack(rings), closed=True)
    arm = np.array([(0.35, 0.1, 0.0), (0.3, 0.35, 0.08 * length_mm), (0.0, 0.5, 0.3 * length_mm)])
    return [shell, wire(arm * [radius_mm, radius_mm, 1], 0.24 * radius_mm, 10)]


def _dot(ring: Float64[np.ndarray, "columns 3"], y: float) -> Float64[np.ndarray, "columns 3"]:
    """A ring drawn together to one point at a height."""
    middle = ring.mean(axis=0)
    middle[1] = y
    return np.tile(middle, (len(ring), 1))


def _loop(shape: JawShape, root: float, window: tuple[float, float]) -> Solid:
    """A rim around a window: a section carried around a stretched ring, toothed underneath."""
    outer, inner = _outlines(shape, root, window)
    mix = np.array([0.0, 1.0, 1.0, 0.93, 0.7, 0.35, 0.0])
    rise = np.array([0.0, 0.0, 0.45, 0.8, 1.0, 1.0, 1.0])
    flat = inner[:, None] + mix[:, None] * (outer - inner)[:, None]  # station, corner, (x, z)
    z = flat[:, :, 1]
    wide = np.maximum(_half_width(shape, z), 0.3) * 1.06
    vault = np.sqrt(np.maximum(1 - (np.clip(np.abs(flat[:, :, 0]) / wide, 0, 1)) ** 2, 0.12))
    end = _round_end(z, shape.length_mm - 2.0, 2.2)
    top = _height(shape, z) * (0.35 + 0.65 * vault) * (0.45 + 0.55 * end)
    bottom = _teeth(shape, z)
    y = bottom + rise * (top - bottom)
    return skin(np.stack([flat[:, :, 0] + _bend(shape, z), y, z], axis=2), closed=True)


def _outlines(
    shape: JawShape, root: float, window: tuple[float, float]
) -> tuple[Float64[np.ndarray, "stations 2"], Float64[np.ndarray, "stations 2"]]:
    """Outer and inner rim as (x, z), station by station; stations meet every half tooth."""
    tip = shape.tip_width_mm / 2
    steps = np.arange(window[0] + 0.8, window[1] - 0.8 * tip, shape.pitch_mm / 2)
    half = _half_width(shape, steps)
    rail = 0.30 * shape.width_mm / 2 + 0.12
    turn = np.linspace(0, np.pi, 19)[1:-1]
    corner = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.8

    def ring(
        side: Float[np.ndarray, "rows"], front: float, back: float
    ) -> Float64[np.ndarray, "stations 2"]:
        up, down = np.stack([side, steps], 1), np.stack([-side, steps], 1)[::-1]
        fore = np.stack([side[-1] * corner, steps[-1] + front * np.sin(turn)], 1)
        rear = np.stack([-side[0] * corner, steps[0] - back * np.sin(turn)], 1)
        return np.concatenate([up, fore, down, rear])

    outer = ring(half, shape.length_mm - steps[-1], steps[0] - root)
    inner = ring(half - rail, window[1] - steps[-1], steps[0] - window[0])
    return outer, inner


def _hub(shape: JawShape) -> Solid:
    """The disc about the pivot, on the side x > 0."""
    radius, thick = 0.42 * shape.width_mm, 0.24 * shape.width_mm
    profile = np.array([(0.03, 0.9), (0.08, 1.0), (thick - 0.05, 1.0), (thick, 0.9)])
    return moved(lathe(profile * [1, radius], 28), _ALONG_X)


def _neck(shape: JawShape, end: float) -> Solid:
    """From the hub to the root of the blade, widening from beside the middle to the full width."""
    way = np.linspace(0.0, 1.0, 9)
    rising, widening = _ease(way / 0.6), _ease((way - 0.4) / 0.6)
    half = 0.97 * float(_half_width(shape, np.array([end]))[0])
    tall = 0.98 * float(_height(shape, np.array([end]))[0])
    low_x = 0.04 - widening * (half + 0.04)
    high_x = 0.24 * shape.width_mm + widening * (half - 0.24 * shape.width_mm)
    low_y = -0.3 * shape.width_mm * (1 - rising) + rising * (shape.tooth_mm + 0.02)
    high_y = 0.36 * shape.width_mm * (1 - rising) + rising * tall
    across = np.array([0.0, 0.0, 0.12, 0.35, 0.65, 0.88, 1.0, 1.0])
    rise = np.array([0.0, 0.6, 0.88, 1.0, 1.0, 0.88, 0.6, 0.0])
    x = low_x[:, None] + across * (high_x - low_x)[:, None]
    y = low_y[:, None] + rise * (high_y - low_y)[:, None]
    return skin(np.stack([x, y, np.broadcast_to((way * end)[:, None], x.shape)], axis=2))


def _ease(share: Float[np.ndarray, "*rows"]) -> Float64[np.ndarray, "*rows"]:
    """From 0 to 1 without a corner."""
    t = np.clip(share, 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


def _half_width(shape: JawShape, z: Float[np.ndarray, "*rows"]) -> Float64[np.ndarray, "*rows"]:
    share = np.clip((z - 5.0) / (shape.length_mm - 6.0), 0, 1)
    return np.asarray(shape.width_mm / 2 + share * (shape.tip_width_mm - shape.width_mm) / 2)


def _height(shape: JawShape, z: Float[np.ndarray, "*rows"]) -> Float64[np.ndarray, "*rows"]:
    share = np.clip((z - 3.0) / (shape.length_mm - 3.0), 0, 1)
    return np.asarray(shape.height_mm + share * (shape.tip_height_mm - shape.height_mm))


def _teeth(shape: JawShape, z: Float[np.ndarray, "*rows"]) -> Float64[np.ndarray, "*rows"]:
    """Height of the toothed face above the mating plane."""
    phase = np.mod(z / shape.pitch_mm, 1.0)
    return np.asarray(0.02 + shape.tooth_mm * (1 - np.abs(2 * phase - 1)))


def _round_end(
    z: Float[np.ndarray, "*rows"], start: float, length: float
) -> Float64[np.ndarray, "*rows"]:
    """1 before `start`, then a quarter circle down to nearly 0."""
    share = np.clip((z - start) / length, 0.0, 0.998)
    return np.asarray(np.sqrt(1 - share**2))


def _bend(shape: JawShape, z: Float[np.ndarray, "*rows"]) -> Float64[np.ndarray, "*rows"]:
    share = np.clip(z / shape.length_mm, 0, 1)
    return np.asarray(shape.bend_mm * share**2.2)

# SPDX-License-Identifier: Apache-2.0
"""The bones of a phantom: lumbar and lower thoracic spine, ribs, sacrum, pelvis, hips."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32

from endoforge.scene.anatomy.abdomen.volumes import Axes
from endoforge.scene.volume.canvas import Canvas, Place, capsule, oval
from endoforge.scene.volume.phantom_body import Build, Trunk
from endoforge.scene.volume.tissue import Tissue

#: Middles of the vertebral bodies, mm, and their half widths and half heights.
_VERTEBRAE = (
    ("vertebrae_L5", -70.0, 25.0, 13.0), ("vertebrae_L4", -35.0, 24.0, 13.0),
    ("vertebrae_L3", 0.0, 23.0, 13.0), ("vertebrae_L2", 35.0, 22.0, 13.0),
    ("vertebrae_L1", 69.0, 21.0, 12.5), ("vertebrae_T12", 101.0, 19.5, 12.0),
    ("vertebrae_T11", 130.0, 18.0, 11.0), ("vertebrae_T10", 157.0, 17.0, 10.5),
    ("vertebrae_T9", 183.0, 16.5, 10.0),
)  # fmt: skip


def draw_bones(canvas: Canvas, build: Build, trunk: Trunk, tissue: Tissue) -> None:
    """Paint all bones."""
    for name, z, wide, high in _VERTEBRAE:
        _vertebra(canvas, build, tissue, name, (z, wide, high))
    _sacrum(canvas, build, tissue)
    for side, name in ((1.0, "right"), (-1.0, "left")):
        _hip(canvas, build, tissue, side, name)
        _ribs(canvas, build, trunk, tissue, side, name)


def _shelled(
    canvas: Canvas,
    part: tuple[slice, slice, slice],
    distance: Float32[np.ndarray, "i j k"],
    shell: tuple[float, float, float],
    organ: str,
) -> None:
    """Paint a bone with a shell: its HU, thickness in mm, and the HU within."""
    compact, thick, within = shell
    canvas.paint(part, canvas.share(distance), compact, organ)
    canvas.paint(part, canvas.share(distance + np.float32(thick)), within, organ)


def _vertebra(
    canvas: Canvas, build: Build, tissue: Tissue, name: str, size: tuple[float, float, float]
) -> None:
    z, wide, high = size
    y = float(build.spine_y(z))
    tilt = float(build.spine_y(z + 10) - build.spine_y(z - 10)) / 20.0
    part, axes = canvas.box((-62, y - 66, z - 34), (62, y + 24, z + 24))
    lean = axes[2] - z + tilt * (axes[1] - y)  # along the body's own height
    shift = axes[1] - y - tilt * (axes[2] - z)
    waist = 1.0 - 0.07 * (1.0 - np.minimum(np.abs(lean) / high, 1.0) ** 2)
    around = (np.hypot(axes[0] / wide, shift / (0.74 * wide)) - waist) * (0.8 * wide)
    around = np.maximum(around, -(shift + 0.86 * wide) + 0.03 * axes[0] ** 2 * 0.2)
    whole = np.maximum(around, np.abs(lean) - high).astype(np.float32)
    disc = np.maximum(around, np.abs(lean) - high - 4.5).astype(np.float32)
    canvas.paint(part, canvas.share(disc), tissue.disc)
    _arch(canvas, build, tissue, (part, axes), (name, y, z, wide))
    grain = 25.0 * np.sin(axes[0] * 1.7) * np.sin(axes[1] * 1.9 + 1) * np.sin(axes[2] * 1.8)
    canvas.paint(part, canvas.share(whole), 0.75 * tissue.compact, name)
    inner = canvas.share(whole + np.float32(1.4))
    canvas.paint(part, inner, np.asarray(tissue.spongy + grain, dtype=np.float32), name)


def _arch(
    canvas: Canvas,
    build: Build,
    tissue: Tissue,
    box: tuple[tuple[slice, slice, slice], Axes],
    one: tuple[str, float, float, float],
) -> None:
    """Pedicles, laminae, joints, and the three processes of one vertebra."""
    part, axes = box
    name, y, z, wide = one
    canal = y - 0.74 * wide - 9.5
    ring = np.hypot(axes[0] / 1.15, axes[1] - canal)
    upper = 1.0 if z > 85 else 0.0
    tip = 29.0 - 7.0 * upper
    shell = np.maximum(np.abs(ring - 11.5) - 2.6, np.abs(axes[2] - z + 2) - 12.0)
    pieces = [
        shell,
        _rod(axes, (0, canal - 12, z - 4), (0, canal - tip, z - 13 - 8 * upper), 4.0),
        _rod(axes, (0, canal - 12, z - 10), (0, canal - tip, z - 20), 3.2),
    ]
    for side in (1.0, -1.0):
        out = wide + (20.0 if upper == 0 else 10.0)
        pieces += [
            _rod(axes, (side * 13, canal + 14, z + 4), (side * 15, canal + 2, z + 4), 5.0),
            _rod(axes, (side * 16, canal - 3, z + 13), (side * 18, canal - 6, z - 16), 6.2),
            _rod(axes, (side * 16, canal, z + 2), (side * out, canal - 6 - 9 * upper, z + 1), 3.4),
        ]
    bone = np.minimum.reduce([np.broadcast_to(p, pieces[1].shape) for p in pieces])
    bone = np.maximum(bone, 9.2 - ring).astype(np.float32)
    _shelled(canvas, part, bone, (tissue.compact, 1.6, 330.0), name)
    cord = np.asarray(ring - 7.5 + 0 * axes[2], dtype=np.float32)
    canvas.paint(part, canvas.share(cord), tissue.cord, "spinal_cord")


def _lerp(
    at: Float32[np.ndarray, "*any"], places: Sequence[float], values: Sequence[float]
) -> Float32[np.ndarray, "*any"]:
    return np.asarray(np.interp(at, places, values), dtype=np.float32)


def _rod(
    axes: Axes,
    start: Place,
    end: Place,
    radius: float,
) -> Float32[np.ndarray, "i j k"]:
    return capsule(axes, np.array([start, end], dtype=np.float64), np.array([radius, radius]))


def _sacrum(canvas: Canvas, build: Build, tissue: Tissue) -> None:
    part, axes = canvas.box((-75, -125 * build.deep, -182), (75, -20, -82))
    z = axes[2]
    wide = _lerp(z, [-182, -160, -135, -110, -92, -85], [6, 16, 34, 50, 52, 40])
    thick = _lerp(z, [-182, -160, -120, -92, -85], [4, 7, 13, 17, 12])
    y = build.spine_y(z) - 4 - np.abs(axes[0]) * 0.28  # wings sweep back
    square = (axes[0] / wide) ** 4 + ((axes[1] - y) / thick) ** 4
    body = (np.sqrt(np.sqrt(square)) - 1.0) * thick
    body = np.maximum(body, np.maximum(-180 - z, z + 86))
    for row in (-103.0, -122.0, -141.0):
        for side in (1.0, -1.0):
            x = side * np.interp(row, [-141, -103], [15, 24])
            hole = np.sqrt((axes[0] - x) ** 2 + (z - row) ** 2 + 0 * axes[1]) - 4.5
            body = np.maximum(body, -hole)
    canal = np.hypot(axes[0] / 1.8, axes[1] - build.spine_y(z) + 14) - 5.0
    body = np.maximum(body, -canal)
    crest = np.maximum(
        np.abs(axes[0]) - 3.0, np.abs(axes[1] - build.spine_y(z) + 24) - 9 + 0.08 * (-90 - z)
    )
    body = np.minimum(body, np.maximum(crest, np.maximum(-150 - z, z + 90)))
    _shelled(canvas, part, body.astype(np.float32), (0.75 * tissue.compact, 1.6, 110.0), "sacrum")


def _hip(canvas: Canvas, build: Build, tissue: Tissue, side: float, name: str) -> None:
    """The wing of the ilium, the socket, the pubis, the ischium and the head of the femur."""
    w, d = build.wide, build.deep
    low = np.array([min(side * 2.0, side * 152 * w), -112 * d, -186])
    high = np.array([max(side * 2.0, side * 152 * w), 62 * d, -30])
    part, axes = canvas.box(low, high)
    x, z = axes[0] * side / w, axes[2]
    levels = [-160, -140, -120, -95, -70, -45, -36]
    back = (
        _lerp(z, levels, [76, 74, 64, 50, 50, 72, 88]),
        _lerp(z, levels, [-30, -36, -58, -84, -86, -70, -58]),
    )
    middle = (
        _lerp(z, levels, [84, 80, 78, 84, 97, 110, 114]),
        _lerp(z, levels, [-22, -26, -34, -42, -40, -32, -32]),
    )
    front = (
        _lerp(z, levels, [90, 92, 98, 108, 122, 126, 122]),
        _lerp(z, levels, [18, 24, 24, 20, 14, 0, -10]),
    )
    y = axes[1] / d
    wing = np.minimum(_segment(x, y, back, middle), _segment(x, y, middle, front))
    thick = _lerp(z, levels, [6, 7, 7, 5, 3.6, 3.8, 5.0])
    wing = np.maximum(wing - thick, np.maximum(-158 - z, z + 36)).astype(np.float32)
    head = np.array([side * 90 * w, -2 * d, -150])
    socket = oval(axes, head + np.array([-side * 2, -2, 3]), (32, 32, 32))
    start = head + np.array([-side * 10, 16, 4])
    pubis = _path(axes, [start, (side * 45 * w, 40 * d, -158), (side * 8, 46 * d, -172)], 8.0)
    start = head + np.array([-side * 14, -18, -2])
    seat = (side * 76 * w, -34 * d, -180), (side * 73 * w, -38 * d, -202)
    ischium = _path(axes, [start, *seat], 14.0)
    bone = np.minimum.reduce([wing, socket, pubis, ischium])
    bone = np.maximum(bone, 26.5 - _from(axes, head))
    bone = np.maximum(bone, np.minimum(side * (axes[0] - head[0]) - 14, 40 - _from(axes, head)))
    _shelled(canvas, part, bone.astype(np.float32), (tissue.compact, 2.0, 160.0), f"hip_{name}")
    ball = _from(axes, head) - 23.5
    canvas.paint(part, canvas.share((ball - 1.8).astype(np.float32)), tissue.cartilage)
    far = canvas.box(head - np.array([62, 50, 45]), head + np.array([62, 45, 30]))
    neck = _path(
        far[1],
        [head, head + np.array([side * 34, -10, -22]), head + np.array([side * 40, -14, -45])],
        15.0,
    )
    ball = np.minimum(_from(far[1], head) - 23.5, neck)
    _shelled(canvas, far[0], ball.astype(np.float32), (tissue.compact, 1.8, 230.0), f"femur_{name}")


def _from(axes: Axes, place: Float[np.ndarray, "3"]) -> Float32[np.ndarray, "i j k"]:
    square = sum((axes[k] - np.float32(place[k])) ** 2 for k in range(3))
    return np.asarray(np.sqrt(square), dtype=np.float32)


def _path(axes: Axes, points: Sequence[Place], radius: float) -> Float32[np.ndarray, "i j k"]:
    rods = [_rod(axes, a, b, radius) for a, b in pairwise(points)]
    return np.asarray(np.minimum.reduce(rods))


def _segment(
    x: np.ndarray,
    y: np.ndarray,
    start: tuple[np.ndarray, np.ndarray],
    end: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Distance in the plane of a slice to a line whose ends move from slice to slice."""
    a, b = end[0] - start[0], end[1] - start[1]
    at = np.clip(((x - start[0]) * a + (y - start[1]) * b) / (a * a + b * b), 0.0, 1.0)
    return np.asarray(np.hypot(x - start[0] - at * a, y - start[1] - at * b))


def _ribs(
    canvas: Canvas, build: Build, trunk: Trunk, tissue: Tissue, side: float, name: str
) -> None:
    """Ribs 7 to 12 run along the inside of the chest wall, forwards and down."""
    for number, start, reach, fall in (
        (12, 98.0, 0.34, 45.0), (11, 128.0, 0.52, 75.0), (10, 156.0, 0.74, 105.0),
        (9, 182.0, 0.84, 120.0), (8, 208.0, 0.92, 130.0), (7, 234.0, 0.95, 130.0),
        (6, 258.0, 0.95, 120.0),
    ):  # fmt: skip
        turn = np.linspace(0.06, reach, 46)
        height = start + 6 - fall * turn**1.3
        points = np.stack(
            [_on_wall(canvas, build, trunk, side, t, z) for t, z in zip(turn, height, strict=True)]
        )
        inside = np.abs(points[:, 2]) < canvas.far_mm + 6
        if inside.sum() < 3:
            continue
        points = points[inside]
        front = int((turn[inside] < 0.78).sum())
        if front >= 2:
            part, _, distance = canvas.tube(points[:front], 5.0)
            _shelled(canvas, part, distance, (tissue.compact, 1.7, 150.0), f"rib_{name}_{number}")
        if len(points) - front >= 2:
            canvas.vessel(points[front:], 5.5, tissue.cartilage, "costal_cartilages")


def _on_wall(
    canvas: Canvas, build: Build, trunk: Trunk, side: float, turn: float, z: float
) -> Float[np.ndarray, "3"]:
    """A place just inside the chest wall: turn 0 is the back's middle, 1 the front's."""
    angle = np.pi * (1.0 - turn)
    way = np.array([side * np.sin(angle), np.cos(angle) * 0.72, 0.0])
    out = np.linspace(20.0, 190.0, 171)
    line = out[:, None] * way + [0.0, 0.0, z]
    index = np.rint(canvas.index_of(line)).astype(int)
    index = index.clip(0, np.array(canvas.hu.shape) - 1)
    room = trunk.room_mm[index[:, 0], index[:, 1], index[:, 2]]
    beyond = np.flatnonzero(room > 4.5)
    return np.asarray(line[beyond[0] if beyond.size else -1])

# SPDX-License-Identifier: Apache-2.0
"""A suction and irrigation tube with real holes through its wall."""

import numpy as np
from jaxtyping import Bool, Float64, Int64

from endoforge.scene.instruments.assemble import Frame, PartPlan, assemble
from endoforge.scene.instruments.records import Instrument
from endoforge.scene.instruments.solids import Solid, lathe, of, outward

_LENGTH_MM, _TIP_MM, _SIDES, _STEPS = 330.0, 24.0, 8, 4


def suction(diameter_mm: float = 5.0, steel_shaft: bool = True) -> Instrument:
    """A tube with an open end and three rows of side holes."""
    r = diameter_mm / 2
    back = np.array([(-_LENGTH_MM + 12.0 * k, r) for k in range(28)] + [(0.0, r), (0.8, r - 0.1)])
    plans = [
        PartPlan(
            "shaft", "tool shaft", [of(lathe(back, 48), "steel" if steel_shaft else "plastic")]
        ),
        PartPlan("tube", "tool tip", [_pierced_tube(r - 0.12, r - 0.62, _TIP_MM), _plug(r)]),
    ]
    keypoints = {
        "tip": ("tube", (0.0, 0.0, _TIP_MM)),
        "pivot": ("tube", (0.0, 0.0, 0.8)),
        "shaft end": ("shaft", (0.0, 0.0, 0.0)),
    }
    return assemble(Frame("suction", diameter_mm, _LENGTH_MM), plans, keypoints)


def _plug(radius: float) -> Solid:
    """A dark disc deep in the bore, where one would otherwise see the shaft's end."""
    return of(lathe(np.array([(1.0, radius - 0.55), (1.5, radius - 0.55)]), 32), "plastic", 0.4)


def _pierced_tube(outer: float, inner: float, end_mm: float) -> Solid:
    """A tube of square fields, some of them with a round hole, from z = 0 to its end."""
    side = 2 * np.pi * outer / _SIDES
    rows = round(end_mm / side)
    holes = np.zeros((rows, _SIDES), dtype=bool)
    holes[rows - 6 : rows - 1 : 2, ::4] = True
    holes[rows - 5 : rows - 2 : 2, 2::4] = True
    points, faces = _field(holes)
    place = points[:, 0] * 2 * np.pi / _SIDES
    z = points[:, 1] * end_mm / rows

    def wall(radius: float) -> Float64[np.ndarray, "points 3"]:
        rounded = 0.12 * np.clip((z - end_mm + 0.3) / 0.3, 0, 1) * (1 if radius == outer else -1)
        return np.stack(
            [(radius - rounded) * np.cos(place), (radius - rounded) * np.sin(place), z], 1
        )

    count = len(points)
    rim = _rim(faces)
    links = np.concatenate([
        np.stack([rim[:, 1], rim[:, 0], rim[:, 0] + count], 1),
        np.stack([rim[:, 1], rim[:, 0] + count, rim[:, 1] + count], 1),
    ])  # fmt: skip
    return outward(
        np.concatenate([wall(outer), wall(inner)]),
        np.concatenate([faces, faces[:, ::-1] + count, links]),
    )


def _field(
    holes: Bool[np.ndarray, "rows columns"],
) -> tuple[Float64[np.ndarray, "points 2"], Int64[np.ndarray, "faces 3"]]:
    """Triangles of a sheet of unit squares that closes on itself in its first coordinate."""
    points, faces, count = [], [], 0
    plain, pierced = _plain_square(), _pierced_square()
    for row, column in np.ndindex(*holes.shape):
        square, triangles = pierced if holes[row, column] else plain
        points.append(square + np.array([column, row]))
        faces.append(triangles + count)
        count += len(square)
    flat = np.concatenate(points)
    key = np.round(np.stack([np.mod(flat[:, 0] + 1e-9, holes.shape[1]), flat[:, 1]], 1), 6)
    _, first, same = np.unique(key, axis=0, return_index=True, return_inverse=True)
    return flat[first], same.reshape(-1)[np.concatenate(faces)]


def _plain_square() -> tuple[Float64[np.ndarray, "points 2"], Int64[np.ndarray, "faces 3"]]:
    step = np.arange(_STEPS + 1) / _STEPS
    points = np.stack(np.meshgrid(step, step), axis=2).reshape(-1, 2)
    index = np.arange(len(points)).reshape(_STEPS + 1, _STEPS + 1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    return points, np.concatenate(
        [np.stack([a, b, c], 2).reshape(-1, 3), np.stack([a, c, d], 2).reshape(-1, 3)]
    )


def _pierced_square() -> tuple[Float64[np.ndarray, "points 2"], Int64[np.ndarray, "faces 3"]]:
    """A square with a round hole, its border's points those of a plain one."""
    edge = np.arange(_STEPS) / _STEPS
    zero, one = np.zeros(_STEPS), np.ones(_STEPS)
    border = np.concatenate([
        np.stack([edge, zero], 1), np.stack([one, edge], 1),
        np.stack([1 - edge, one], 1), np.stack([zero, 1 - edge], 1),
    ])  # fmt: skip
    angle = np.arctan2(border[:, 1] - 0.5, border[:, 0] - 0.5)
    circle = 0.5 + 0.30 * np.stack([np.cos(angle), np.sin(angle)], 1)
    out, into = np.arange(len(border)), np.arange(len(border)) + len(border)
    strip = [np.stack([out, np.roll(out, -1), np.roll(into, -1)], 1),
             np.stack([out, np.roll(into, -1), into], 1)]  # fmt: skip
    return np.concatenate([border, circle]), np.concatenate(strip)


def _rim(faces: Int64[np.ndarray, "faces 3"]) -> Int64[np.ndarray, "edges 2"]:
    """Directed edges that have a triangle on one side only."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    size = int(faces.max()) + 1
    forth, back = edges @ [size, 1], edges @ [1, size]
    return edges[~np.isin(forth, back)]

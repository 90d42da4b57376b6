# SPDX-License-Identifier: Apache-2.0
"""Pieces of a centre line that a collapsed lumen has parted, joined end to end."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from endoforge.scene.anatomy.curves import unit
from endoforge.scene.records import Centreline

_BACK = 6  # points over which an end's direction is taken
_AHEAD = 0.3  # least cosine between an end's direction and the gap


def stitched(lines: Sequence[Centreline], gap_mm: float) -> tuple[list[Centreline], list[str]]:
    """Join ends that face each other over a short gap, the shortest gaps first.

    In a gap the radius is 0, so that no camera passes there.

    Args:
        lines: Pieces of one lumen, in any order.
        gap_mm: Longest gap that is bridged.

    Returns:
        The lines left, each from the end nearer the feet where it was joined, and what was done.
    """
    left, notes = list(lines), []
    while (best := _nearest_ends(left, gap_mm)) is not None:
        gap, first, second, turn_first, turn_second = best
        joined = _joined(_turned(left[first], turn_first), _turned(left[second], turn_second))
        left = [line for k, line in enumerate(left) if k not in (first, second)]
        left.append(_turned(joined, bool(joined.points_mm[0, 2] > joined.points_mm[-1, 2])))
        notes.append(f"joined two pieces over a collapsed gap of {gap:.1f} mm")
    return left, notes


def _nearest_ends(
    lines: Sequence[Centreline], gap_mm: float
) -> tuple[float, int, int, bool, bool] | None:
    """The shortest gap and how both lines must be turned to run on over it."""
    best: tuple[float, int, int, bool, bool] | None = None
    for i, one in enumerate(lines):
        for j in range(i + 1, len(lines)):
            for turns in ((False, False), (False, True), (True, False), (True, True)):
                before, after = _turned(one, turns[0]), _turned(lines[j], turns[1])
                gap = _gap(before, after)
                if gap <= gap_mm and (best is None or gap < best[0]):
                    best = (gap, i, j, *turns)
    return best


def _gap(before: Centreline, after: Centreline) -> float:
    """Way between the walls at the end of one line and the start of another; inf if they turn."""
    way = after.points_mm[0] - before.points_mm[-1]
    out, into = _heading(before.points_mm[::-1]), _heading(after.points_mm)
    ahead = unit(way)
    if -float(out @ ahead) < _AHEAD or float(into @ ahead) < _AHEAD:
        return float("inf")
    return float(np.linalg.norm(way))


def _heading(points: Float64[np.ndarray, "points 3"]) -> Float64[np.ndarray, "3"]:
    """Direction into a line at its first point."""
    return unit(points[min(_BACK, len(points) - 1)] - points[0])


def _joined(before: Centreline, after: Centreline) -> Centreline:
    spacing = before.length_mm / max(len(before.points_mm) - 1, 1)
    start, end = before.points_mm[-1], after.points_mm[0]
    count = max(round(float(np.linalg.norm(end - start)) / spacing), 1)
    share = (np.arange(1, count) / count)[:, None]
    bridge = start + share * (end - start)
    return Centreline(
        np.concatenate([before.points_mm, bridge, after.points_mm]),
        np.concatenate([before.radius_mm, np.zeros(len(bridge)), after.radius_mm]),
    )


def _turned(line: Centreline, turn: bool) -> Centreline:
    if not turn:
        return line
    return Centreline(line.points_mm[::-1].copy(), line.radius_mm[::-1].copy())

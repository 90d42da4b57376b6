# SPDX-License-Identifier: Apache-2.0
"""How much of each voxel a closed surface fills, exactly along one axis and sampled across it."""

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int64


def filled_share(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    shape: tuple[int, int, int],
    lines: int = 2,
) -> Float32[np.ndarray, "i j k"]:
    """Share of each voxel that lies within closed surfaces.

    Lines along the third axis are cut at every triangle; between entry and exit a voxel counts by
    the length within. Surfaces that lie in one another add up by their winding: a hole whose
    triangles face the other way takes away, and the result is held between 0 and 1.

    Args:
        vertices: In voxel indices; centres of voxels lie at whole numbers.
        faces: Triangles of closed surfaces, facing outwards.
        shape: Voxels along each axis. Surfaces may reach beyond.
        lines: Lines across a voxel along the first and the second axis.
    """
    scale = np.array([lines, lines, 1.0])
    corners = (np.asarray(vertices, dtype=np.float64) + 0.5) * scale  # voxel edges are whole now
    corners[:, :2] -= 0.5  # lines stand at whole numbers
    wide = (shape[0] * lines, shape[1] * lines)
    rows, columns, height, sign = _crossings(corners[faces], wide)
    height = np.clip(height, 0.0, float(shape[2]))
    at = np.minimum(height.astype(np.int64), shape[2] - 1)
    share = (at + 1.0) - height  # of the voxel that is cut, above the cut
    flat = ((rows // lines) * shape[1] + columns // lines) * (shape[2] + 1) + at
    size = shape[0] * shape[1] * (shape[2] + 1)
    steps = np.bincount(flat, -sign * share, size) + np.bincount(flat + 1, sign * (share - 1), size)
    total = np.cumsum(steps.reshape(shape[0], shape[1], -1), axis=2)[..., :-1] / lines**2
    return np.clip(total, 0.0, 1.0).astype(np.float32)


def _crossings(
    corners: Float64[np.ndarray, "faces 3 3"], wide: tuple[int, int]
) -> tuple[
    Int64[np.ndarray, "cuts"],
    Int64[np.ndarray, "cuts"],
    Float64[np.ndarray, "cuts"],
    Float64[np.ndarray, "cuts"],
]:
    """Where whole-numbered lines along the third axis cut triangles, and which way those face."""
    low = np.ceil(corners[:, :, :2].min(axis=1)).astype(np.int64).clip(0)
    high = np.floor(corners[:, :, :2].max(axis=1)).astype(np.int64)
    high = np.minimum(high, np.array(wide) - 1)
    spread = (high - low + 1).clip(0)
    count = spread[:, 0] * spread[:, 1]
    face = np.repeat(np.arange(len(corners)), count)
    nth = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    row = low[face, 0] + nth // np.maximum(spread[face, 1], 1)
    column = low[face, 1] + nth % np.maximum(spread[face, 1], 1)
    inside, height, sign = _cut(corners[face], row, column)
    return row[inside], column[inside], height[inside], sign[inside]


def _cut(
    corners: Float64[np.ndarray, "cuts 3 3"],
    row: Int64[np.ndarray, "cuts"],
    column: Int64[np.ndarray, "cuts"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether a line passes a triangle, at which height, and +1 where the triangle faces up.

    A line through an edge belongs to exactly one of the two triangles that share it: edges are
    always taken in the same direction, and a tie counts as passing on the same side.
    """
    weights, side = [], []
    for first, second in ((1, 2), (2, 0), (0, 1)):
        a, b = corners[:, first, :2], corners[:, second, :2]
        swap = (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] > b[:, 1]))
        p, q = np.where(swap[:, None], b, a), np.where(swap[:, None], a, b)
        area = (q[:, 0] - p[:, 0]) * (column - p[:, 1]) - (q[:, 1] - p[:, 1]) * (row - p[:, 0])
        side.append((area >= 0) ^ swap)
        weights.append(np.where(swap, -area, area))
    inside = (side[0] == side[1]) & (side[1] == side[2])
    total = weights[0] + weights[1] + weights[2]
    inside &= total != 0
    total = np.where(total == 0, 1.0, total)
    height = sum(w * corners[:, k, 2] for k, w in enumerate(weights)) / total
    return inside, np.asarray(height), np.sign(total)

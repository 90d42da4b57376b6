# SPDX-License-Identifier: Apache-2.0
"""A lumen as a share of filled space on a cubic grid, and the closed surface around it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int32, UInt8
from scipy import ndimage
from scipy.sparse import coo_array, csr_array
from skimage.measure import marching_cubes

from endoforge.errors import SceneError
from endoforge.scene.anatomy.surfaces import face_normals

_LEAST_ML = 2.0
_OTHER_SHARE = 0.05  # a second piece of this share of the first is a second lumen


@dataclass(frozen=True, eq=False)
class Lumen:
    """One lumen, resampled.

    Attributes:
        filled: Share of each cell that is lumen; above 0.5 is inside. Its border is empty.
        step_mm: Edge of a cell.
        world_from_grid: World position, mm, of grid indices.
        notes: What was left out or repaired, for the record.
    """

    filled: Float32[np.ndarray, "i j k"]
    step_mm: float
    world_from_grid: Float64[np.ndarray, "4 4"]
    notes: tuple[str, ...]

    @property
    def inside(self) -> Bool[np.ndarray, "i j k"]:
        """True in the lumen."""
        return np.asarray(self.filled > 0.5)

    def to_world(self, grid: Float[np.ndarray, "points 3"]) -> Float64[np.ndarray, "points 3"]:
        """World positions of grid indices, mm."""
        return np.asarray(grid @ self.world_from_grid[:3, :3].T + self.world_from_grid[:3, 3])


def lumen_from_mask(
    mask: UInt8[np.ndarray, "i j k"], affine: Float64[np.ndarray, "4 4"], step_mm: float
) -> Lumen:
    """Resample the largest piece of a mask to a cubic grid; smaller crumbs are left out.

    Args:
        mask: 1 in the lumen.
        affine: world_from_voxel, mm.
        step_mm: Edge of the cells wanted.

    Raises:
        SceneError: The mask is empty, tiny, or has two lumens.
    """
    crop, first, notes = _largest_piece(mask, affine)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    border = np.ceil(2 * step_mm / sizes).astype(int) + 1  # room for the surface to close in
    padded = np.pad(crop, [(int(b), int(b)) for b in border]).astype(np.float32)
    blurred = ndimage.gaussian_filter(padded, 0.5 * step_mm / sizes, truncate=3.0)
    shape = np.floor((np.array(blurred.shape) - 1) * sizes / step_mm).astype(int) + 1
    filled = ndimage.affine_transform(
        blurred, step_mm / sizes, output_shape=tuple(shape), order=1, output=np.float32
    )
    world = affine.copy()
    world[:3, :3] *= step_mm / sizes
    world[:3, 3] += affine[:3, :3] @ (first - border)
    filled, more = _one_closed_piece(filled)
    return Lumen(filled, step_mm, world, (*notes, *more))


def _largest_piece(
    mask: UInt8[np.ndarray, "i j k"], affine: Float64[np.ndarray, "4 4"]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Cut out the largest connected piece, or refuse when there is no single one."""
    whole = ndimage.find_objects(mask)
    if not whole or whole[0] is None:
        raise SceneError("the mask is empty: no voxel is above 0; check the segmentation")
    box = whole[0]
    pieces, count = ndimage.label(mask[box])
    ml = np.bincount(pieces.ravel())[1:] * abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0
    order = np.argsort(ml)[::-1]
    if ml[order[0]] < _LEAST_ML:
        raise SceneError(
            f"the mask's largest piece holds {ml[order[0]]:.3f} ml; expected a lumen of at least "
            f"{_LEAST_ML} ml: check the unit and the segmentation"
        )
    if count > 1 and ml[order[1]] > _OTHER_SHARE * ml[order[0]]:
        raise SceneError(
            f"the mask has two lumens, of {ml[order[0]]:.1f} and {ml[order[1]]:.1f} ml, that do "
            "not touch; keep one, or join them where they belong together"
        )
    notes = (f"left out {count - 1} crumbs of {ml.sum() - ml.max():.2f} ml",) if count > 1 else ()
    first = np.array([part.start for part in box])
    return pieces == order[0] + 1, first, notes


def _one_closed_piece(
    filled: Float32[np.ndarray, "i j k"],
) -> tuple[Float32[np.ndarray, "i j k"], tuple[str, ...]]:
    """Keep one piece of lumen on the coarser grid and fill what floats in it."""
    notes: list[str] = []
    pieces, count = ndimage.label(filled > 0.5)
    if count == 0:
        raise SceneError("the lumen is thinner than the grid; lower anatomy.resolution_mm")
    if count > 1:
        sizes = np.bincount(pieces.ravel())[1:]
        filled = np.where((pieces > 0) & (pieces != np.argmax(sizes) + 1), 0.0, filled)
        lost = 1.0 - float(sizes.max()) / float(sizes.sum())
        if lost > _OTHER_SHARE:
            raise SceneError(
                f"{100 * lost:.0f} % of the lumen hangs on a passage thinner than the grid; lower "
                "anatomy.resolution_mm"
            )
        notes.append(f"left out {100 * lost:.2f} % of the lumen behind passages below the grid")
    islands = ndimage.binary_fill_holes(filled > 0.5) & ~(filled > 0.5)
    if islands.any():
        filled = np.where(islands, 1.0, filled)
        notes.append(f"filled {int(islands.sum())} grid cells of islands inside the lumen")
    return filled.astype(np.float32), tuple(notes)


def lumen_surface(
    lumen: Lumen, smoothing: int
) -> tuple[Float32[np.ndarray, "vertices 3"], Int32[np.ndarray, "faces 3"]]:
    """The closed surface around a lumen, world frame mm, triangles facing into the lumen.

    Args:
        lumen: The lumen.
        smoothing: Rounds of Taubin smoothing.

    Source:
        Lorensen, Cline, SIGGRAPH 1987, in Lewiner's form (scikit-image); Taubin, SIGGRAPH 1995.
    """
    corners, triangles, _, _ = marching_cubes(lumen.filled, 0.5)
    faces = np.ascontiguousarray(triangles, dtype=np.int32)
    smooth = taubin(np.asarray(corners, dtype=np.float64), faces, smoothing)
    vertices = lumen.to_world(smooth)
    if signed_volume(vertices, faces) > 0:
        faces = np.ascontiguousarray(faces[:, ::-1])
    return vertices.astype(np.float32), faces


def signed_volume(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> float:
    """Volume inside a closed mesh; negative when its triangles face inwards."""
    middle = np.asarray(vertices, dtype=np.float64).mean(axis=0)
    corners = np.asarray(vertices, dtype=np.float64)[faces[:, 0]] - middle
    return float((corners * face_normals(vertices, faces)).sum() / 6.0)


def neighbour_mean(faces: Int[np.ndarray, "faces 3"], count: int) -> csr_array:
    """Sparse matrix that turns values at vertices into the mean of their neighbours' values."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    entries = (np.ones(len(edges)), (edges[:, 0], edges[:, 1]))
    matrix = csr_array(coo_array(entries, shape=(count, count)))
    matrix.data[:] = 1.0
    total = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1.0)
    matrix.data /= np.repeat(total, np.diff(matrix.indptr))
    return matrix


def taubin(
    vertices: Float64[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], rounds: int
) -> Float64[np.ndarray, "vertices 3"]:
    """Smooth a mesh without shrinking it: a step inwards, then a slightly larger one outwards."""
    mean = neighbour_mean(faces, len(vertices))
    for _ in range(rounds):
        vertices = vertices + 0.5 * (mean @ vertices - vertices)
        vertices = vertices - 0.53 * (mean @ vertices - vertices)
    return vertices

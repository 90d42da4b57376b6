# SPDX-License-Identifier: Apache-2.0
"""A CT on another grid: cropped, coarser or finer voxels; and Hounsfield units as grey values."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float32, Float64, Int16, Num, UInt8

from endoforge.errors import SceneError
from endoforge.scene.volume.records import CtVolume
from endoforge.scene.volume.scanner import filtered

_FWHM = 2.3548  # of a Gaussian, in standard deviations
_MOST_VOXELS = 2_000_000_000


def window(hu: Num[np.ndarray, "*any"], centre: float, width: float) -> Float32[np.ndarray, "*any"]:
    """Grey values of Hounsfield units: 0 at the window's lower end, 1 at its upper end.

    Args:
        hu: Hounsfield units.
        centre: Middle of the window, HU.
        width: Of the window, HU, above 0.

    Raises:
        SceneError: The width is not above 0.

    Example:
        >>> window(np.array([-160.0, 40.0, 240.0]), 40.0, 400.0).tolist()
        [0.0, 0.5, 1.0]
    """
    if not width > 0:
        raise SceneError(f"a window is {width:g} HU wide; expected a width above 0, such as 400")
    low = np.float32(centre - 0.5 * width)
    grey = (np.asarray(hu, dtype=np.float32) - low) / np.float32(width)
    return np.asarray(np.clip(grey, 0.0, 1.0))


def cropped(
    volume: CtVolume, low_mm: Float[np.ndarray, "3"], high_mm: Float[np.ndarray, "3"]
) -> CtVolume:
    """The part of a CT whose voxel centres lie within a box of the world.

    In a CT whose axes are oblique, the smallest block of voxels that holds those.

    Args:
        volume: The CT.
        low_mm: Least x, y and z, mm.
        high_mm: Largest.

    Raises:
        SceneError: Fewer than two voxels along an axis are left.
    """
    corners = np.stack(np.meshgrid(*zip(low_mm, high_mm, strict=True), indexing="ij"), axis=-1)
    inverse = np.linalg.inv(volume.world_from_voxel)
    index = corners.reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
    size = np.array(volume.hu.shape)
    first = np.ceil(index.min(axis=0) - 1e-6).astype(int).clip(0, size)
    last = (np.floor(index.max(axis=0) + 1e-6).astype(int) + 1).clip(0, size)
    if (last - first < 2).any():
        raise SceneError(
            f"the box from {np.round(low_mm, 1).tolist()} to {np.round(high_mm, 1).tolist()} mm "
            f"holds {(last - first).clip(0).tolist()} voxels of the CT; expected 2 or more along "
            "each axis"
        )
    part = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    affine = volume.world_from_voxel.copy()
    affine[:3, 3] += affine[:3, :3] @ first
    return replace(
        volume,
        hu=np.ascontiguousarray(volume.hu[part]),
        organs=None if volume.organs is None else np.ascontiguousarray(volume.organs[part]),
        world_from_voxel=affine,
        provenance=_with_change(volume, f"cropped to {'x'.join(map(str, last - first))} voxels"),
    )


def resampled(volume: CtVolume, spacing_mm: float | Float[np.ndarray, "3"]) -> CtVolume:
    """A CT with voxels of another size, the same box of the world as nearly as they allow.

    Where voxels become larger, values are first blurred so that the new grid can hold them: a
    Gaussian as wide at half height as the new voxel, less what the old voxel blurred already. Then
    Hounsfield units are interpolated linearly; organs come from the nearest voxel.

    Args:
        volume: The CT.
        spacing_mm: Distance between voxel centres; one number for cubes.

    Raises:
        SceneError: The spacing is not above 0, or the grid gets too large.
    """
    wanted = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), 3)
    old = volume.spacing_mm
    if not (np.isfinite(wanted).all() and (wanted > 0).all()):
        raise SceneError(f"voxels of {wanted.tolist()} mm were asked for; expected sizes above 0")
    shape = np.maximum(np.rint(np.array(volume.hu.shape) * old / wanted), 2).astype(int)
    if float(np.prod(shape, dtype=np.float64)) > _MOST_VOXELS:
        raise SceneError(
            f"voxels of {wanted.tolist()} mm make {shape.tolist()} voxels, more than "
            f"{_MOST_VOXELS}; ask for larger ones, or crop first"
        )
    if (shape == volume.hu.shape).all() and np.allclose(wanted, old, rtol=1e-6):
        return volume
    places = [
        _places(n, int(m), w / o)
        for n, m, w, o in zip(volume.hu.shape, shape, wanted, old, strict=True)
    ]
    hu = _interpolated(_blurred(volume, wanted), places)
    organs = None if volume.organs is None else _nearest(volume.organs, places)
    affine = volume.world_from_voxel.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array([line[0] for line in places])
    affine[:3, :3] *= wanted / old
    before, after = ("x".join(f"{v:.3g}" for v in size) for size in (old, wanted))
    note = f"resampled from {before} to {after} mm voxels"
    return replace(
        volume,
        hu=np.rint(hu).astype(np.int16),
        organs=organs,
        world_from_voxel=affine,
        provenance=_with_change(volume, note),
    )


def _with_change(volume: CtVolume, note: str) -> dict[str, str]:
    before = volume.provenance.get("changes", "none")
    changes = note if before == "none" else f"{before}; {note}"
    return {**volume.provenance, "changes": changes}


def _places(count: int, new_count: int, ratio: float) -> Float64[np.ndarray, "new"]:
    """Where the new voxels' centres lie among the old ones, both grids about the same middle."""
    return (np.arange(new_count) - (new_count - 1) / 2) * ratio + (count - 1) / 2


def _blurred(
    volume: CtVolume, wanted_mm: Float64[np.ndarray, "3"]
) -> Float32[np.ndarray, "i j k"] | Int16[np.ndarray, "i j k"]:
    """Take away what a coarser grid cannot hold."""
    kernels = []
    for old, new in zip(volume.spacing_mm, wanted_mm, strict=True):
        sigma = np.sqrt(max((new / old) ** 2 - 1.0, 0.0)) / _FWHM
        reach = np.arange(-int(np.ceil(3 * sigma)), int(np.ceil(3 * sigma)) + 1)
        bell = np.exp(-0.5 * (reach / max(sigma, 1e-6)) ** 2)
        kernels.append((bell / bell.sum()).astype(np.float32))
    if all(len(kernel) == 1 for kernel in kernels):
        return volume.hu
    return filtered(volume.hu.astype(np.float32), kernels)


def _interpolated(
    hu: Num[np.ndarray, "i j k"], places: list[Float64[np.ndarray, "_new"]]
) -> Float32[np.ndarray, "a b c"]:
    """Linear along each axis, one after the other; the outermost voxels reach to their sides."""
    result = np.asarray(hu)
    for axis, at in enumerate(places):
        moved = np.moveaxis(result, axis, 0)
        last = len(moved) - 1
        held = np.clip(at, 0.0, last)
        low = np.minimum(held.astype(int), max(last - 1, 0))
        share = (held - low).astype(np.float32)
        out = np.empty((len(at), *moved.shape[1:]), np.float32)
        for k, (first, weight) in enumerate(zip(low.tolist(), share, strict=True)):
            out[k] = moved[first] * (1 - weight) + moved[first + 1] * weight
        result = np.moveaxis(out, 0, axis)
    return np.ascontiguousarray(result)


def _nearest(
    organs: UInt8[np.ndarray, "i j k"], places: list[Float64[np.ndarray, "_new"]]
) -> UInt8[np.ndarray, "a b c"]:
    index = [
        np.rint(at).astype(int).clip(0, n - 1) for at, n in zip(places, organs.shape, strict=True)
    ]
    return np.ascontiguousarray(organs[np.ix_(*index)])

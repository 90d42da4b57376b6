# SPDX-License-Identifier: Apache-2.0
"""Organs from a segmented CT: label volumes, folders of masks, 3D-IRCADb cases."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64
from scipy import ndimage

from endoforge.errors import DataError, SceneError
from endoforge.frames.storage import sha256_of_all
from endoforge.scene.anatomy.abdomen.given import KINDS, need_liver, shift_to_frame
from endoforge.scene.anatomy.abdomen.labels import organs_of
from endoforge.scene.anatomy.abdomen.organs import Organ, organ_from
from endoforge.scene.anatomy.abdomen.volumes import FAR_MM, Volume, carved, grid_over
from endoforge.scene.volume.masks import labels_in, mask_files, names_of

_MARGIN_MM = 20.0
_LEAST_ML = 0.2
_TILT_DEG = 0.5
_CRUMB = 0.15  # pieces below this share of the largest are left out


@dataclass(frozen=True, eq=False)
class Mask:
    """One organ's voxels.

    Attributes:
        organ: Its name in an abdomen, see `given.KINDS`.
        inside: True where the organ is, cut to a box around it.
        world_from_voxel: Of that box, mm, patient's axes.
        cut: It is cut off by the edge of the scan.
    """

    organ: str
    inside: Bool[np.ndarray, "i j k"]
    world_from_voxel: Float64[np.ndarray, "4 4"]
    cut: bool


def organs_from_ct(
    masks: Path, names: Mapping[int, str] | None, step_mm: float
) -> tuple[dict[str, Organ], Float64[np.ndarray, "3"], dict[str, str]]:
    """Read the organs of a segmented CT.

    Args:
        masks: Label volume, folder of masks, or folder of folders of DICOM masks.
        names: Organ names by number; those in the file, else TotalSegmentator's, if None.
        step_mm: Grid that the organs are made on.

    Returns:
        The organs by name in the drawn abdomen's frame, the way that they were shifted, and the
        record of where they came from and what was done to them.

    Raises:
        DataError: A file is damaged, the gantry was tilted, or slices are missing.
        SceneError: A name is unknown, or there is no liver.
    """
    found = {mask.organ: mask for mask in _masks(masks, names)}
    need_liver(set(found), str(masks))
    _check_whole(masks, found["liver"])
    corners = _places(found["liver"])
    shift = shift_to_frame(corners)
    organs, notes = _side_by_side(found, shift, step_mm)
    record = {
        "source": f"segmented CT {masks.name}",
        "licence": "that of the scan; not stated in it",
        "organs": ", ".join(organs),
        "shift_mm": " ".join(f"{v:.1f}" for v in shift),
        "repairs": "; ".join(notes) or "none",
        "sha256": sha256_of_all(masks),
    }
    return organs, shift, record


def _side_by_side(
    found: Mapping[str, Mask], shift: Float64[np.ndarray, "3"], step_mm: float
) -> tuple[dict[str, Organ], list[str]]:
    """Put surfaces around the masks, front ones first, each cut where one lies already."""
    organs: dict[str, Organ] = {}
    notes = [
        f"{m.organ} is cut off by the edge of the scan and closed" for m in found.values() if m.cut
    ]
    for name, kind in KINDS.items():
        if name not in found:
            continue
        body = volume_of(found[name], shift, step_mm)
        body = carved(body, [o.volume for o in organs.values()], 0.3, 1.0)
        try:
            organs[name] = organ_from(kind.name, kind.label, kind.material, body, smoothing=8)
        except SceneError:
            notes.append(f"left out {name}: nothing of it lies outside the organs before it")
    return organs, notes


def volume_of(mask: Mask, shift: Float64[np.ndarray, "3"], step_mm: float) -> Volume:
    """Distances to a mask's smoothed surface, on a grid along the patient's axes.

    Args:
        mask: The organ.
        shift: Added to its place in the scan, mm.
        step_mm: Edge of a cell.
    """
    affine = mask.world_from_voxel
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    corners = _places(mask) + shift
    grid = grid_over(corners.min(axis=0) - _MARGIN_MM, corners.max(axis=0) + _MARGIN_MM, step_mm)
    soft = ndimage.gaussian_filter(np.pad(mask.inside, 3).astype(np.float32), 0.5 * step_mm / sizes)
    voxel_from_world = np.linalg.inv(affine[:3, :3])
    offset = voxel_from_world @ (grid.origin_mm - shift - affine[:3, 3]) + 3.0
    filled = ndimage.affine_transform(
        soft, voxel_from_world * step_mm, offset, output_shape=grid.shape, order=1
    )
    raw = filled > 0.5
    inside = _largest(raw)
    outer = ndimage.distance_transform_edt(~inside) - 0.5
    inner = ndimage.distance_transform_edt(inside) - 0.5
    distance = step_mm * np.where(inside, -inner, outer)
    smooth = ndimage.gaussian_filter(distance.astype(np.float32), 0.9)
    kept = float(inside.sum()) / max(float(raw.sum()), 1.0)
    cells = kept * float(mask.inside.sum()) * float(np.prod(sizes)) / step_mm**3
    count = min(max(int(cells), 1), smooth.size - 1)
    smooth -= np.partition(smooth.ravel(), count)[count]  # the volume is that of the voxels
    return Volume(grid, np.minimum(smooth, FAR_MM).astype(np.float32))


def _largest(inside: Bool[np.ndarray, "i j k"]) -> Bool[np.ndarray, "i j k"]:
    """Fill holes and drop crumbs."""
    pieces, count = ndimage.label(inside)
    if count > 1:
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        inside = np.isin(pieces, np.flatnonzero(sizes >= _CRUMB * sizes.max()))
    return np.asarray(ndimage.binary_fill_holes(inside))


def _places(mask: Mask) -> Float64[np.ndarray, "corners 3"]:
    """World positions of the box around a mask."""
    high = np.array(mask.inside.shape) - 1.0
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * high
    return np.asarray(corners @ mask.world_from_voxel[:3, :3].T + mask.world_from_voxel[:3, 3])


# ---- reading ------------------------------------------------------------------------------------


def _masks(path: Path, names: Mapping[int, str] | None) -> Iterator[Mask]:
    """All organs of a label volume or folder that are used here."""
    if not path.exists():
        raise DataError(f"cannot read {path}: there is no such file or folder; check the path")
    if path.is_file():
        yield from _of_volume(path, names)
        return
    files = mask_files(path)
    used = organs_of(files, str(path))
    for name, file in files.items():
        organ = used[name]
        if organ is not None:
            content = labels_in(file)
            mask = _cut_out(organ, content["labels"] > 0, content["affine"], file)
            if mask is not None:
                yield mask


def _of_volume(path: Path, names: Mapping[int, str] | None) -> Iterator[Mask]:
    content = labels_in(path)
    present = [int(n) for n in np.flatnonzero(np.bincount(content["labels"].ravel())) if n]
    called = names_of(path, present, names, content["names"])
    used = organs_of(called.values(), str(path))
    for number, name in called.items():
        organ = used[name]
        if organ is not None:
            mask = _cut_out(organ, content["labels"] == number, content["affine"], path)
            if mask is not None:
                yield mask


def _cut_out(
    organ: str, inside: Bool[np.ndarray, "i j k"], affine: Float64[np.ndarray, "4 4"], path: Path
) -> Mask | None:
    """The box around an organ; None if there is next to nothing of it."""
    _check_square(path, affine)
    ml = float(inside.sum()) * abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0
    if ml < _LEAST_ML:
        return None
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    first = np.array([part.start for part in box])
    last = np.array([part.stop for part in box])
    cut = bool((first == 0).any() or (last == np.array(inside.shape)).any())
    world = affine.copy()
    world[:3, 3] += affine[:3, :3] @ first
    return Mask(organ, inside[box].copy(), world, cut)


def _check_square(path: Path, affine: Float64[np.ndarray, "4 4"]) -> None:
    """Refuse a volume whose slices are stacked askew, as a tilted gantry leaves them."""
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(columns.T @ columns - np.eye(3))
    tilt = float(np.degrees(np.arcsin(min(cosines.max(), 1.0))))
    if tilt > _TILT_DEG:
        raise DataError(
            f"{path} was scanned with the gantry tilted by {tilt:.1f} degrees; its slices are not "
            "stacked squarely: resample it to a square grid first"
        )


def _check_whole(path: Path, liver: Mask) -> None:
    """Refuse a liver with empty slices in between; a liver is one piece."""
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        empty = np.flatnonzero(~liver.inside.any(axis=others))
        if empty.size:
            raise DataError(
                f"{path} lacks slices: {empty.size} slices in the middle of the liver are empty, "
                f"the first after {empty[0]} of {liver.inside.shape[axis]}; get the whole series"
            )

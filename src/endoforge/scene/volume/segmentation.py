# SPDX-License-Identifier: Apache-2.0
"""The organ of every voxel of a CT, from a segmentation on the same grid or on another one.

Organs are numbered as TotalSegmentator numbers them, whoever segmented them; those that it does
not know come after its last.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Integer, UInt8
from scipy import ndimage

from endoforge.errors import DataError
from endoforge.scene.anatomy.abdomen.labels import TOTAL_SEGMENTATOR, organs_of
from endoforge.scene.volume.grids import order_of, reordered, reordered_affine
from endoforge.scene.volume.masks import labels_in, mask_files, names_of

#: Names of 3D-IRCADb and what TotalSegmentator calls the same.
_AS_TOTAL: Mapping[str, str] = {
    "rightkidney": "kidney_right",
    "leftkidney": "kidney_left",
    "artery": "aorta",
    "venoussystem": "inferior_vena_cava",
    "venacava": "inferior_vena_cava",
    "portalvein": "portal_vein_and_splenic_vein",
    "portalveinandsplenicvein": "portal_vein_and_splenic_vein",
    "smallintestin": "small_bowel",
    "bladder": "urinary_bladder",
    "leftsurrenalgland": "adrenal_gland_left",
    "rightsurrenalgland": "adrenal_gland_right",
}

_NUMBERS: Mapping[str, int] = {name: k for k, name in enumerate(TOTAL_SEGMENTATOR, start=1)}
_SPELT: Mapping[str, str] = {name.lower(): name for name in TOTAL_SEGMENTATOR}
_OFF_AXIS = 0.25  # of a voxel, over the whole grid


@dataclass(eq=False)
class OrganNumbers:
    """Numbers of organs by name, and the names of those that were asked for."""

    names: dict[int, str] = field(default_factory=dict)

    def of(self, name: str) -> int:
        """The number of an organ.

        Raises:
            DataError: There are more than fit into 8 bits.
        """
        known = {organ: number for number, organ in self.names.items()}
        if name not in known:
            free = max([len(TOTAL_SEGMENTATOR), *self.names]) + 1
            number = _NUMBERS.get(name, free)
            if number > 255:
                raise DataError(f"more than 255 organs, the last {name!r}; leave some out")
            self.names[number] = name
            return number
        return known[name]


def organs_on(
    shape: tuple[int, int, int],
    affine: Float64[np.ndarray, "4 4"],
    masks: Path,
    names: Mapping[int, str] | None = None,
) -> tuple[UInt8[np.ndarray, "i j k"], dict[int, str]]:
    """The organ of every voxel of a grid; of two masks that overlap, the smaller one counts.

    Args:
        shape: Of the grid.
        affine: Its world_from_voxel, mm.
        masks: Label volume, folder of masks, or folder of folders of DICOM masks.
        names: Organ names by number; those in the file, else TotalSegmentator's, if None.

    Returns:
        Organ numbers, taken from the nearest voxel of the mask, and their names.

    Raises:
        DataError: A file is damaged, or lies outside the grid.
        SceneError: A name is unknown.
    """
    if not masks.exists():
        raise DataError(f"cannot read {masks}: there is no such file or folder; check the path")
    numbers = OrganNumbers()
    result = np.zeros(shape, np.uint8)
    painted = sorted(_painted(shape, affine, masks, names), key=lambda one: -len(one[1]))
    for name, voxels in painted:
        result.reshape(-1)[voxels] = numbers.of(name)
    return result, dict(sorted(numbers.names.items()))


def _painted(
    shape: tuple[int, int, int],
    affine: Float64[np.ndarray, "4 4"],
    masks: Path,
    names: Mapping[int, str] | None,
) -> Iterator[tuple[str, Integer[np.ndarray, "voxels"]]]:
    """Name and voxels of each organ that lies within the grid."""
    files = mask_files(masks) if masks.is_dir() else {"": masks}
    if masks.is_dir():
        organs_of(files, str(masks))
    for name, file in files.items():
        content = labels_in(file)
        labels = nearest(content["labels"], content["affine"], shape, affine).reshape(-1)
        if masks.is_dir():
            yield _total(name), np.flatnonzero(labels)
            continue
        present = [int(n) for n in np.flatnonzero(np.bincount(content["labels"].ravel())) if n]
        called = names_of(file, present, names, content["names"])
        organs_of(called.values(), str(file))
        if present and not labels.any():
            raise DataError(
                f"{file} lies outside the CT; give the segmentation of this CT, or correct where "
                "its header says it lies"
            )
        for number, organ in called.items():
            yield _total(organ), np.flatnonzero(labels == number)


def _total(name: str) -> str:
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    return _SPELT.get(plain, _AS_TOTAL.get(plain, plain))


def nearest(
    labels: Integer[np.ndarray, "a b c"],
    labels_affine: Float64[np.ndarray, "4 4"],
    shape: tuple[int, int, int],
    affine: Float64[np.ndarray, "4 4"],
) -> Integer[np.ndarray, "i j k"]:
    """Labels on another grid, each from the nearest voxel; 0 where there is none.

    Args:
        labels: Numbers.
        labels_affine: Their world_from_voxel, mm.
        shape: Of the other grid.
        affine: Its world_from_voxel, mm.
    """
    order = order_of(labels_affine)
    size = labels.shape
    own = reordered_affine(labels_affine, (size[0], size[1], size[2]), order)
    turned = reordered(labels, order)
    to_labels = np.linalg.inv(own) @ affine
    turn = to_labels[:3, :3]
    if (np.abs(turn - np.diag(np.diag(turn))) @ np.array(shape)).max() > _OFF_AXIS:
        return np.asarray(
            ndimage.affine_transform(
                turned, turn, to_labels[:3, 3], shape, order=0, mode="grid-constant"
            )
        )
    result = np.zeros(shape, labels.dtype)
    target, source = [], []
    for k in range(3):
        index = np.rint(turn[k, k] * np.arange(shape[k]) + to_labels[k, 3]).astype(int)
        inside = np.flatnonzero((index >= 0) & (index < turned.shape[k]))
        target.append(inside)
        source.append(index[inside])
    result[np.ix_(*target)] = turned[np.ix_(*source)]
    return result

# SPDX-License-Identifier: Apache-2.0
"""Gas in a CT, region by region: lung, airway, colon, stomach, other bowel; and how sure that is.

How it is found, on voxels of about 2 mm (`gas_rules` names the rules of each kind):

1. `body.inside_body` takes away the table, blankets and the air around the patient.
2. What lies below -500 HU, half-way between gas and tissue, is air; pieces hang together through
   voxels below -700 HU only, so that walls thinner than a voxel still part two loops.
3. A piece of over 20 ml is lung where the usual value away from its walls is that of lung. Within
   it, what is on average nearer to pure gas than to that lung is split off: airways, bullae, bowel
   that a thin diaphragm hardly parts from the lung.
4. Each piece's kind comes from an organ mask where the CT has one, else from its place and form.
"""

import numpy as np
from jaxtyping import Bool, Float32, UInt16
from scipy import ndimage

from endoforge.errors import SceneError
from endoforge.scene.volume.body import inside_body, voxel_ml
from endoforge.scene.volume.coarse import coarsened, in_patient_axes
from endoforge.scene.volume.gas import WALL_HU, GasMap, GasPiece, GasPieces
from endoforge.scene.volume.gas_rules import judged
from endoforge.scene.volume.records import CtVolume

_CORE_HU = -700
_LEAST_ML = 0.3
_LUNG_ML = 20.0
_LUNG_VOXELS = 12
_LUNG_HU = (-940.0, -400.0)
_GAS_HU = -1000.0
_SPLIT_HU = (-960.0, -900.0)
_SPLIT_ML = 1.0
_MOST_REGIONS = 4000


def label_gas(volume: CtVolume) -> GasMap:
    """Find all gas in the body of a CT and say what each piece is.

    Args:
        volume: A CT; organ masks by the names of TotalSegmentator decide where they lie.

    Raises:
        SceneError: There is no body, or the gas is in thousands of pieces.
    """
    return judged(gas_pieces(volume))


def gas_pieces(volume: CtVolume) -> GasPieces:
    """Find all gas in the body of a CT.

    Raises:
        SceneError: There is no body, or the gas is in thousands of pieces.
    """
    coarse = coarsened(in_patient_axes(volume))
    inside = inside_body(coarse)
    air = inside & (coarse.hu < WALL_HU)
    mean = _mean_about(coarse, air)
    pieces, lungs = _split(coarse, inside, mean)
    number = _grown(pieces, air)
    return GasPieces(coarse, inside, number, mean, _measured(coarse, number, lungs))


def _mean_about(coarse: CtVolume, air: Bool[np.ndarray, "i j k"]) -> Float32[np.ndarray, "i j k"]:
    """Mean of the air within about 3 mm, walls left out."""
    width = [int(w) for w in np.maximum(2 * np.round(2.0 / coarse.spacing_mm) + 1, 3)]
    share = ndimage.uniform_filter(air.astype(np.float32), width)
    total = ndimage.uniform_filter(np.where(air, coarse.hu, 0).astype(np.float32), width)
    return np.where(air, total / np.maximum(share, 1e-3), 0.0).astype(np.float32)


def _split(
    coarse: CtVolume, inside: Bool[np.ndarray, "i j k"], mean: Float32[np.ndarray, "i j k"]
) -> tuple[np.ndarray, set[int]]:
    """Numbers of the pieces' cores, and which of them are lung."""
    pieces, sizes = _large(inside & (coarse.hu < _CORE_HU), _LEAST_ML / voxel_ml(coarse))
    lungs: set[int] = set()
    boxes = ndimage.find_objects(pieces)
    deep_air = ndimage.binary_erosion(inside & (coarse.hu < WALL_HU), np.ones((3, 3, 3)))
    for number in np.flatnonzero(sizes * voxel_ml(coarse) >= _LUNG_ML).tolist():
        box = boxes[number - 1]
        here = pieces[box] == number
        deep = here & deep_air[box]
        usual = float(np.median(coarse.hu[box][deep])) if deep.sum() > _LUNG_VOXELS else _GAS_HU
        if not _LUNG_HU[0] < usual < _LUNG_HU[1]:
            continue
        lungs.add(number)
        limit = float(np.clip((_GAS_HU + usual) / 2, *_SPLIT_HU))
        cores, _ = _large(here & (mean[box] < limit), _SPLIT_ML / voxel_ml(coarse))
        pieces[box] = np.where(cores > 0, cores + pieces.max(), pieces[box])
    return pieces, lungs


def _large(mask: np.ndarray, voxels: float) -> tuple[np.ndarray, np.ndarray]:
    """Connected pieces of at least so many voxels, numbered from 1, and their sizes by number."""
    pieces, count = ndimage.label(mask, output=np.int32)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    kept = sizes >= voxels
    kept[0] = False
    if int(kept.sum()) > _MOST_REGIONS:
        raise SceneError(
            f"the body's gas must hang together in at most {_MOST_REGIONS} pieces, got "
            f"{int(kept.sum())}; the CT is too noisy: smooth it first"
        )
    new = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return new[pieces], np.concatenate([[0], sizes[kept]])


def _grown(pieces: np.ndarray, air: Bool[np.ndarray, "i j k"]) -> UInt16[np.ndarray, "i j k"]:
    """Give the voxels of each wall, partly gas, to the piece beside them; two layers deep."""
    pieces = pieces.astype(np.uint16)
    for _ in range(2):
        spread = ndimage.maximum_filter(pieces, footprint=ndimage.generate_binary_structure(3, 1))
        pieces = np.where(air & (pieces == 0), spread, pieces)
    return np.asarray(pieces, dtype=np.uint16)


def _measured(
    coarse: CtVolume, number: UInt16[np.ndarray, "i j k"], lungs: set[int]
) -> tuple[GasPiece, ...]:
    lung = np.isin(number, sorted(lungs)) if lungs else np.zeros(number.shape, dtype=bool)
    boxes = ndimage.find_objects(number)
    return tuple(
        _piece(coarse, number, lung, (k + 1, box, k + 1 in lungs))
        for k, box in enumerate(boxes)
        if box is not None
    )


def _piece(
    coarse: CtVolume,
    number: UInt16[np.ndarray, "i j k"],
    lung: Bool[np.ndarray, "i j k"],
    which: tuple[int, tuple[slice, ...], bool],
) -> GasPiece:
    own, box, is_lung = which
    wide = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
    here = number[wide] == own
    shell = ndimage.binary_dilation(here) & ~here
    low, high = np.array([s.start for s in box]), np.array([s.stop for s in box]) - 1
    corners = np.stack([low, high]) @ coarse.world_from_voxel[:3, :3].T
    corners += coarse.world_from_voxel[:3, 3]
    middle = np.argwhere(here).mean(axis=0) + [s.start for s in wide]
    depth = 0.0 if is_lung else _depth(here, coarse.spacing_mm)
    return GasPiece(
        number=own,
        volume_ml=int(here.sum()) * voxel_ml(coarse),
        middle_mm=coarse.world_from_voxel[:3, :3] @ middle + coarse.world_from_voxel[:3, 3],
        low_mm=corners.min(axis=0),
        high_mm=corners.max(axis=0),
        radius_mm=depth,
        lung=is_lung,
        beside_lung=float(lung[wide][shell].mean()) if shell.any() else 0.0,
        at_end=bool((low == 0).any() or (high == np.array(number.shape) - 1).any()),
    )


def _depth(here: np.ndarray, spacing: np.ndarray) -> float:
    return float(ndimage.distance_transform_edt(np.pad(here, 1), sampling=spacing).max())

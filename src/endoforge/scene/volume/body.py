# SPDX-License-Identifier: Apache-2.0
"""What of a CT is the patient: without the table, blankets and the air around."""

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from endoforge.errors import SceneError
from endoforge.scene.volume.records import CtVolume

#: Matter above this is tissue: fat is about -100, lung at most -500, mattresses and blankets below.
TISSUE_HU = -300

_AIR_HU = -500
_LUNG_HU = (-940, -400)  # the usual value of a whole lung, at full breath and collapsed
_LUNG_ML = 50.0
_REGROW = 3  # voxels
_LEAST_ML = 100.0
_NARROW_MM = 5.0  # half the width of a passage that does not lead outside; own choice


def inside_body(coarse: CtVolume) -> Bool[np.ndarray, "i j k"]:
    """True in the patient's body and in every gas within it.

    The body is the largest piece of tissue after shells thinner than three voxels (the table) were
    taken away. What reaches one of the four upright sides of the grid without crossing the body,
    nor a passage as narrow as an anus, is outside, except a lung that is cut by the edge of the
    picture: lung is known by its value.

    Args:
        coarse: A CT in the patient's axes with voxels of about 2 mm.

    Raises:
        SceneError: There is no body.
    """
    free = ~_largest_tissue(coarse)
    narrow = max(1, round(_NARROW_MM / float(coarse.spacing_mm.max())))
    cross = ndimage.generate_binary_structure(3, 1)
    wide = ndimage.binary_erosion(free, cross, iterations=narrow, border_value=1)
    pieces, count = ndimage.label(wide)
    outside = np.zeros(count + 1, dtype=bool)
    for number in _at_sides(pieces):
        outside[number] = not _is_lung(coarse, pieces == number)
    open_air = outside[pieces]
    if open_air.any():
        open_air = ndimage.binary_dilation(open_air, cross, iterations=narrow + 1, mask=free)
    lungs = (pieces > 0) & ~outside[pieces]
    kept = ndimage.binary_dilation(lungs, cross, iterations=narrow + 1) if lungs.any() else lungs
    return np.asarray(~(open_air | _slits(free & ~kept, narrow)))


def _slits(free: Bool[np.ndarray, "i j k"], narrow: int) -> Bool[np.ndarray, "i j k"]:
    """Narrow air along the sides of the grid, as a body leaves that nearly fills the picture."""
    cross = ndimage.generate_binary_structure(3, 1)
    sides = np.zeros(free.shape, dtype=bool)
    sides[[0, -1]], sides[:, [0, -1]] = True, True
    found = ndimage.binary_dilation(sides & free, cross, iterations=2 * narrow, mask=free)
    return np.asarray(found, dtype=bool)


def voxel_ml(volume: CtVolume) -> float:
    """Volume of one voxel, ml."""
    return abs(float(np.linalg.det(volume.world_from_voxel[:3, :3]))) / 1000.0


def _largest_tissue(coarse: CtVolume) -> Bool[np.ndarray, "i j k"]:
    tissue = coarse.hu > TISSUE_HU
    cross = ndimage.generate_binary_structure(3, 1)
    pieces, count = ndimage.label(ndimage.binary_erosion(tissue, cross))
    sizes = np.bincount(pieces.ravel(), minlength=2)[1:]
    if count == 0 or sizes.max() * voxel_ml(coarse) < _LEAST_ML:
        raise SceneError(
            f"a CT must show a body of at least {_LEAST_ML:.0f} ml above {TISSUE_HU} HU, got "
            f"values from {int(coarse.hu.min())} to {int(coarse.hu.max())} HU; check the rescaling"
        )
    body = pieces == int(np.argmax(sizes)) + 1
    return np.asarray(ndimage.binary_dilation(body, cross, iterations=_REGROW, mask=tissue))


def _at_sides(pieces: np.ndarray) -> list[int]:
    sides = [pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]
    return [
        int(number) for number in np.unique(np.concatenate([s.ravel() for s in sides])) if number
    ]


def _is_lung(coarse: CtVolume, piece: np.ndarray) -> bool:
    values = coarse.hu[piece]
    values = values[values < _AIR_HU]
    if len(values) * voxel_ml(coarse) < _LUNG_ML:
        return False
    return bool(_LUNG_HU[0] < np.median(values) < _LUNG_HU[1])

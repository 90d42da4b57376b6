# SPDX-License-Identifier: Apache-2.0
"""A CT without what is not the patient: table, mattress, blanket, clothes and wires become air."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from endoforge.scene.volume.body import TISSUE_HU, inside_body, voxel_ml
from endoforge.scene.volume.coarse import coarsened, in_patient_axes
from endoforge.scene.volume.records import CtVolume

#: What stands where the table was, HU.
AIR_HU = -1000

_LIMB_MM = 8.0  # half the thickness of an arm at least; plates of tables are thinner
_LIMB_ML = 10.0  # of what lies deeper than half of that; own choice
_LIMB_HU = (-130.0, 300.0)  # usual value within, from fat to flesh and bone
_SMALL_MM = 50.0  # an ear, a finger, a fold of skin; own choice
_CROSS = ndimage.generate_binary_structure(3, 1)


def without_couch(volume: CtVolume) -> CtVolume:
    """Replace all that is not the patient by air.

    Whatever lies farther than one voxel of about 2 mm from the patient (`patient_in`) becomes air;
    voxels nearer keep their values, so that skin stays as smooth as it was scanned.

    Args:
        volume: Any CT.

    Returns:
        The CT, with a remark in its provenance where tissue or as dense matter was taken away.

    Raises:
        SceneError: There is no body.
    """
    hu = volume.hu.copy()
    turned = in_patient_axes(replace(volume, hu=hu)).hu  # a view: what is written there is in `hu`
    coarse = coarsened(in_patient_axes(volume))
    patient = patient_in(coarse)
    couch = (coarse.hu > TISSUE_HU) & ~patient
    far = ~ndimage.binary_dilation(patient, _CROSS, iterations=2)
    near = ndimage.binary_dilation(patient, _CROSS)
    gone = _spread(far | (couch & ~near), turned.shape)
    dense = int((turned[gone] > TISSUE_HU).sum())
    turned[gone] = np.minimum(turned[gone], AIR_HU)
    return replace(volume, hu=hu, provenance=_noted(volume, dense * voxel_ml(volume)))


def patient_in(coarse: CtVolume) -> Bool[np.ndarray, "i j k"]:
    """True in the patient, and in every gas within.

    That is the largest piece of tissue above -300 HU, after shells thinner than three voxels were
    taken away, with what it encloses (`body.inside_body`); other pieces that are as thick as an arm
    and of flesh; and what hangs on these and is small, such as an ear or a finger.

    Args:
        coarse: A CT in the patient's axes with voxels of about 2 mm.

    Raises:
        SceneError: There is no body.
    """
    patient = inside_body(coarse)
    patient = patient | _limbs(coarse, patient)
    return np.asarray(patient | _small_parts(coarse, patient))


def _limbs(coarse: CtVolume, body: Bool[np.ndarray, "i j k"]) -> Bool[np.ndarray, "i j k"]:
    """Arms and legs that do not hang together with the body in this picture."""
    rest = (coarse.hu > TISSUE_HU) & ~body
    depth = ndimage.distance_transform_edt(np.pad(rest, 1), sampling=coarse.spacing_mm)
    core, count = ndimage.label(depth[1:-1, 1:-1, 1:-1] > _LIMB_MM / 2)
    found = np.zeros_like(rest)
    for number, box in enumerate(ndimage.find_objects(core), start=1):
        here = core[box] == number
        thick = float(depth[1:-1, 1:-1, 1:-1][box][here].max()) >= _LIMB_MM
        large = int(here.sum()) * voxel_ml(coarse) >= _LIMB_ML
        usual = float(np.median(coarse.hu[box][here]))
        if thick and large and _LIMB_HU[0] < usual < _LIMB_HU[1]:
            found[box] |= here
    steps = int(np.ceil(_LIMB_MM / 2 / float(coarse.spacing_mm.min()))) + 1
    grown = ndimage.binary_dilation(found, _CROSS, iterations=steps, mask=rest) if count else found
    return np.asarray(grown)


def _small_parts(coarse: CtVolume, patient: Bool[np.ndarray, "i j k"]) -> Bool[np.ndarray, "i j k"]:
    """Pieces that touch the patient and are too small to be a table or a blanket."""
    pieces, _ = ndimage.label((coarse.hu > TISSUE_HU) & ~patient)
    touching = np.unique(pieces[ndimage.binary_dilation(patient, _CROSS)])
    kept = np.zeros(int(pieces.max()) + 1, dtype=bool)
    boxes = ndimage.find_objects(pieces)
    for number in touching[touching > 0].tolist():
        extent = np.array([s.stop - s.start for s in boxes[number - 1]]) * coarse.spacing_mm
        kept[number] = float(np.linalg.norm(extent)) <= _SMALL_MM
    return np.asarray(kept[pieces])


def _spread(coarse: Bool[np.ndarray, "a b c"], shape: tuple[int, ...]) -> Bool[np.ndarray, "i j k"]:
    """A mask on blocks of voxels brought back to the voxels; the last ones fill up the far end."""
    factors = [n // c for n, c in zip(shape, coarse.shape, strict=True)]
    places = [
        np.minimum(np.arange(n) // f, c - 1)
        for n, f, c in zip(shape, factors, coarse.shape, strict=True)
    ]
    return np.asarray(coarse[np.ix_(*places)])


def _noted(volume: CtVolume, ml: float) -> dict[str, str]:
    known = dict(volume.provenance)
    if ml < 1.0:
        return known
    before = known.get("changes", "none")
    remark = f"{ml:.0f} ml of table and other things that are not the patient replaced by air"
    return known | {"changes": remark if before == "none" else f"{before}; {remark}"}

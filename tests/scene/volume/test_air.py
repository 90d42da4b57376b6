# SPDX-License-Identifier: Apache-2.0
"""Gas of a CT by kind: on small bodies made by rule, and on the real CTs."""

from dataclasses import replace
from functools import lru_cache

import nibabel as nib
import numpy as np
import pytest

from endoforge.errors import SceneError
from endoforge.scene.volume.air import label_gas
from endoforge.scene.volume.body import inside_body
from endoforge.scene.volume.coarse import coarsened, hu_at, in_patient_axes, to_world
from endoforge.scene.volume.records import CtVolume
from scene.volume.gas_volumes import around, ct


@lru_cache(maxsize=1)
def patient():
    """A chest of two lungs with a trachea that forks between them, a bubble and a bowel below."""
    shape, spacing = (94, 64, 106), np.array([3.0, 3.0, 3.0])
    left = around([(0, 0, 170), (0, 0, 60), (-35, 0, 30)], 8.0)
    right = around([(0, 0, 60), (35, 0, 30)], 6.0)
    lungs = [around([(x, 0, 15), (x, 0, 110)], 32.0) for x in (-62.0, 62.0)]
    bubble = around([(-40, 30, -45), (-38, 30, -45)], 18.0)
    bowel = around([(80, 30, -60), (60, 40, -110), (-60, 40, -110), (-80, 30, -60)], 12.0)
    hollows = (left, right, bubble, bowel)
    gas = ct(lambda p: np.minimum.reduce([f(p) for f in hollows]), shape, 15.0, 0, spacing)
    grid = to_world(gas, np.argwhere(np.ones(shape, dtype=bool)).astype(float))
    lung = np.minimum(*[f(grid) for f in lungs]).reshape(shape)
    airway = np.minimum(left(grid), right(grid)).reshape(shape)
    hu = np.where(
        (lung < 0) & (airway > 2.5), np.random.default_rng(1).normal(-850, 25, shape), gas.hu
    )
    hu[:, 1, :] = 200  # a table along the back
    return replace(gas, hu=hu.round().astype(np.int16))


def kinds(gas, least_ml=5.0):
    return sorted(r.kind for r in gas.regions if r.piece.volume_ml >= least_ml)


def test_lungs_airway_stomach_and_colon_are_told_apart():
    gas = label_gas(patient())
    assert kinds(gas) == ["airway", "colon", "lung", "lung", "stomach"]
    airway = gas.of_kind("airway")[0].piece
    assert airway.high_mm[2] > 150 and airway.low_mm[2] < 45
    assert gas.of_kind("stomach")[0].confidence < 0.5 < gas.of_kind("colon")[0].confidence


def test_the_table_and_the_air_around_are_no_part_of_the_body():
    coarse = coarsened(in_patient_axes(patient()))
    inside = inside_body(coarse)
    assert not inside[:, 1, :].any()
    assert not inside[0, 0].any() and not inside[-1, -1].any()
    assert inside[47, 32].all()


def test_an_organ_mask_decides_where_there_is_one():
    volume = patient()
    plain = label_gas(volume)
    bowel = np.argwhere(plain.mask(plain.of_kind("colon")))
    organs = np.zeros(volume.hu.shape, dtype=np.uint8)
    organs[tuple(bowel.T)] = 9  # the coarse grid is the CT's own here
    named = label_gas(replace(volume, organs=organs, organ_names={9: "small_bowel"}))
    assert kinds(named).count("colon") == 0
    assert named.of_kind("bowel")[0].confidence == 0.95


def test_gas_is_the_same_whichever_way_the_axes_of_the_grid_run():
    volume = patient()
    world = volume.world_from_voxel[:, [2, 0, 1, 3]].copy()
    world[:3, 3] += world[:3, 0] * (volume.hu.shape[2] - 1)
    world[:3, 0] *= -1
    turned = CtVolume(np.ascontiguousarray(volume.hu.transpose(2, 0, 1)[::-1]), world)
    here, there = label_gas(volume), label_gas(turned)
    assert [r.kind for r in here.regions] == [r.kind for r in there.regions]
    for one, other in zip(here.regions, there.regions, strict=True):
        np.testing.assert_allclose(one.piece.middle_mm, other.piece.middle_mm, atol=1e-6)


def test_coarse_voxels_are_means_and_lie_where_they_did():
    rng = np.random.default_rng(3)
    hu = rng.integers(-1000, 1000, (9, 8, 7)).astype(np.int16)
    volume = CtVolume(hu, np.diag([0.7, 1.0, 2.0, 1.0]))
    coarse = coarsened(volume)
    assert coarse.hu.shape == (3, 4, 7)
    assert coarse.hu[1, 2, 3] == round(float(hu[3:6, 4:6, 3].mean()))
    np.testing.assert_allclose(
        to_world(coarse, np.array([[1.0, 2.0, 3.0]]))[0], [4 * 0.7, 4.5, 6.0]
    )


def test_values_between_voxels_are_linear_and_outside_is_air():
    hu = np.zeros((3, 3, 3), dtype=np.int16)
    hu[2] = 100
    volume = CtVolume(hu, np.diag([2.0, 2.0, 2.0, 1.0]))
    found = hu_at(volume, np.array([[3.0, 2.0, 2.0], [9.0, 0.0, 0.0]]))
    np.testing.assert_allclose(found, [50.0, -1024.0])


def test_a_ct_without_a_body_is_refused():
    with pytest.raises(SceneError, match="must show a body"):
        label_gas(CtVolume(np.full((40, 40, 40), -1000, dtype=np.int16), np.eye(4)))


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("ct_lidc_idri_0314/ct_256x256x275.nii.gz", {"lung": 2700, "airway": 19}),
        ("ct_totalsegmentator_example/example_ct.nii.gz", {"lung": 109, "colon": 323}),
    ],
)
def test_real_gas_is_told_apart(shared_data, file, expected):
    image = nib.load(shared_data / file)
    hu = np.clip(np.asarray(image.dataobj), -1024, 32767).astype(np.int16)
    gas = label_gas(CtVolume(hu, np.asarray(image.affine, dtype=np.float64)))
    for kind, ml in expected.items():
        found = sum(r.piece.volume_ml for r in gas.of_kind(kind))
        assert found == pytest.approx(ml, rel=0.1)

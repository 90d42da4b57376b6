# SPDX-License-Identifier: Apache-2.0
"""A drawn CT: the same from the same numbers, organs where and as dense as they should be."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from endoforge.errors import SettingsError
from endoforge.scene.anatomy.abdomen.labels import TOTAL_SEGMENTATOR
from endoforge.scene.volume.phantom import phantom, sample_phantom, shape_phantom
from endoforge.scene.volume.phantom_settings import PhantomSettings, ScannerSettings
from endoforge.scene.volume.tissue import PLAIN, PORTAL_VENOUS
from endoforge.settings import validate

COARSE = PhantomSettings(voxels=48)
#: 2.2 mm voxels and a still scanner, so that what was drawn can be seen.
STILL = PhantomSettings(
    voxels=160,
    fluid_pools=(2, 2),
    scanner=ScannerSettings(noise_hu=0.0, slice_mm=1.0, streaks=0.0, kernel="sharp"),
)
AIR = -800


@pytest.fixture(scope="module")
def drawn():
    return sample_phantom(STILL, np.random.default_rng(4))


@pytest.fixture(scope="module")
def still(drawn):
    return shape_phantom(drawn, STILL)


@pytest.fixture(scope="module")
def plain(drawn):
    """The same patient without contrast, on a coarser grid."""
    settings = STILL.model_copy(update={"voxels": 120})
    return shape_phantom(replace(drawn, contrast="none"), settings)


def organ(volume, name):
    number = {v: k for k, v in volume.organ_names.items()}[name]
    return volume.organs == number


def place(volume, mask):
    index = np.argwhere(mask).mean(axis=0)
    return volume.world_from_voxel[:3, :3] @ index + volume.world_from_voxel[:3, 3]


def test_the_same_numbers_draw_the_same_ct_and_others_another():
    one, same, other = (phantom(COARSE, np.random.default_rng(k)) for k in (3, 3, 4))
    np.testing.assert_array_equal(one.hu, same.hu)
    np.testing.assert_array_equal(one.organs, same.organs)
    assert one.organ_names == same.organ_names
    assert (one.hu != other.hu).mean() > 0.3


def test_organs_have_totalsegmentators_names_and_numbers(still):
    for number, name in still.organ_names.items():
        assert TOTAL_SEGMENTATOR[number - 1] == name
    wanted = {"liver", "spleen", "kidney_left", "kidney_right", "aorta", "inferior_vena_cava",
              "colon", "stomach", "urinary_bladder", "gallbladder", "pancreas", "small_bowel",
              "duodenum", "sacrum", "vertebrae_L3", "hip_left", "rib_right_10", "heart",
              "lung_lower_lobe_left", "portal_vein_and_splenic_vein"}  # fmt: skip
    assert wanted <= set(still.organ_names.values())
    assert set(np.unique(still.organs)) == {0, *still.organ_names}


def test_organs_lie_on_their_side_of_the_body(still):
    at = {name: place(still, organ(still, name)) for name in still.organ_names.values()}
    assert at["liver"][0] > 20 > -40 > at["spleen"][0]
    assert at["kidney_right"][0] > 30
    assert at["kidney_left"][0] < -30
    assert at["inferior_vena_cava"][0] > at["aorta"][0]
    assert at["vertebrae_L3"][1] < at["aorta"][1] < at["stomach"][1]
    assert at["lung_lower_lobe_left"][2] > at["liver"][2] > at["sacrum"][2]
    assert at["vertebrae_L5"][2] < at["vertebrae_L3"][2] < at["vertebrae_T12"][2]


@pytest.mark.parametrize(
    ("name", "least_ml", "most_ml"),
    [("liver", 900, 2100), ("spleen", 60, 400), ("kidney_left", 90, 260), ("aorta", 40, 160),
     ("urinary_bladder", 40, 260), ("heart", 60, 500), ("colon", 600, 2500)],
)  # fmt: skip
def test_organs_are_of_a_plausible_size(still, name, least_ml, most_ml):
    ml = organ(still, name).sum() * np.prod(still.spacing_mm) / 1000
    assert least_ml < ml < most_ml


def test_tissues_have_their_hounsfield_units_with_contrast(still):
    check_tissues(still, PORTAL_VENOUS)


def test_tissues_have_their_hounsfield_units_without_contrast(plain):
    check_tissues(plain, PLAIN)


def check_tissues(volume, tissue):
    expected = {
        "liver": tissue.liver,
        "spleen": tissue.spleen,
        "aorta": tissue.artery,
        "urinary_bladder": tissue.urine,
        "kidney_left": tissue.cortex,
    }
    for name, hu in expected.items():
        inside = ndimage.binary_erosion(organ(volume, name), iterations=2)
        assert np.median(volume.hu[inside]) == pytest.approx(hu, abs=8), name
    lung = ndimage.binary_erosion(organ(volume, "lung_lower_lobe_left"), iterations=2)
    assert -950 < np.median(volume.hu[lung]) < -750


def test_outside_is_air_and_the_body_is_in_one_piece(still):
    assert (still.hu[[0, -1], :, :] < AIR).all()
    assert (still.hu[:, [0, -1], :] < AIR).all()
    pieces, _ = ndimage.label(still.hu > -300)
    sizes = np.bincount(pieces.ravel())[1:]
    assert sizes.max() > 0.995 * sizes.sum()


def test_the_gas_of_the_colon_reaches_from_the_rectum_to_the_caecum(drawn, still):
    """Fluid may bar the way across a low place; gas and fluid together may not be broken."""
    lumen = organ(still, "colon") & ((still.hu < -300) | (np.abs(still.hu - 30) < 12))
    pieces, _ = ndimage.label(lumen, np.ones((3, 3, 3)))
    back = np.linalg.inv(still.world_from_voxel)
    axis = drawn.bowel.axis_mm[20:-20:40]
    index = np.rint(axis @ back[:3, :3].T + back[:3, 3]).astype(int)
    index = index[(index >= 0).all(axis=1) & (index < np.array(still.hu.shape)).all(axis=1)]
    numbers = pieces[tuple(index.T)]
    assert (numbers == np.bincount(numbers).argmax()).mean() > 0.95
    assert len(index) > 40


def test_the_colon_keeps_within_the_body(drawn):
    x, y, _ = drawn.bowel.axis_mm.T
    build = drawn.build
    assert np.abs(x).max() < 120 * build.wide
    assert np.abs(y).max() < 90 * build.deep


def test_fluid_lies_below_gas(still):
    """The patient lies on the back: down each line to the back, after fluid comes no gas."""
    colon = organ(still, "colon")
    fluid = colon & (np.abs(still.hu - 30) < 6)
    fluid = ndimage.binary_opening(fluid, np.ones((3, 3, 3)))
    gas = colon & (still.hu < AIR)
    assert fluid.sum() > 50
    below = np.roll(gas, 1, axis=1)  # gas one voxel behind
    assert (fluid & below).sum() < 0.02 * fluid.sum()


def test_a_wall_lies_around_the_gas(still):
    gas = organ(still, "colon") & (still.hu < AIR)
    far = ndimage.binary_dilation(gas, iterations=2) & ~ndimage.binary_dilation(gas)
    assert np.median(still.hu[far & organ(still, "colon")]) > -60


def test_anatomy_does_not_depend_on_grid_nor_contrast(plain, still):
    for name in ("liver", "spleen", "urinary_bladder", "colon"):
        ml = [organ(v, name).sum() * np.prod(v.spacing_mm) for v in (plain, still)]
        assert ml[0] == pytest.approx(ml[1], rel=0.06), name


def test_folds_are_two_to_six_millimetres_thick(drawn):
    """Full width of a fold at half its height, along the axis."""
    flank = drawn.bowel.colon.folds.flank_mm
    assert 2.0 < np.median(flank.sum(axis=1)) < 6.0


def test_where_it_came_from_is_said(still):
    assert still.provenance["source"] == "synthetic phantom, drawn from rules"
    assert still.provenance["contrast"] in ("portal-venous", "none")


@pytest.mark.parametrize(
    "values",
    [{"half_width_mm": [100, 400]}, {"polyps": [-1, 2]}, {"voxels": 4}, {"colour": 1},
     {"scanner": {"noise_hu": 1000}}],
)  # fmt: skip
def test_senseless_settings_are_refused(values):
    with pytest.raises(SettingsError):
        validate(PhantomSettings, values)

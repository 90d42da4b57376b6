# SPDX-License-Identifier: Apache-2.0
"""A CT on another grid stays where it is and shows what the grid can hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endoforge.errors import SceneError
from endoforge.scene.volume.records import CtVolume
from endoforge.scene.volume.resample import cropped, resampled, window
from scene.scans import AFFINE


def world(volume):
    index = np.stack(np.meshgrid(*map(np.arange, volume.hu.shape), indexing="ij"), axis=-1)
    return index @ volume.world_from_voxel[:3, :3].T + volume.world_from_voxel[:3, 3]


def linear(shape=(16, 14, 12), affine=AFFINE, organs=None):
    """Hounsfield units that change evenly in the world."""
    empty = CtVolume(np.zeros(shape, np.int16), affine)
    hu = np.rint(world(empty) @ [8.0, -5.0, 6.0]).astype(np.int16)
    return CtVolume(hu, affine, organs, {1: "liver"} if organs is not None else {})


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.floats(0.5, 4.0)] * 3))
def test_what_is_linear_stays_linear_on_any_grid(spacing):
    after = resampled(linear(), np.array(spacing))
    inner = tuple(
        slice(int(np.ceil(3 * 2.5 / s)) + 1, -int(np.ceil(3 * 2.5 / s)) - 1) for s in spacing
    )
    expected = world(after) @ [8.0, -5.0, 6.0]
    error = np.abs(after.hu - expected)[inner]
    assert error.size == 0 or error.max() < 2.5
    np.testing.assert_allclose(after.spacing_mm, spacing, rtol=1e-9)


@pytest.mark.parametrize("spacing", [0.6, 1.0, 2.0, 3.3])
def test_the_middle_of_the_volume_stays(spacing):
    after = resampled(linear(), spacing)
    np.testing.assert_allclose(after.centre_mm, linear().centre_mm, atol=1e-9)
    extent = np.array(after.hu.shape) * spacing
    assert np.abs(extent - np.array([16, 14, 12]) * AFFINE.diagonal()[:3]).max() <= 0.51 * spacing


def test_noise_that_a_coarser_grid_cannot_hold_is_blurred_away():
    noise = np.random.default_rng(0).normal(0, 100, (64, 64, 64)).astype(np.int16)
    fine = CtVolume(noise, np.eye(4))
    coarse = resampled(fine, 4.0)
    mean = noise.reshape(16, 4, 16, 4, 16, 4).mean(axis=(1, 3, 5)).std()
    assert coarse.hu.std() < 2.0 * mean  # plain picking would keep 100
    assert coarse.hu.std() > 0.3 * mean


def test_stripes_finer_than_the_new_grid_do_not_come_back_as_coarse_ones():
    stripes = np.zeros((60, 8, 8), np.int16)
    stripes[::2] = 1000
    coarse = resampled(CtVolume(stripes, np.eye(4)), np.array([2.9, 1.0, 1.0]))
    assert np.ptp(coarse.hu[2:-2]) < 60


def test_a_finer_grid_of_half_the_size_meets_the_old_values_between():
    before = linear((6, 6, 6), np.eye(4))
    after = resampled(before, 0.5)
    assert after.hu.shape == (12, 12, 12)
    expected = np.rint(world(after) @ [8.0, -5.0, 6.0])
    inner = np.s_[3:-3, 3:-3, 3:-3]
    np.testing.assert_allclose(after.hu[inner], expected[inner], atol=1)


def test_organs_come_from_the_nearest_voxel_and_the_change_is_noted():
    organs = np.zeros((16, 14, 12), np.uint8)
    organs[4:10, 4:10, 4:10] = 1
    after = resampled(linear(organs=organs), 1.6)
    assert set(np.unique(after.organs)) == {0, 1}
    before_ml = organs.sum() * np.prod(AFFINE.diagonal()[:3])
    assert (after.organs == 1).sum() * 1.6**3 == pytest.approx(before_ml, rel=0.25)
    assert after.provenance["changes"] == "resampled from 0.8x1.1x2.5 to 1.6x1.6x1.6 mm voxels"
    assert after.organ_names == {1: "liver"}


def test_the_same_spacing_changes_nothing():
    before = linear()
    assert resampled(before, AFFINE.diagonal()[:3]) is before


@pytest.mark.parametrize("spacing", [0.0, -1.0, np.nan, 1e-4])
def test_senseless_spacing_is_refused(spacing):
    with pytest.raises(SceneError, match="mm"):
        resampled(linear(), spacing)


def test_a_box_keeps_its_voxels_and_their_places():
    before = linear()
    low, high = np.array([-28.5, 15.0, -133.0]), np.array([-22.0, 22.0, -119.0])
    after = cropped(before, low, high)
    places, all_places = world(after), world(before)
    inside = ((all_places >= low) & (all_places <= high)).all(axis=-1)
    assert after.hu.size == inside.sum()
    np.testing.assert_array_equal(after.hu.ravel(), before.hu[inside])
    np.testing.assert_allclose(places.reshape(-1, 3), all_places[inside])


def test_a_box_beside_the_ct_is_refused():
    with pytest.raises(SceneError, match="voxels of the CT"):
        cropped(linear(), np.array([500.0, 0, 0]), np.array([600.0, 10, 10]))


def test_a_window_maps_its_ends_to_black_and_white():
    hu = np.array([-1024, -160, 40, 240, 3000], np.int16)
    np.testing.assert_allclose(window(hu, 40.0, 400.0), [0, 0, 0.5, 1, 1])
    with pytest.raises(SceneError, match="0 HU wide"):
        window(hu, 40.0, 0.0)

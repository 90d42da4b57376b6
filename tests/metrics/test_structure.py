# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from endoforge.errors import ShapeError
from endoforge.metrics.correspondence import correspondence
from endoforge.metrics.outlines import agreement, energy, outlines
from endoforge.metrics.structure import low_quantile, structure

EVERYWHERE = np.ones((96, 128), bool)


def blobs(seed=0, count=30):
    """Overlapping discs of random colours."""
    rng = np.random.default_rng(seed)
    image = np.full((96, 128, 3), 90, np.uint8)
    for _ in range(count):
        centre = tuple(int(rng.integers(side)) for side in (128, 96))
        colour = tuple(int(value) for value in rng.integers(20, 236, 3))
        cv2.circle(image, centre, int(rng.integers(5, 22)), colour, -1, cv2.LINE_AA)
    return image


def shifted(image, du, dv):
    matrix = np.float32([[1, 0, du], [0, 1, dv]])
    size = image.shape[1::-1]
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def inverted_and_bent(image):
    """Another look: colours turned round, dark and bright exchanged, gamma."""
    values = (255 - image[..., ::-1].astype(np.float32)) / 255
    return (255 * values**1.6).astype(np.uint8)


def test_outlines_do_not_know_which_side_is_brighter():
    image = blobs()
    pair = [outlines(x, 2.0) for x in (image, 255 - image)]
    assert np.allclose(pair[0], pair[1], atol=1e-4)


def test_a_straight_edge_points_across_itself():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = 200
    field = outlines(image, 1.5)[32, 32]
    assert field[0] > 0.2  # cos of twice 0 degrees
    assert abs(field[1]) < 1e-3
    across = outlines(image.transpose(1, 0, 2).copy(), 1.5)[32, 32]
    assert across[0] == pytest.approx(-field[0], abs=1e-4)  # twice 90 degrees
    assert float(field @ across) == pytest.approx(0, abs=1e-3)


def test_energy_is_the_agreement_with_itself_and_at_most_one():
    fields = outlines(blobs(), 1.0)
    assert np.array_equal(energy(fields), agreement(fields, fields))
    assert 0 <= energy(fields).min() <= energy(fields).max() <= 1


def test_the_same_picture_agrees_fully_and_another_hardly():
    same = structure(blobs(), blobs(), EVERYWHERE)
    other = structure(blobs(), blobs(1), EVERYWHERE)
    assert same.whole == pytest.approx((1, 1, 1), abs=1e-3)
    assert max(other.whole) < 0.35
    assert max(other.weakest) < min(same.weakest)


def test_another_look_agrees_and_a_shift_does_not():
    look = structure(blobs(), inverted_and_bent(blobs()), EVERYWHERE)
    moved = structure(blobs(), shifted(blobs(), 4, 0), EVERYWHERE)
    assert min(look.whole) > 0.8
    assert moved.whole[0] < 0.6


def test_a_lost_disc_shows_in_the_weakest_place_more_than_in_the_whole():
    image = blobs()
    painted = image.copy()
    cv2.circle(image, (64, 48), 12, (250, 240, 40), -1, cv2.LINE_AA)
    with_disc, without = structure(image, image, EVERYWHERE), structure(image, painted, EVERYWHERE)
    assert with_disc.weakest[1] - without.weakest[1] > 0.3
    assert without.whole[1] > 0.8


def test_the_low_quantile_weighs_its_values():
    values, weights = np.float32([3, 1, 2]), np.float32([1, 2, 1])
    assert low_quantile(values, weights, 0.4) == 1
    assert low_quantile(values, weights, 0.6) == 2
    assert low_quantile(values, np.zeros(3, np.float32), 0.5) == 1.0


@pytest.mark.parametrize(("du", "dv"), [(0.0, 0.0), (1.5, 0.0), (-3.0, 2.0), (9.0, -6.0)])
def test_a_shift_is_found_below_a_pixel_in_another_look(du, dv):
    found = correspondence(blobs(), inverted_and_bent(shifted(blobs(), du, dv)), EVERYWHERE)
    inner = np.s_[20:76, 24:104]
    sure = found.confidence[inner] > 0.3
    assert sure.mean() > 0.3
    error = np.linalg.norm(found.displacement_px[inner][sure] - (du, dv), axis=-1)
    assert np.median(error) < 0.35
    assert found.quantile_px(0.5) == pytest.approx(np.hypot(du, dv), abs=0.4)


def test_nothing_is_gained_where_nothing_moved():
    still = correspondence(blobs(), inverted_and_bent(blobs()), EVERYWHERE)
    moved = correspondence(blobs(), inverted_and_bent(shifted(blobs(), 2, 0)), EVERYWHERE)
    assert moved.gain.mean() > 4 * still.gain.mean()


def test_flat_pictures_match_nowhere_and_say_so():
    flat = np.full((96, 128, 3), 100, np.uint8)
    found = correspondence(flat, flat, EVERYWHERE)
    assert found.confidence.max() < 0.05
    assert found.length_px.max() < 0.5
    assert found.quantile_px(0.95) < 0.5


def test_pictures_of_different_size_are_refused(plain_shapes):
    with pytest.raises(ShapeError, match="one size"):
        correspondence(blobs(), blobs()[:90], EVERYWHERE)
    with pytest.raises(ShapeError, match="one size"):
        structure(blobs(), blobs()[:90], EVERYWHERE)

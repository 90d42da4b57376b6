# SPDX-License-Identifier: Apache-2.0
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from endoforge.frames.sampling import depth_at, inside, pick, sample, step_length, uniform
from endoforge.geometry.cameras import PinholeCamera, pixel_centres

CENTRES = pixel_centres(12, 9)
RAMP = (3 * CENTRES[..., 0] - 2 * CENTRES[..., 1]).astype(np.float32)


@given(shift=st.tuples(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9)))
def test_a_plane_is_read_exactly_between_its_pixels(shift):
    landing = CENTRES[1:-1, 1:-1] + np.array(shift)
    wanted = 3 * landing[..., 0] - 2 * landing[..., 1]
    np.testing.assert_allclose(sample(RAMP, landing), wanted, atol=0.1)  # 1/32 px
    both = sample(np.stack([RAMP, -RAMP], axis=-1), landing)
    np.testing.assert_allclose(both[..., 0], -both[..., 1], atol=1e-5)


def test_pixel_centres_read_their_own_pixel():
    read = sample(RAMP, CENTRES)[
        :-1, :-1
    ]  # the last ones would need a neighbour beside the picture
    np.testing.assert_array_equal(read, RAMP[:-1, :-1])
    np.testing.assert_array_equal(pick(RAMP, CENTRES + 0.3), RAMP)


def test_nothing_is_read_beside_the_picture_or_beside_a_gap():
    assert np.isnan(sample(RAMP, CENTRES - 20)).all()
    assert np.isnan(pick(RAMP, CENTRES + np.nan)).all()
    gap = RAMP.copy()
    gap[4, 5] = np.nan
    assert np.isnan(sample(gap, CENTRES + 0.4)[3:5, 4:6]).all()


def test_depth_is_not_read_across_an_edge():
    depth = np.full((9, 12), 30.0, np.float32)
    depth[:, 6:] = 60.0
    there = depth_at(depth, CENTRES + np.array([0.4, 0.0]))
    assert np.isnan(there[:, 5]).all()
    assert (there[:-1, :5] == 30).all()


def test_uniform_pixels_have_nine_equal_numbers():
    numbers = np.zeros((5, 6), np.uint8)
    numbers[2, 3] = 1
    assert uniform(numbers).tolist() == [
        [not (1 <= v <= 3 and 2 <= u <= 4) for u in range(6)] for v in range(5)
    ]


def test_steps_are_those_to_the_neighbours_and_endless_at_edges():
    places = np.stack([CENTRES[..., 0], 2 * CENTRES[..., 1], 0 * RAMP], axis=-1)
    steps = step_length(places.astype(np.float32))
    np.testing.assert_allclose(steps[1:-1, 1:-1], 2.0)
    assert np.isinf(steps[0]).all()
    places[:, 6:] += 50  # a rim
    assert np.isinf(step_length(places)[1:-1, 5:7]).all()
    assert np.isfinite(step_length(places)[1:-1, 2:5]).all()


def test_a_margin_widens_the_picture():
    camera = PinholeCamera.from_field_of_view(12, 9, 60.0)
    corner = np.array([[[-0.02, -0.02], [12.02, 9.02], [np.nan, 1.0]]])
    assert inside(corner, camera, 0.05).tolist() == [[True, True, False]]
    assert inside(corner, camera, 0.0).tolist() == [[False, False, False]]

# SPDX-License-Identifier: Apache-2.0
"""The lens: a cosine law, colours that part in the corners, blur that keeps light, a soft edge."""

from dataclasses import replace

import numpy as np
import pytest

from endoforge.geometry.cameras import FisheyeCamera, PinholeCamera
from endoforge.optics import lens_faults as lens

WIDE = FisheyeCamera.from_field_of_view(80, 64, diagonal_deg=140.0)
OCTAGON = replace(WIDE, corner_cut_px=16.0)


def test_the_vignette_is_a_power_of_the_cosine():
    camera = PinholeCamera.from_field_of_view(81, 61, horizontal_deg=90.0)
    share = lens.cosine_power(camera, 4.0)
    column = (np.arange(81) + 0.5 - camera.cx) / camera.fx
    np.testing.assert_allclose(share[30], (1 + column**2) ** -2.0, rtol=1e-5)


def test_vignette_and_edge_are_alike_for_all_colours():
    light = np.ones((64, 80, 3), np.float32)
    for channel in range(3):
        darkened = lens.vignette(light, WIDE, 1.5)[..., channel]
        np.testing.assert_allclose(darkened, lens.cosine_power(WIDE, 1.5), rtol=1e-6)
        framed = lens.blank(light, OCTAGON, 5.0)[..., channel]
        np.testing.assert_allclose(framed, lens.content_share(OCTAGON, 5.0), rtol=1e-6)


def test_nothing_shows_outside_a_round_picture():
    round_camera = replace(WIDE, content=(40.0, 32.0, 25.0))
    noise = np.ones((64, 80, 3), np.float32)
    framed = lens.blank(noise, round_camera, 0.0)
    np.testing.assert_array_equal(framed[..., 0] > 0, round_camera.valid())


def test_the_edge_is_soft_and_the_corners_are_dark():
    share = lens.content_share(OCTAGON, 6.0)
    assert share[0, 0] == 0
    assert share[32, 40] == 1
    diagonal = share[np.arange(32), np.arange(32)]
    assert (np.diff(diagonal) >= 0).all()
    assert ((diagonal > 0.05) & (diagonal < 0.95)).sum() >= 3


def test_the_corners_that_are_cut_have_the_stated_size():
    share = lens.content_share(OCTAGON, 0.0)
    assert np.count_nonzero(share[0] == 0) == 2 * 15
    assert np.count_nonzero(share[:, 0] == 0) == 2 * 15


def test_red_moves_out_and_blue_moves_in_by_the_stated_distance():
    light = np.zeros((201, 201, 3), np.float32)
    light[150, 150] = 1
    moved = lens.fringe(light, 2.0)
    place = np.arange(201)
    red, green, blue = (moved[..., k].sum(0) @ place / moved[..., k].sum() for k in range(3))
    corner = 201 / 2
    assert green == pytest.approx(150)
    assert red - green == pytest.approx(2.0 / np.sqrt(2) * 50 / corner, abs=0.02)
    assert green - blue == pytest.approx(2.0 / np.sqrt(2) * 50 / corner, abs=0.02)


@pytest.mark.parametrize("blur", [lens.spread, lens.spread_outwards])
def test_blur_keeps_the_light_of_a_flat_picture(blur):
    light = np.full((30, 40, 3), 0.7, np.float32)
    np.testing.assert_allclose(blur(light, 1.5), 0.7, rtol=1e-5)


def test_the_middle_stays_sharp_where_corners_blur():
    light = np.zeros((61, 61, 3), np.float32)
    light[30, 30] = light[4, 4] = 1
    blurred = lens.spread_outwards(light, 1.5)
    assert blurred[30, 30, 0] > 0.99
    assert blurred[4, 4, 0] < 0.5


@pytest.mark.parametrize(
    "fault",
    [
        lambda light, out: lens.spread(light, 0.8, out=out),
        lambda light, out: lens.spread_outwards(light, 0.8, out=out),
        lambda light, out: lens.fringe(light, 1.0, out=out),
        lambda light, out: lens.vignette(light, WIDE, 1.0, out=out),
    ],
)
def test_in_place_is_the_same(fault):
    light = np.random.default_rng(0).random((64, 80, 3), np.float32)
    apart = fault(light, None).copy()
    np.testing.assert_array_equal(fault(light, light), apart)
    np.testing.assert_array_equal(light, apart)


def test_nothing_to_do_gives_the_picture_back():
    light = np.ones((64, 80, 3), np.float32)
    assert lens.fringe(light, 0.0) is light
    assert lens.spread(light, 0.0) is light
    assert lens.spread_outwards(light, 0.0) is light
    assert lens.vignette(light, WIDE, 0.0) is light
    assert lens.blank(light, WIDE, 0.0) is light

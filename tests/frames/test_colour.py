# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.frames.colour import (
    CLASS_COLOURS,
    DEPTH_SCALE,
    ERROR_SCALE,
    UNKNOWN,
    Scale,
    class_colour,
    colour_bar,
    colour_classes,
    colour_flow,
    colour_instances,
    colour_mask,
    colour_normals,
    colour_values,
)


def brightness(picture: np.ndarray) -> np.ndarray:
    return picture.astype(int).sum(axis=-1)


def test_depth_gets_darker_with_every_step_away():
    depth = np.geomspace(4, 128, 60, dtype=np.float32)[None]
    assert (np.diff(brightness(colour_values(depth, DEPTH_SCALE))[0]) < 0).all()


def test_each_doubling_of_depth_is_the_same_step_on_the_bar():
    places = DEPTH_SCALE.position(np.array([4, 8, 16, 32, 64, 128], np.float32))
    assert np.allclose(np.diff(places), 0.2, atol=1e-6)


def test_values_beyond_the_scale_stay_at_its_ends():
    values = np.array([[-1.0, 0.0, 0.5, 7.0]], np.float32)
    picture = colour_values(values, ERROR_SCALE)
    assert (picture[0, 0] == picture[0, 1]).all()
    assert (picture[0, 2] == picture[0, 3]).all()


def test_what_is_unknown_has_a_grey_that_no_scale_uses():
    nothing = np.full((2, 3), np.nan, np.float32)
    for scale in (DEPTH_SCALE, ERROR_SCALE, Scale(0, 90, "°", colours="angle")):
        assert (colour_values(nothing, scale) == UNKNOWN).all()
        assert not (colour_bar(256, 1, scale) == UNKNOWN).all(axis=-1).any()


def test_the_bar_shows_the_colours_of_its_values():
    values = np.linspace(0, 0.5, 256, dtype=np.float32)[None]
    assert np.array_equal(colour_bar(256, 1, ERROR_SCALE), colour_values(values, ERROR_SCALE))
    depth = np.geomspace(4, 128, 256, dtype=np.float32)[None]
    difference = colour_bar(256, 1, DEPTH_SCALE).astype(int) - colour_values(depth, DEPTH_SCALE)
    assert np.abs(difference).max() <= 8  # half a step of rounding


@pytest.mark.parametrize(
    ("scale", "texts"),
    [
        (DEPTH_SCALE, ["4", "8", "16", "32", "64", "128"]),
        (Scale(3, 100, "mm", logarithmic=True), ["4", "8", "16", "32", "64"]),
        (ERROR_SCALE, ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
        (Scale(0, 90, "°"), ["0", "20", "40", "60", "80"]),
        (Scale(5, 6, "mm", logarithmic=True), ["5", "6"]),
    ],
)
def test_ticks_are_round_values_on_the_bar(scale, texts):
    ticks = scale.ticks()
    assert [text for _, text in ticks] == texts
    assert all(0 <= place <= 1 for place, _ in ticks)


def test_a_wall_faced_squarely_is_blue_and_unknown_normals_are_grey():
    normals = np.array([[[0, 0, -1], [1, 0, 0], [np.nan, np.nan, np.nan]]], np.float32)
    picture = colour_normals(normals)
    assert picture[0, 0].tolist() == [128, 128, 255]
    assert picture[0, 1].tolist() == [255, 128, 128]
    assert tuple(picture[0, 2]) == UNKNOWN


def test_classes_have_their_own_colours_and_ignore_is_grey():
    picture = colour_classes(np.array([[0, 1, 3, 255]], np.uint8))
    assert [tuple(p) for p in picture[0]] == [
        class_colour(0),
        class_colour(1),
        class_colour(3),
        UNKNOWN,
    ]
    assert len(set(CLASS_COLOURS)) == len(CLASS_COLOURS)


def test_neighbouring_objects_differ_and_no_object_is_dark():
    picture = colour_instances(np.array([[0, 1, 2, 3, 4]], np.uint16))
    assert tuple(picture[0, 0]) == CLASS_COLOURS[0]
    assert len({tuple(p) for p in picture[0]}) == 5


def test_flow_has_a_hue_for_its_direction_and_is_white_at_rest():
    flow = np.array([[[0, 0], [9, 0], [-9, 0], [np.nan, np.nan]]], np.float32)
    picture = colour_flow(flow, 9.0)
    assert picture[0, 0].min() > 240
    assert picture[0, 1, 0] > picture[0, 1, 2]
    assert picture[0, 2, 0] < picture[0, 2, 2]
    assert tuple(picture[0, 3]) == UNKNOWN


def test_a_mask_is_light_where_true_dark_where_false_and_grey_where_unknown():
    picture = colour_mask(np.array([[True, False, True]]), np.array([[True, True, False]]))
    assert picture[0, 0].min() > 200
    assert picture[0, 1].max() < 60
    assert tuple(picture[0, 2]) == UNKNOWN

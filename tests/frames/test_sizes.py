# SPDX-License-Identifier: Apache-2.0
"""Pictures and labels at another size keep their meaning."""

import numpy as np
import pytest

from endoforge.frames.sizes import reduced_depth, reduced_image, reduced_label, working_size


def test_a_smaller_depth_is_the_geometric_mean_of_what_is_valid():
    depth = np.array([[4.0, 9.0, 5.0, 5.0], [4.0, 9.0, 7.0, 7.0]], np.float32)
    valid = np.array([[True, True, True, False], [True, True, False, False]])
    small = reduced_depth(depth, valid, (2, 1))
    assert small[0, 0] == pytest.approx(6.0, rel=1e-6)
    assert small[0, 1] == 0  # only a quarter of that pixel is valid


def test_invalid_depth_may_be_nan():
    depth = np.array([[np.nan, 8.0]], np.float32)
    assert reduced_depth(depth, ~np.isnan(depth), (2, 1)).tolist() == [[0.0, 8.0]]


def test_a_smaller_picture_is_the_mean_of_what_it_covers():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2] = 100
    image[0, 0] = 20
    assert reduced_image(image, (2, 2))[0, 0].tolist() == [80, 80, 80]


def test_a_smaller_label_is_what_covers_most_of_each_pixel():
    label = np.array([[1, 1, 2, 2], [1, 7, 255, 255]], np.uint8)
    label[1, 3] = 2
    assert reduced_label(label, (2, 1)).tolist() == [[1, 2]]
    assert reduced_label(label, (4, 2)) is label


def test_labels_never_mix_into_classes_that_were_not_there():
    rng = np.random.default_rng(0)
    label = rng.choice(np.array([0, 4, 9, 255], np.uint8), (37, 53))
    assert set(np.unique(reduced_label(label, (17, 11)))) <= {0, 4, 9, 255}


@pytest.mark.parametrize("picture", [(854, 480), (1280, 720), (640, 480), (100, 400), (8, 8)])
def test_the_working_size_keeps_area_and_aspect_as_nearly_as_the_divisor_allows(picture):
    width, height = working_size(picture, (224, 128), 16)
    assert width % 16 == height % 16 == 0
    assert width * height == pytest.approx(224 * 128, rel=0.15)
    assert width / height == pytest.approx(picture[0] / picture[1], rel=0.15)

# SPDX-License-Identifier: Apache-2.0
"""Coding keeps the picture's size and colours, loses more at lower quality, and can be left out."""

import cv2
import numpy as np
import pytest

from endoforge.optics.artefacts import through_h264, through_jpeg


def picture(height: int, width: int) -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 255, (8, 10, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def error(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - two).mean())


@pytest.mark.parametrize(
    ("code", "fine", "coarse"), [(through_jpeg, 95, 10), (through_h264, 10, 48)]
)
def test_coarser_coding_loses_more(code, fine, coarse):
    image = picture(64, 80)
    assert error(code(image, fine), image) < 8
    assert error(code(image, coarse), image) > 1.5 * error(code(image, fine), image)


@pytest.mark.parametrize("code", [through_jpeg, through_h264])
def test_no_coding_gives_the_picture_back(code):
    image = picture(32, 32)
    assert code(image, 0) is image


@pytest.mark.parametrize("code", [through_jpeg, through_h264])
@pytest.mark.parametrize("size", [(33, 47), (64, 64), (17, 32)])
def test_odd_sizes_keep_their_size_and_colours_their_order(code, size):
    red = np.zeros((*size, 3), np.uint8)
    red[..., 0] = 200
    coded = code(red, 30)
    assert coded.shape == red.shape
    assert coded[..., 0].mean() > 150
    assert coded[..., 2].mean() < 40


@pytest.mark.parametrize("code", [through_jpeg, through_h264])
def test_coding_is_repeatable(code):
    image = picture(48, 64)
    assert (code(image, 35) == code(image, 35)).all()

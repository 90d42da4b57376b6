# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
from PIL import Image

from endoforge.frames.overlays import StaticOverlay, coloured_inserts, excluded


def moving_tissue(rng: np.random.Generator) -> np.ndarray:
    """Strong edges everywhere, elsewhere in every picture."""
    coarse = rng.uniform(20, 235, (30, 40)).astype(np.float32)
    return np.repeat(cv2.resize(coarse, (400, 300)).astype(np.uint8)[..., None], 3, -1)


def with_text(image: np.ndarray, text: str) -> np.ndarray:
    image = image.copy()
    cv2.putText(image, text, (20, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (250, 250, 250), 1)
    return image


def text_pixels() -> np.ndarray:
    return with_text(np.zeros((300, 400, 3), np.uint8), "DATE 12:30")[..., 0] > 127


def overlay_of(pictures) -> np.ndarray:
    overlay = StaticOverlay()
    for picture in pictures:
        overlay.add(picture)
    return overlay.mask(300, 400)


@pytest.mark.parametrize("count", [12, 200])
def test_text_that_stands_still_is_found_and_tissue_is_kept(count):
    rng = np.random.default_rng(0)
    mask = overlay_of(with_text(moving_tissue(rng), "DATE 12:30") for _ in range(count))
    assert mask[text_pixels()].mean() > 0.97
    assert not mask[80:].any()
    assert mask.mean() < 0.06


def test_without_text_nothing_is_found():
    rng = np.random.default_rng(1)
    assert not overlay_of(moving_tissue(rng) for _ in range(20)).any()


def test_a_camera_that_stands_still_is_not_taken_for_text():
    picture = moving_tissue(np.random.default_rng(2))
    assert not overlay_of([picture] * 20).any()


def test_few_pictures_say_nothing():
    rng = np.random.default_rng(3)
    assert not overlay_of(with_text(moving_tissue(rng), "DATE") for _ in range(7)).any()


def test_a_long_video_keeps_few_pictures():
    overlay = StaticOverlay()
    for _ in range(400):
        overlay.add(np.zeros((48, 64, 3), np.uint8))
    assert 48 <= len(overlay._kept) <= 96


def test_a_flat_green_box_is_found_and_a_blue_instrument_is_not():
    image = moving_tissue(np.random.default_rng(4))
    image[..., 0] = 200
    image[220:280, 10:90] = (20, 165, 140)
    cv2.line(image, (150, 250), (390, 20), (40, 60, 220), 14)
    mask = coloured_inserts(image)
    assert mask[222:278, 12:88].all()
    assert not mask[:, 140:].any()
    assert not coloured_inserts(np.full((60, 80, 3), (40, 90, 220), np.uint8)).any()  # all dyed


def test_a_rectangle_of_the_user_is_at_least_as_large_as_asked():
    mask = excluded([(0.0, 0.5, 0.255, 1.0)], 10, 20)
    assert mask[5:, :6].all()
    assert mask.sum() == 30
    assert not excluded((), 4, 4).any()


@pytest.mark.real
def test_the_dates_on_real_colonoscopies_are_found(shared_data):
    files = sorted((shared_data / "colon_kvasir_seg_images" / "train").glob("*.jpg"))[::5]
    overlay = StaticOverlay()
    for file in files:
        overlay.add(np.asarray(Image.open(file).convert("RGB")))
    mask = overlay.mask(512, 512)
    assert mask[140:240, 10:80].mean() > 0.25  # the lines of date and time
    assert mask[:, 130:450].mean() < 0.01

# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from endoforge.frames.media.pictures import read_picture
from endoforge.serving.trust import ContentMask, content_mask, reasons_not_to_trust
from frames.media.samples import tissue

SIZE = (400, 320)


def inside_of(shape: str) -> np.ndarray:
    width, height = SIZE
    mask = np.zeros((height, width), np.uint8)
    if shape == "circle":
        cv2.circle(mask, (width // 2, height // 2), 150, 1, -1)
    elif shape == "octagon":
        corners = [(90, 10), (310, 10), (390, 80), (390, 240), (310, 310), (90, 310)]
        cv2.fillPoly(mask, [np.array([*corners, (10, 240), (10, 80)])], 1)
    elif shape == "cut corner":
        mask[:] = 1
        mask[220:, :120] = 0
    else:
        mask[:] = 1
    return mask.astype(bool)


def shown_in(shape: str) -> tuple[np.ndarray, np.ndarray]:
    inside = inside_of(shape)
    image = tissue(*SIZE)
    image[~inside] = 3
    return image, inside


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("shape", ["circle", "octagon", "cut corner", "everything"])
def test_the_content_is_found_in_every_usual_shape(shape):
    image, inside = shown_in(shape)
    assert agreement(content_mask(image), inside) > 0.97


def test_words_on_the_border_are_not_content():
    image, inside = shown_in("circle")
    cv2.putText(image, "12:30 NAME", (2, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
    mask = content_mask(image)
    assert agreement(mask, inside) > 0.97
    assert not mask[:24, :60].any()


def test_a_dark_lumen_in_the_middle_stays_content():
    image, _ = shown_in("octagon")
    cv2.circle(image, (200, 160), 50, (2, 1, 1), -1)
    assert content_mask(image)[160, 200]


def test_the_mask_of_a_video_grows_when_dark_tissue_lights_up():
    image, inside = shown_in("octagon")
    dark = image.copy()
    dark[200:] = 0
    mask = ContentMask()
    assert not mask.update(dark)[280, 200]
    assert agreement(mask.update(image), inside) > 0.97
    assert mask.update(dark)[280, 200]


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((120, 160, 3), np.uint8), "no content"),
        (np.full((120, 160, 3), 255, np.uint8), "too bright"),
        ((tissue(160, 120) // 8).astype(np.uint8), "too dark"),
        (np.full((120, 160, 3), (150, 60, 50), np.uint8), "no structure"),
        (tissue(20, 16), "too small"),
        (tissue(1, 1), "too small"),
    ],
)
def test_pictures_that_show_nothing_are_not_trusted(image, reason):
    assert reason in reasons_not_to_trust(image, content_mask(image))[0]


def test_a_usual_picture_is_trusted():
    image, _ = shown_in("octagon")
    assert reasons_not_to_trust(image, content_mask(image)) == ()


@pytest.mark.real
def test_real_colonoscopies_are_trusted_and_their_black_corners_found(shared_data):
    files = sorted((shared_data / "colon_kvasir_seg_images" / "train").glob("*.jpg"))[:40]
    for file in files:
        image = read_picture(file)
        mask = content_mask(image)
        assert reasons_not_to_trust(image, mask) == (), file.name
        assert 0.5 < mask.mean() < 0.95, file.name
        assert not mask[-8:, -8:].any(), file.name

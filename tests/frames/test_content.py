# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
from PIL import Image

from endoforge.frames.content import ContentMask, content_mask
from endoforge.frames.media.video import VideoFrame, read_video
from frames.media.samples import shown_in, tissue


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


@pytest.mark.parametrize("grey", [0, 24, 38])
def test_dark_tissue_at_the_rim_of_a_round_picture_stays_inside(grey):
    """The circle decides, whatever its edge shows on one side, and whatever grey is around it."""
    image, inside = shown_in("circle", grey)
    v, u = np.mgrid[:320, :400]
    dark = inside & (u > 290) & (v > 100) & (v < 230)
    image[dark] = (grey + 4, grey + 1, grey + 1)
    mask = content_mask(image)
    assert (inside & ~mask).sum() < 0.02 * inside.sum()
    assert (~inside & ~mask).sum() > 0.98 * (~inside).sum()


def test_a_black_box_over_a_round_picture_is_not_content():
    image, _ = shown_in("circle")
    image[200:, :140] = 0
    mask = content_mask(image)
    assert not mask[204:, :136].any()
    assert mask[180, 100]


def test_letterbox_bars_are_not_content():
    image = tissue(320, 240)
    image[:40] = image[-40:] = 2
    mask = content_mask(image)
    assert mask[46:-46].all()
    assert not mask[:36].any()
    assert not mask[-36:].any()


def test_a_picture_without_surround_is_content_everywhere():
    assert content_mask(tissue(640, 360)).all()
    assert ContentMask().mask(4, 6).all()


@pytest.mark.real
def test_real_laparoscopies_lose_at_most_two_percent_and_their_surround_is_found(shared_data):
    """Against fields of view that were drawn by hand, over 18 frames of 4 videos."""
    files = sorted((shared_data / "lap_liver_masks").rglob("*_fov.png"))
    assert len(files) == 18
    for file in files:
        inside = np.asarray(Image.open(file)) > 127
        image = np.asarray(Image.open(str(file).replace("_fov", "")).convert("RGB"))
        mask = content_mask(image)
        assert (inside & ~mask).sum() <= 0.02 * inside.sum(), file.name
        assert (~inside & ~mask).sum() >= 0.98 * (~inside).sum(), file.name


@pytest.mark.real
def test_a_round_picture_that_wanders_through_a_real_video_is_followed(shared_data):
    """The camera head of this clip turns on the scope: the rim moves by 12 px."""
    drawn = {
        int(file.stem.split("_")[1]): np.asarray(Image.open(file)) > 127
        for file in (shared_data / "lap_liver_masks" / "lap_rvimlab_clip").rglob("*_fov.png")
    }
    mask = ContentMask()
    for number, item in enumerate(read_video(shared_data / "lap_rvimlab_clip" / "endo.mp4")):
        if not isinstance(item, VideoFrame) or number % 25 not in (0, 12):
            continue
        found = mask.update(item.image)
        if number in drawn:
            inside = drawn.pop(number)
            assert (inside & ~found).sum() <= 0.02 * inside.sum()
            assert (~inside & ~found).sum() >= 0.98 * (~inside).sum()
    assert not drawn

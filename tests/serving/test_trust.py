# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.frames.content import content_mask
from endoforge.frames.media.pictures import read_picture
from endoforge.serving.trust import reasons_not_to_trust
from frames.media.samples import shown_in, tissue


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

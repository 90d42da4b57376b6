# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from endoforge.metrics.outlines import outlines
from endoforge.metrics.slips import Lines


def disc(du=0.0, contrast=90, grain=0):
    """A bright disc of 26 px before a wall, moved to the right."""
    image = np.full((96, 128, 3), 80, np.float32)
    v, u = np.mgrid[:96, :128]
    inside = 1 / (1 + np.exp(np.hypot(u - 64 - du, v - 48) - 26))
    image += contrast * inside[..., None]
    noise = np.random.default_rng(grain).normal(0, 4, image.shape[:2])[..., None]
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def rim():
    v, u = np.mgrid[:96, :128]
    return np.abs(np.hypot(u - 64, v - 48) - 26) < 1.5


def slips(picture, step=1, window_px=6.0, source=None):
    lines = Lines(outlines(disc() if source is None else source, step), rim(), step)
    return lines.slips(outlines(picture, step), [window_px])[0]


def test_a_line_in_its_place_has_not_slipped_in_any_look():
    for picture in (disc(), 255 - disc(), disc(contrast=40, grain=1)):
        assert float((slips(picture).gain * slips(picture).confidence).max()) < 0.06


@pytest.mark.parametrize(("step", "du"), [(1, 2), (2, 4), (4, 8)])
def test_a_slip_is_found_in_its_length_in_another_look(step, du):
    still, found = (slips(255 - disc(shift), step, 6.0 * step) for shift in (0, du))
    surest = found.gain.argmax()
    assert found.gain[surest] > 3 * still.gain.max() + 0.01
    assert found.length_px[surest] == pytest.approx(du, abs=step)


def test_more_of_a_slip_gains_more():
    gains = [float(slips(disc(du)).gain.max()) for du in (0, 1, 2, 3)]
    assert gains == sorted(gains)


def test_a_faint_line_gives_less_evidence():
    strong = slips(disc(2)).evidence.max()
    faint = slips(disc(2, contrast=12), source=disc(contrast=12)).evidence.max()
    assert faint < 0.7 * strong


def test_one_source_is_compared_in_several_windows_as_in_each_alone():
    lines = Lines(outlines(disc(), 1.0), rim(), 1)
    other = outlines(cv2.GaussianBlur(disc(2), (0, 0), 1), 1.0)
    both = lines.slips(other, [3.0, 8.0])
    assert np.array_equal(both[1].gain, lines.slips(other, [8.0])[0].gain)


def test_without_lines_nothing_is_said():
    nowhere = np.zeros((96, 128), bool)
    fields = outlines(disc(), 1.0)
    found = Lines(fields, nowhere, 1).slips(fields, [4.0])[0]
    assert found.gain.size == found.evidence.size == 0

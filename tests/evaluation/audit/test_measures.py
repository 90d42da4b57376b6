# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from endoforge.errors import ShapeError
from endoforge.evaluation.audit.cues import Scene, resized, tissues
from endoforge.evaluation.audit.damage import Bump, blur, draw_bump, flow_of, swap_textures, warp
from endoforge.evaluation.audit.looks import CALIBRATION_LOOKS, TEST_LOOKS, tone
from endoforge.evaluation.audit.measures import SCORED, Measurer
from endoforge.evaluation.audit.planting import DAMAGES, EXPERT_OF, plant
from endoforge.frames.frame import IGNORE
from evaluation.audit.still_life import NAMES, still_life


class FlatDepth:
    """A depth network that sees brightness as nearness."""

    def predict_batch(self, images):
        return 300 / (1 + images.astype(np.float32).mean(-1))


class Threshold:
    """A segmenter that calls bright pixels 1."""

    def predict(self, image):
        return (image.mean(-1) > 120).astype(np.uint8)


@pytest.fixture(scope="module")
def measurer():
    return Measurer(NAMES, FlatDepth(), Threshold())


def test_a_frame_against_itself_has_nothing_wrong(measurer):
    frame = still_life()
    found = measurer.measure(frame, frame.image)
    assert found.keys() >= set(SCORED)
    for name in SCORED:
        assert found[name] < (0.5 if name.endswith(("_px", "odd")) else 0.1), name
    assert found["class_iou:1"] == 1.0


def test_masks_carried_along_by_a_shift_overlap_as_the_shifted_masks_do(measurer):
    frame = still_life()
    shifted = np.roll(frame.image, 4, axis=1)
    moved = np.roll(Scene.of(frame, NAMES, 1000).tissue, 4, axis=1)
    scene = Scene.of(frame, NAMES, 1000)
    overlaps = []
    for index in np.unique(scene.tissue[scene.counts]):
        one, two = ((mask == index) & scene.counts for mask in (scene.tissue, moved))
        overlaps.append((one & two).sum() / (one | two).sum())
    found = measurer.measure(frame, shifted)["masks_moved"]
    assert found == pytest.approx(1 - np.mean(overlaps), abs=0.04)
    assert measurer.measure(frame, frame.image)["masks_moved"] < 0.01


def test_measures_are_larger_for_planted_damage_than_for_another_look(measurer):
    frame, rng = still_life(), np.random.default_rng(0)
    good = tone(frame.image, rng)
    scene = Scene.of(frame, NAMES, 1000)
    clean = measurer.measure(frame, good)
    seen_by = {
        "warp of 2 px": ("slip_any_long",),
        "warp of 4 px": ("shift_gain", "slip", "slip_evidence", "slip_any_over"),
        "warp of 16 px": ("shift_gain", "slip_2_evidence", "slip_any"),
        "organ removed": ("object_lost", "object_lost_over", "faded"),
        "organ invented": ("weakest_4", "stranger_over", "stranger_colour_over"),
        "textures swapped": ("light_order",),
        "blur": ("blurred",),
    }
    for damage, names in seen_by.items():
        donors = [(good, scene.tissue)]
        bad = plant(damage, good, scene, donors, rng)
        assert bad is not None, damage
        found = measurer.measure(frame, bad)
        for name in names:
            assert found[name] > 2 * clean[name] + 0.01, (damage, name)


def test_measures_do_not_depend_on_what_was_measured_before():
    frame, other = still_life(), still_life(index=3)
    moved = warp(frame.image, Bump((53.0, 40.0), (4.0, 0.0), 12.0))
    alone = Measurer(NAMES, FlatDepth()).measure(frame, moved)
    busy = Measurer(NAMES, FlatDepth())
    for one, made in ((frame, frame.image), (other, moved), (frame, frame.image)):
        busy.measure(one, made)
    assert busy.measure(frame, moved) == alone


def test_nothing_slips_in_a_new_texture_as_much_as_in_a_warp():
    """What is relative to the frame tells a warp of one place from noise everywhere."""
    frame, rng = still_life(), np.random.default_rng(2)
    noisy = frame.image + rng.normal(0, 12, frame.image.shape)
    noisy = np.clip(noisy, 0, 255).astype(np.uint8)
    measurer = Measurer(NAMES)
    moved = warp(noisy, Bump((53.0, 40.0), (3.0, 0.0), 12.0))
    pair = [measurer.measure(frame, image)["slip_any_long_over"] for image in (noisy, moved)]
    assert pair[1] > 2 * pair[0]


def test_a_large_picture_is_shrunk_and_its_shift_is_told_in_its_own_pixels():
    frame = still_life(scale=5)
    assert max(frame.image.shape) > 480
    moved = warp(frame.image, Bump((300.0, 240.0), (12.0, 0.0), 90.0))
    found = Measurer(NAMES).measure(frame, moved)
    assert 5 < found["shift_95_px"] < 16
    assert "depth_changed" not in found


def test_a_frame_without_labels_is_not_measured(measurer):
    frame = still_life(empty=True)
    assert measurer.measure(frame, frame.image) == {}


def test_a_translation_of_another_size_is_refused(measurer):
    frame = still_life()
    with pytest.raises(ShapeError, match="of the frame's size"):
        measurer.measure(frame, frame.image[:-2])


def test_classes_of_one_tissue_get_one_number():
    label = np.array([[1, 2, 3, IGNORE]], np.uint8)
    names = {1: "wall", 2: "fold", 3: "polyp"}
    assert tissues(label, names).tolist() == [[1, 1, 3, IGNORE]]


def test_borders_are_where_tissue_or_depth_changes():
    frame = still_life()
    scene = Scene.of(frame, NAMES, 1000)
    rows, columns = np.nonzero(scene.borders)
    assert len(rows) > 100
    edges = cv2.morphologyEx(scene.tissue, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    assert edges[rows, columns].mean() > 0.95
    assert not (scene.borders & ~scene.counts).any()


def test_a_small_picture_is_not_enlarged():
    values = np.zeros((4, 6))
    assert resized(values, 100, cv2.INTER_AREA) is values
    assert resized(values, 3, cv2.INTER_AREA).shape == (2, 3)


def test_a_bump_shifts_by_its_peak_at_its_centre_and_nothing_far_away():
    bump = Bump((32.5, 24.5), (3.0, 0.0), 8.0)
    flow = flow_of(bump, (48, 64))
    assert flow[24, 32].tolist() == pytest.approx([3, 0])
    ramp = np.repeat((4 * np.arange(64, dtype=np.uint8))[None, :, None], 48, 0).repeat(3, -1)
    moved = warp(ramp, bump)
    assert int(moved[24, 32, 0]) == 4 * 32 - 12  # what was 3 px to the left
    assert moved[0, 0, 0] == ramp[0, 0, 0]


def test_a_bump_lies_on_a_lit_border_and_crosses_it():
    frame = still_life()
    scene = Scene.of(frame, NAMES, 1000)
    vertical = np.zeros_like(scene.borders)
    vertical[20:60, 50] = True
    bump = draw_bump(vertical, frame.image, 4.0, np.random.default_rng(0))
    assert bump is not None
    assert bump.centre_px[0] == 50.5
    assert abs(bump.shift_px[0]) > abs(bump.shift_px[1]) - 1e-6  # within 45 degrees of across
    assert np.hypot(*bump.shift_px) == pytest.approx(4.0)
    dark = np.zeros_like(frame.image)
    assert draw_bump(vertical, dark, 4.0, np.random.default_rng(0)) is None


@pytest.mark.parametrize("name", [*CALIBRATION_LOOKS, *TEST_LOOKS])
def test_looks_keep_the_geometry_and_change_the_picture(name):
    frame, rng = still_life(), np.random.default_rng(1)
    real = rng.integers(40, 200, (128, 128, 3)).astype(np.uint8)
    look = (CALIBRATION_LOOKS | TEST_LOOKS)[name]
    made = look(frame.image, frame.label, cv2.GaussianBlur(real, (0, 0), 3), rng)
    assert made.shape == frame.image.shape
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - frame.image).mean() > 4
    found = Measurer(NAMES).measure(frame, made)
    assert found["shift_median_px"] < 0.5


def test_looks_of_fit_and_test_differ():
    assert not set(CALIBRATION_LOOKS) & set(TEST_LOOKS)
    assert not set(CALIBRATION_LOOKS.values()) & set(TEST_LOOKS.values())


def test_every_damage_has_an_expert_and_none_is_planted_where_nothing_is_seen():
    assert set(EXPERT_OF) == set(DAMAGES)
    frame = still_life()
    black = np.zeros_like(frame.image)
    scene = Scene.of(frame, NAMES, 1000)
    rng = np.random.default_rng(0)
    for damage in set(DAMAGES) - {"blur"}:
        assert plant(damage, black, scene, [(black, scene.tissue)], rng) is None


def test_one_tissue_cannot_be_swapped_and_a_blur_blurs():
    frame = still_life()
    same = np.where(frame.label == IGNORE, IGNORE, 1).astype(np.uint8)
    assert swap_textures(frame.image, same, np.random.default_rng(0)) is None
    assert blur(frame.image, 3.0).std() < frame.image.std()

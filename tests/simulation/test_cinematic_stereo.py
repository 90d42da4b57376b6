# SPDX-License-Identifier: Apache-2.0
"""Two eyes in a CT: the second one adds to a frame and changes nothing of the first."""

from dataclasses import replace

import numpy as np
import pytest

from endoforge.errors import SettingsError
from endoforge.frames.check import check_dataset
from endoforge.frames.dataset import Dataset
from endoforge.simulation.cinematic_shot import cinematic_frames, cinematic_shot, right_view_of
from endoforge.simulation.draws import draw_sequence
from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.run import simulate_dataset

_SMALL = ("anatomy.voxels=128", "quality.samples=4")
_BASELINE_MM = 3.0


def settings(eyes, *assignments, recipe="cinematic", degrees=80):
    lens = f"model: pinhole, width: 80, height: 60, horizontal_deg: {degrees}"
    camera = f"camera={{{lens}, stereo: {eyes}}}"
    return load_recipe(recipe, {"frames": 1, "seed": 3}, (*_SMALL, camera, *assignments))


@pytest.fixture(scope="module")
def rectified():
    return settings(f"{{baseline_mm: {_BASELINE_MM}}}")


@pytest.fixture(scope="module")
def data(rectified, tmp_path_factory):
    out = tmp_path_factory.mktemp("eyes") / "data"
    assert simulate_dataset(rectified, out).complete
    return out


def test_every_law_of_labels_holds_for_two_eyes(data):
    assert check_dataset(data).problems == []


def test_disparity_times_depth_is_focal_length_times_baseline(data):
    frame = Dataset.open(data).frame(0)
    assert frame.right is not None
    way = frame.right.from_left_px
    np.testing.assert_array_equal(np.isfinite(way[..., 0]) | ~frame.valid, True)
    known = frame.valid
    np.testing.assert_allclose(way[known][:, 1], 0.0, atol=2e-2)
    product = -way[known][:, 0] * frame.depth_mm[known]
    step = 0.5 / 64 * frame.depth_mm[known]  # of the stored disparity
    expected = frame.camera.fx * _BASELINE_MM
    assert (np.abs(product - expected) < 1e-3 * expected + step).all()
    assert 0.0 < frame.right.occluded[known].mean() < 0.3


def test_what_both_eyes_see_looks_alike_and_far_points_move_less(data):
    frame = Dataset.open(data).frame(0)
    right = frame.right
    assert right is not None
    seen = frame.valid & ~right.occluded
    rows, columns = np.nonzero(seen)
    there = np.rint(columns + right.from_left_px[seen][:, 0]).astype(int).clip(0, 79)
    mean = frame.image[seen].mean()
    apart = np.abs(frame.image[seen].astype(float) - right.image[rows, there]).mean()
    assert apart < 0.15 * mean
    far = frame.depth_mm[seen] > np.median(frame.depth_mm[seen])
    disparity = -right.from_left_px[seen][:, 0]
    assert disparity[far].max() <= disparity[~far].min() + 0.05


def test_a_second_eye_changes_nothing_of_the_first(data):
    alone = next(iter(cinematic_frames(draw_sequence(settings("null"), 0))))
    both = Dataset.open(data).frame(0)
    assert alone.right is None
    np.testing.assert_array_equal(alone.image, both.image)
    np.testing.assert_array_equal(alone.valid, both.valid)
    np.testing.assert_array_equal(alone.label, both.label)


def test_eyes_that_turn_towards_each_other_keep_every_law(tmp_path):
    turned = settings(
        "{baseline_mm: 30.0, convergence_deg: 4.0}",
        "transfer.preset=bone",
        recipe="cinematic-abdomen",
        degrees=36,
    )
    assert simulate_dataset(turned, tmp_path / "data").complete
    assert check_dataset(tmp_path / "data").problems == []


def test_lights_stay_where_they_are_when_the_second_eye_looks(rectified):
    shot = cinematic_shot(draw_sequence(rectified, 0))
    turned = replace(shot, right_from_left=_turn(0.2) @ shot.right_from_left)
    view, pose = right_view_of(turned, 0), shot.path.moments[0, 1]
    for there, here in zip(view.lights, shot.lights, strict=True):
        np.testing.assert_allclose(
            _world(view.camera_from_world, there), _world(pose, here), atol=1e-9
        )


def test_a_label_of_two_eyes_needs_two():
    with pytest.raises(SettingsError, match="'stereo' needs a stereo camera"):
        settings("null", "labels=[stereo]")
    assert "stereo" in settings("{}").wanted
    assert "stereo" not in settings("null").wanted


def _turn(angle):
    pose = np.eye(4)
    pose[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ]
    return pose


def _world(pose, light):
    """Place and direction of a source in the world."""
    back = np.linalg.inv(pose)
    return np.concatenate(
        [back[:3, :3] @ light.position_mm + back[:3, 3], back[:3, :3] @ light.axis]
    )

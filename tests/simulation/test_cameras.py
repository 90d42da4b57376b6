# SPDX-License-Identifier: Apache-2.0
import re
from dataclasses import replace

import numpy as np
import pytest

from endoforge.errors import SettingsError
from endoforge.geometry.cameras import OmnidirectionalCamera
from endoforge.simulation.camera_settings import (
    FisheyeSettings,
    OmnidirectionalSettings,
    PinholeSettings,
    StereoSettings,
)
from endoforge.simulation.cameras import build_camera, is_fixed, right_from_left
from endoforge.simulation.draws import draw_sequence
from endoforge.simulation.recipes import load_recipe, scope_names


def test_a_round_picture_ends_at_its_radius():
    camera = build_camera(FisheyeSettings(content_radius=(0.8, 0.8)))
    radius = 0.8 * camera.height / 2
    assert camera.in_field(np.array([camera.cx + radius - 0.5, camera.cy]))
    assert not camera.in_field(np.array([camera.cx + radius + 0.5, camera.cy]))


def test_cut_corners_have_the_stated_size():
    camera = build_camera(PinholeSettings(width=80, height=64, corner_cut=(0.5, 0.5)))
    blank = ~camera.valid()
    assert np.count_nonzero(blank[0]) == np.count_nonzero(blank[:, 0]) == 2 * 15
    np.testing.assert_array_equal(blank, blank[::-1, ::-1])


def test_an_omnidirectional_lens_comes_from_a_recipe():
    simulation = load_recipe(
        "colon",
        {},
        [
            "camera.model=omnidirectional",
            "camera.width=64",
            "camera.height=52",
            "camera.diagonal_deg=[150, 170]",
            "camera.shape=[0, -0.2, -0.02, 0]",
            "camera.content_radius=0.95",
        ],
    )
    assert isinstance(simulation.camera, OmnidirectionalSettings)
    assert not is_fixed(simulation.camera)
    drawn = draw_sequence(simulation, 0).settings.camera
    low, high = drawn.diagonal_deg
    assert is_fixed(drawn) and 150 <= low == high <= 170
    camera = build_camera(drawn)
    assert isinstance(camera, OmnidirectionalCamera)
    expected = OmnidirectionalCamera.from_field_of_view(64, 52, low, (0.0, -0.2, -0.02, 0.0))
    assert replace(camera, content=None) == expected
    assert camera.content == (expected.cx, expected.cy, 0.95 * 26)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("camera.diagonal_deg=250", "diagonal_deg must lie within 10.0 to 220.0"),
        ("camera.shape=[1, 2]", "camera.shape"),
        ("camera.distortion=[0, 0, 0, 0]", "unknown setting 'camera.distortion'"),
        ("camera.content_radius=0.1", "content_radius must be 0 or lie within 0.2 to 2"),
    ],
)
def test_wrong_omnidirectional_settings_are_refused_in_one_line(wrong, words):
    with pytest.raises(SettingsError, match=re.escape(words)) as caught:
        load_recipe("colon", {}, ["camera.model=omnidirectional", wrong])
    assert "\n" not in str(caught.value)


def test_a_lens_that_is_drawn_is_not_the_same_in_all_sequences():
    assert is_fixed(PinholeSettings())
    assert not is_fixed(PinholeSettings(horizontal_deg=(60.0, 70.0)))
    assert not is_fixed(FisheyeSettings(content_radius=(0.9, 1.1)))
    assert not is_fixed(FisheyeSettings(corner_cut=(0.2, 0.4)))


def test_the_right_eye_sits_to_the_right_and_looks_inwards():
    pose = right_from_left(StereoSettings(baseline_mm=(5.0, 5.0), convergence_deg=(3.0, 3.0)))
    eye = -pose[:3, :3].T @ pose[:3, 3]
    np.testing.assert_allclose(eye, [5.0, 0.0, 0.0], atol=1e-12)
    axis = pose[:3, :3].T @ np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(axis, [-np.sin(np.radians(3)), 0, np.cos(np.radians(3))], atol=1e-12)


@pytest.mark.parametrize("scope", scope_names())
@pytest.mark.parametrize("recipe", ["colon", "laparoscopy"])
def test_every_scope_fits_every_simulator(scope, recipe):
    simulation = load_recipe(recipe, {}, [f"scope={scope}"])
    assert simulation.scope == scope
    camera = build_camera(simulation.camera)
    assert camera.valid().mean() > 0.3


def test_an_unknown_scope_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="'gastroscope'; shipped are capsule, colonoscope"):
        load_recipe("colon", {}, ["scope=gastroscope"])

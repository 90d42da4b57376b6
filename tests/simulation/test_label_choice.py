# SPDX-License-Identifier: Apache-2.0
import pytest

from endoforge.errors import SettingsError
from endoforge.simulation.label_choice import LABEL_NAMES, choose_labels
from endoforge.simulation.recipes import load_recipe


def test_all_means_all_that_the_scene_can_give():
    assert choose_labels("all", frozenset({"stereo"})) == tuple(
        name for name in LABEL_NAMES if name != "stereo"
    )


def test_a_label_that_the_scene_cannot_give_is_refused_in_one_line():
    with pytest.raises(SettingsError, match="'stereo' needs a stereo camera") as caught:
        load_recipe("colon", {}, ["labels=[clean, stereo]"])
    assert "\n" not in str(caught.value)
    with pytest.raises(SettingsError, match="'keypoints' needs instruments"):
        load_recipe("colon", {}, ["labels=[keypoints]"])


def test_a_second_eye_or_a_tool_makes_its_labels_possible():
    stereo = load_recipe("colon", {}, ["labels=[stereo]", "camera.stereo={}"])
    assert stereo.wanted == ("stereo",)
    snare = load_recipe("colon-snare", {}, [])
    assert {"keypoints", "moving"} <= set(snare.wanted)
    assert "moving" not in load_recipe("colon", {}, []).wanted

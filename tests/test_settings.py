# SPDX-License-Identifier: Apache-2.0
import pytest
from pydantic import Field

from endoforge.errors import SettingsError
from endoforge.settings import Interval, Settings, override, read_settings_file, read_yaml, validate
from endoforge.simulation.recipes import load_recipe


class Lens(Settings):
    width: int = Field(320, ge=16)
    angle_deg: Interval = (90.0, 140.0)


class Scope(Settings):
    lens: Lens = Lens()
    name: str = "scope"


def test_a_misspelt_key_is_refused_in_one_line_with_the_nearest_name():
    with pytest.raises(SettingsError) as caught:
        validate(Scope, {"lens": {"widht": 640}})
    assert str(caught.value) == "unknown setting 'lens.widht'; did you mean 'width'?"


def test_a_key_of_another_choice_is_not_offered_again():
    with pytest.raises(SettingsError, match="belongs to another choice"):
        load_recipe("colon", {}, ["anatomy.mask=colon.nii.gz", "anatomy.length_mm=300"])


def test_a_key_like_no_other_is_answered_with_all_that_are_valid():
    with pytest.raises(SettingsError, match="valid here: angle_deg, width"):
        validate(Scope, {"lens": {"qqqq": 1}})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lens": {"width": "wide"}}, r"lens\.width.*'wide'"),
        ({"lens": {"width": -3}}, r"lens\.width.*-3"),
        ({"lens": {"width": 1e309}}, r"lens\.width.*inf"),
        ({"lens": {"angle_deg": [140, 90]}}, r"lens\.angle_deg.*above"),
        ({"lens": {"angle_deg": [float("nan"), 90]}}, r"lens\.angle_deg.*nan"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(values, words):
    with pytest.raises(SettingsError, match=words) as caught:
        validate(Scope, values)
    assert "\n" not in str(caught.value)


def test_overriding_leaves_the_given_values_alone():
    given = {"lens": {"width": 320}}
    assert override(given, ["lens.width=640", "name=left scope"]) == {
        "lens": {"width": 640},
        "name": "left scope",
    }
    assert given == {"lens": {"width": 320}}


@pytest.mark.parametrize("text", ["lens.width", "=640", ""])
def test_an_assignment_needs_a_key_and_a_value(text):
    with pytest.raises(SettingsError, match="KEY=VALUE"):
        override({}, [text])


def test_an_assignment_cannot_go_through_a_plain_value():
    with pytest.raises(SettingsError, match="not a group"):
        override({"name": "x"}, ["name.width=3"])


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1]\nb: *x",
        "[" * 5000 + "]" * 5000,
        "!!python/object/apply:os.system ['true']",
        "a: [1",
    ],
    ids=["alias", "deep", "tag", "cut"],
)
def test_text_that_is_not_plain_yaml_is_refused(text):
    with pytest.raises(SettingsError, match="not plain YAML"):
        read_yaml(text, "recipe.yaml")


def test_a_settings_file_must_be_a_small_mapping(tmp_path):
    path = tmp_path / "recipe.yaml"
    with pytest.raises(SettingsError, match="cannot read"):
        read_settings_file(path)
    path.write_text("- 1\n- 2\n")
    with pytest.raises(SettingsError, match="expected a mapping"):
        read_settings_file(path)
    path.write_text("a: " + "1" * 1_000_001)
    with pytest.raises(SettingsError, match="1,000,000"):
        read_settings_file(path)
    path.write_text("seed: 7\n")
    assert read_settings_file(path) == {"seed": 7}

# SPDX-License-Identifier: Apache-2.0
import re

import pytest
from pydantic import Field

from endoforge.errors import SettingsError
from endoforge.settings import Interval, Settings, override, read_settings_file, read_yaml, validate
from endoforge.simulation.recipes import load_recipe
from endoforge.simulation.settings import SIMULATORS


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


MASKS, MESHES = {"masks": "case.nii.gz"}, {"meshes": [{"file": "liver.stl", "organ": "liver"}]}


@pytest.mark.parametrize(
    ("simulator", "values", "key"),
    [
        ("laparoscopy", {"anatomy": {"motion": {"breath_mm": [50, 60]}}}, "anatomy.motion"),
        ("laparoscopy", {"anatomy": {"liver": {"size": "big"}}}, "anatomy.liver.size"),
        ("laparoscopy", {"anatomy": {**MASKS, "drawn": {"motoin": 1}}}, "anatomy.drawn.motoin"),
        ("laparoscopy", {"anatomy": MASKS | {"complete": "maybe"}}, "anatomy.complete"),
        ("laparoscopy", {"anatomy": MESHES}, "anatomy.meshes.0"),
        ("laparoscopy", {"trajectory": {"clearance_mm": 99}}, "trajectory.clearance_mm"),
        ("laparoscopy", {"instruments": {"tools": [{"kind": "saw"}]}}, "instruments.tools.0.kind"),
        ("colon", {"anatomy": {"segment": {"choice": ["ilium"]}}}, "anatomy.segment.choice.0"),
        ("colon", {"anatomy": {"mesh": "colon.stl"}}, "anatomy.unit"),
        ("colon", {"anatomy": {"mask": "a.nii", "resolution_mm": 9}}, "anatomy.resolution_mm"),
        ("colon", {"anatomy": {"polyps": {"diameter_mm": [9, 3]}}}, "anatomy.polyps.diameter_mm"),
        ("colon", {"camera": {"file": "c.json", "stereo": {"base": 3}}}, "camera.stereo.base"),
        ("colon", {"camera": {"model": "omnidirectional", "shape": 1}}, "camera.shape"),
        ("colon", {"camera": {"model": "wide"}}, "camera"),
        ("colon", {"camera": 3}, "camera"),
        ("colon", {"trajectory": [1]}, "trajectory"),
        ("colon", {"labels": ["stero"]}, "labels.0"),
    ],
)
def test_a_path_has_the_keys_that_the_user_wrote_and_no_others(simulator, values, key):
    with pytest.raises(SettingsError) as caught:
        validate(SIMULATORS[simulator], values)
    assert f"setting '{key}'" in str(caught.value)


def test_what_does_not_exist_is_answered_with_what_does():
    words = "there is no 'wide'; expected one of fisheye, omnidirectional, pinhole, file"
    with pytest.raises(SettingsError, match=words):
        load_recipe("colon", {}, ["camera.model=wide"])


def unions(schema):
    """All unions of a settings class that are told apart by more than none or something."""
    if isinstance(schema, dict):
        if schema.get("type") in ("union", "tagged-union"):
            yield schema
        schema = [schema[key] for key in schema.keys() - {"metadata", "lax_schema"}]  # a path's own
    if isinstance(schema, list | tuple):
        for part in schema:
            yield from unions(part)


@pytest.mark.parametrize("simulator", list(SIMULATORS))
def test_every_union_has_tags_that_messages_leave_out(simulator):
    found = list(unions(SIMULATORS[simulator].__pydantic_core_schema__))
    assert len(found) > 3
    for union in found:
        assert union["type"] == "tagged-union"
        assert all(re.fullmatch(r"\(\w+\)", tag) for tag in union["choices"])


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

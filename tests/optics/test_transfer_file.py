# SPDX-License-Identifier: Apache-2.0
"""Transfer functions survive the way through JSON bit by bit; other files are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endoforge.errors import DataError, SettingsError
from endoforge.optics.transfer import GradientRamp, OpticalCurve, TransferFunction
from endoforge.optics.transfer_file import (
    preset,
    preset_names,
    read_transfer,
    transfer_from_dict,
    transfer_from_json,
    transfer_to_dict,
    transfer_to_json,
    write_transfer,
)
from endoforge.optics.transfer_settings import PresetName

SHARE = st.floats(0, 1)


@st.composite
def curves(draw):
    hu = sorted(draw(st.lists(st.floats(-1024, 4000), min_size=2, max_size=6, unique=True)))
    count = len(hu)
    column = st.lists(SHARE, min_size=count, max_size=count)
    extinction = [0.0, *draw(st.lists(st.floats(1e-3, 50), min_size=count - 1, max_size=count - 1))]
    return OpticalCurve(
        np.array(hu),
        np.array(extinction),
        np.array([draw(column) for _ in range(3)]).T.copy(),
        np.array(draw(column)),
        np.array(draw(column)),
    )


def same_curve(one, other):
    for name in ("hu", "extinction_per_mm", "albedo", "roughness", "f0"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype == np.float64
        assert a.tobytes() == b.tobytes()


@given(curves(), curves(), st.floats(-0.95, 0.95), st.floats(1e-3, 1e9))
def test_every_number_survives_bit_by_bit(curve, organ, anisotropy, steepness):
    function = TransferFunction("a", curve, {"liver": organ}, anisotropy, steepness, "what")
    back = transfer_from_json(transfer_to_json(function), "x")
    same_curve(back.curve, curve)
    same_curve(back.organs["liver"], organ)
    assert (back.name, back.about, back.anisotropy, back.surface_hu_per_mm) == (
        "a", "what", anisotropy, steepness,
    )  # fmt: skip
    assert transfer_to_json(back) == transfer_to_json(function)


@given(st.floats(0, 100), st.floats(1e-3, 4000), SHARE)
def test_a_ramp_over_the_gradient_survives_bit_by_bit(begin, width, floor):
    ramp = GradientRamp(begin, begin + width, floor)
    function = replace(preset("bone"), gradient=ramp)
    assert transfer_from_json(transfer_to_json(function), "x").gradient == ramp


def test_a_file_without_a_ramp_says_nothing_of_one():
    assert '"gradient"' not in transfer_to_json(replace(preset("bone"), gradient=None))
    short = transfer_to_dict(preset("bone")) | {"gradient": STEEP}
    assert transfer_from_dict(short, "x").gradient == GradientRamp(5.0, 30.0, 0.0)


def test_a_file_reads_back(tmp_path):
    file = tmp_path / "mine.json"
    write_transfer(file, preset("bone"))
    assert transfer_to_dict(read_transfer(file)) == transfer_to_dict(preset("bone"))


def test_settings_name_exactly_the_shipped_presets():
    assert set(PresetName.__args__) == set(preset_names())


def test_an_unknown_preset_is_refused_with_the_nearest():
    with pytest.raises(SettingsError, match="'bones' is shipped; did you mean 'bone'"):
        preset("bones")


def changed(**changes):
    return transfer_to_dict(preset("bone")) | changes


def without(key):
    return {k: v for k, v in transfer_to_dict(preset("bone")).items() if k != key}


STEEP = {"from_hu_per_mm": 5, "to_hu_per_mm": 30}
POINT = {"hu": 0, "extinction_per_mm": 0, "albedo": [1, 1, 1], "roughness": 0.5, "f0": 0}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1], "must be a group of keys, got"),
        (changed(colour="red"), "unknown key 'colour'"),
        (changed(point=[]), "unknown key 'point'; did you mean 'points'"),
        (without("points"), "lacks 'points'"),
        (changed(version=2), "version 2; expected 'endoforge transfer function' version 1"),
        (changed(format="other"), "format 'other'"),
        (changed(name=3), "name must be text, got 3"),
        (changed(anisotropy="0.2"), "anisotropy must be a number, got '0.2'"),
        (changed(surface_hu_per_mm=True), "surface_hu_per_mm must be a number, got True"),
        (changed(surface_hu_per_mm=10**400), "must be a number, got 1000"),
        (changed(points=[]), "list of 2 to 4096 points"),
        (changed(points={"hu": 1}), "list of 2 to 4096 points"),
        (changed(points=[POINT, POINT | {"alpha": 1}]), r"points\[1\] has the unknown key 'alpha'"),
        (changed(points=[POINT, {"hu": 9}]), r"points\[1\] lacks 'albedo'"),
        (changed(points=[POINT, POINT | {"albedo": [1, 1]}]), r"albedo must be three numbers"),
        (changed(points=[POINT, POINT | {"albedo": [1, 1, None]}]), "albedo must be a number"),
        (changed(organs=[]), "organs must be a group"),
        (changed(gradient=[]), "gradient must be a group of keys"),
        (changed(gradient=None), "gradient must be a group of keys"),
        (changed(gradient={"from_hu_per_mm": 5}), "gradient lacks 'to_hu_per_mm'"),
        (changed(gradient=STEEP | {"flor": 0}), "unknown key 'flor'; did you mean 'floor'"),
        (changed(gradient=STEEP | {"floor": "0"}), "gradient: floor must be a number, got '0'"),
        (changed(organs={"liver": [POINT]}), r"organs\.liver must be a list of 2"),
    ],
)
def test_a_file_of_another_form_is_refused(values, said):
    with pytest.raises(DataError, match=said):
        transfer_from_dict(values, "mine.json")


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"name": NaN}', '{"name": 1, "name": 2}', "[" * 100_000, b"\xff\xfe\x00"],
    ids=["empty", "cut", "no number", "twice", "deep", "other letters"],
)
def test_what_is_not_plain_json_is_refused(text):
    with pytest.raises(DataError, match=r"mine\.json"):
        transfer_from_json(text, "mine.json")


def test_a_missing_and_a_huge_file_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot read the transfer function"):
        read_transfer(tmp_path / "none.json")
    (tmp_path / "big.json").write_bytes(b" " * 1_000_001)
    with pytest.raises(DataError, match="over 1000000 bytes"):
        read_transfer(tmp_path / "big.json")


def test_a_function_that_is_opaque_everywhere_is_refused_from_a_file_too():
    points = [POINT | {"extinction_per_mm": 1}, POINT | {"hu": 5, "extinction_per_mm": 1}]
    with pytest.raises(SettingsError, match="opaque everywhere"):
        transfer_from_dict(changed(points=points), "x")
    assert json.loads(transfer_to_json(preset("bone")))["version"] == 1

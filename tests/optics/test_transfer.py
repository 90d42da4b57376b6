# SPDX-License-Identifier: Apache-2.0
"""Transfer functions: what is refused, what the table holds, and which organ takes which curve."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endoforge.errors import SettingsError
from endoforge.optics.transfer import (
    EXTINCTION,
    HIGHEST_HU,
    LOWEST_HU,
    GradientRamp,
    OpticalCurve,
    TransferFunction,
    check_transfer,
    lut,
    organ_tables,
    plain_name,
    properties,
)
from endoforge.optics.transfer_file import preset, preset_names


def curve(hu, extinction, **changes) -> OpticalCurve:
    count = len(hu)
    plain = OpticalCurve(
        np.array(hu, float),
        np.array(extinction, float),
        np.full((count, 3), 0.5),
        np.full(count, 0.3),
        np.full(count, 0.04),
    )
    return replace(plain, **changes)


RAMP = TransferFunction("ramp", curve([-500, 100, 400], [0.0, 1.0, 2.0]))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"curve": curve([0, 0, 5], [0, 1, 1])}, r"whose hu rise, got \[0\.0, 0\.0, 5\.0\]"),
        ({"curve": curve([0, 5, 4], [0, 1, 1])}, "whose hu rise"),
        ({"curve": curve([3], [1])}, "two points or more"),
        ({"curve": curve([0, np.nan], [0, 1])}, "whose hu rise"),
        ({"curve": curve([0, 9], [0, -0.5])}, r"extinction_per_mm.*0 to 1000, got -0\.5 at 9 HU"),
        ({"curve": curve([0, 9], [0, np.inf])}, "got inf at 9 HU"),
        ({"curve": curve([0, 9], [0, 1], albedo=np.full((2, 3), 1.2))}, r"albedo.*got 1\.2 at 0"),
        ({"curve": curve([0, 9], [0, 1], f0=np.array([0, np.nan]))}, "f0.*got nan"),
        ({"curve": curve([0, 9], [0, 1], roughness=np.array([0, 2.0]))}, "roughness.*got 2"),
        ({"organs": {"liver": curve([0, 9], [0, -1])}}, "organ 'liver'.*got -1"),
        ({"anisotropy": 0.99}, r"anisotropy.*-0\.95 to 0\.95, got 0\.99"),
        ({"surface_hu_per_mm": 0.0}, r"surface_hu_per_mm must be above 0, got 0\.0"),
        ({"gradient": GradientRamp(30.0, 30.0)}, "from_hu_per_mm 30 and to_hu_per_mm 30"),
        ({"gradient": GradientRamp(40.0, 30.0)}, "must rise from 0 HU/mm or more.*got.*40"),
        ({"gradient": GradientRamp(-1.0, 30.0)}, "got from_hu_per_mm -1"),
        ({"gradient": GradientRamp(np.nan, 30.0)}, "got from_hu_per_mm nan"),
        ({"gradient": GradientRamp(1.0, np.inf)}, "up to 5000, got.*to_hu_per_mm inf"),
        ({"gradient": GradientRamp(1.0, 30.0, -0.1)}, r"floor must lie within 0 to 1, got -0\.1"),
        ({"gradient": GradientRamp(1.0, 30.0, 1.5)}, r"floor must lie within 0 to 1, got 1\.5"),
        ({"gradient": GradientRamp(1.0, 30.0, np.nan)}, "floor must lie within 0 to 1, got nan"),
        ({"curve": curve([0, 9], [0, 0])}, "opaque nowhere"),
        ({"curve": curve([0, 9], [0.1, 2])}, "opaque everywhere"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(wrong, said):
    with pytest.raises(SettingsError, match=f"'ramp'.*{said}") as caught:
        check_transfer(replace(RAMP, **wrong))
    assert "\n" not in str(caught.value)


def test_an_organ_alone_may_be_what_is_seen():
    empty = curve([0, 9], [0, 0])
    check_transfer(TransferFunction("liver alone", empty, {"liver": curve([0, 9], [1, 1])}))


def test_the_table_agrees_with_the_curve_and_holds_its_ends():
    table = lut(RAMP.curve, 4201)
    hu = np.linspace(LOWEST_HU, HIGHEST_HU, 4201)
    np.testing.assert_allclose(table, properties(RAMP.curve, hu), rtol=1e-6)
    assert table[0, EXTINCTION] == 0 and table[-1, EXTINCTION] == 2
    assert table.dtype == np.float32


@given(st.floats(0, 100), st.floats(1, 200), st.floats(0, 1))
def test_a_ramp_rises_from_its_floor_to_one(begin, width, floor):
    ramp = GradientRamp(begin, begin + width, floor)
    factor = ramp.factor(np.linspace(0, 400, 50))
    assert (np.diff(factor) >= 0).all() and factor[0] >= floor and factor[-1] == 1
    half = ramp.factor(np.array(begin + width / 2))
    np.testing.assert_allclose(half, (floor + 1) / 2)
    assert organ_tables(replace(RAMP, gradient=ramp), {}).ramp is ramp


@given(st.floats(-1000, 3000), st.floats(50, 800), st.integers(64, 2048))
def test_the_table_is_never_denser_than_the_curve(start, width, entries):
    shape = curve([start, start + width], [0.0, 3.0])
    table = lut(shape, entries)[:, EXTINCTION]
    assert table.max() <= np.float32(3)
    empty = np.linspace(LOWEST_HU, HIGHEST_HU, entries) <= start
    assert (table[empty] == 0).all()


def test_organs_are_found_by_name_whatever_its_spelling_side_and_number():
    liver, rib = curve([0, 9], [0, 1.0]), curve([0, 9], [0, 2.0])
    function = replace(RAMP, organs={"Liver": liver, "rib": rib, "hip": rib})
    names = {1: "liver", 2: "rib_left_4", 3: "Kidney right", 4: "hip-left", 5: "liverwort"}
    tables = organ_tables(function, names, 64)
    which = tables.table_of_organ
    assert (which[1], which[2], which[3], which[4], which[5]) == (1, 2, 0, 2, 0)
    assert which[0] == which[200] == 0
    np.testing.assert_array_equal(tables.tables[1], lut(liver, 64))
    assert len(tables.tables) == 3  # equal curves share a table
    assert plain_name("Kidney_left") == "kidney"


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_leaves_air_empty_and_stops_light_elsewhere(name):
    function = preset(name)
    assert function.name == name and function.about
    for shape in (function.curve, *function.organs.values()):
        table = lut(shape)
        hu = np.linspace(LOWEST_HU, HIGHEST_HU, len(table))
        assert (table[hu < -900, EXTINCTION] == 0).all()
    assert lut(function.curve)[-200:, EXTINCTION].min() > 0.5


def test_presets_look_like_what_they_are_named_after():
    colour = {
        n: properties(preset(n).curve, np.array([400.0, 800.0]))[1, 1:4] for n in preset_names()
    }
    ivory = colour["bone"]
    assert ivory.min() > 0.5 and np.ptp(ivory) < 0.35
    mucosa = properties(preset("colon-lumen").curve, np.array([0.0]))[0, 1:4]
    assert mucosa[0] > 2 * mucosa[1] > 2 * mucosa[2]
    skin = properties(preset("skin").curve, np.array([0.0]))[0, 1:4]
    assert skin[0] > skin[1] > skin[2] > 0.3

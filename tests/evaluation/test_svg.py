# SPDX-License-Identifier: Apache-2.0
import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endoforge.evaluation.report.svg import Axis, drawing, element, number, polyline, round_values


@given(st.text(), st.text())
def test_texts_and_attributes_never_leave_their_place(text, value):
    markup = str(element("text", {"class": value}, text))
    inside = markup.removeprefix("<text class=").removesuffix("</text>")
    assert "<" not in inside
    assert inside.count('"') == 2


def test_a_drawing_is_well_formed_and_described():
    root = ElementTree.fromstring(drawing(10, 20, 'a "b" <c>', element("g", None, "&")))
    assert root.attrib["aria-label"] == 'a "b" <c>'
    assert root.attrib["viewBox"] == "0 0 10 20"


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.booleans(), st.integers(2, 10))
def test_ticks_lie_on_the_axis_in_order(low, span, logarithmic, most):
    if logarithmic:
        low = abs(low) + 1e-3
    axis = Axis(low, low + span, 0, 100, logarithmic)
    places = [axis.place(value) for value, _ in axis.ticks(most)]
    assert places == sorted(places)
    assert all(-0.5 <= place <= 100.5 for place in places)
    assert len(places) <= most + 1


def test_round_values_are_round():
    assert round_values(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert round_values(13.6, 41.9, 6) == [15, 20, 25, 30, 35, 40]
    assert round_values(5, 5, 4) == [5]


def test_a_line_is_interrupted_where_a_value_is_missing():
    assert polyline([(0, 0), (1, 1), (math.nan, 2), (3, 3)], "x").count("M") == 2


def test_an_axis_shows_nothing_below_zero_on_a_logarithmic_scale():
    axis = Axis.around([0.0, 1.0, 10.0, math.inf], 0, 100, logarithmic=True)
    assert math.isnan(axis.place(0))
    assert 0 < axis.place(1.0) < axis.place(10.0) < 100


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (-3, "−3"), (12_000, "12 k"), (2.5e6, "2.5 M"), (1234, "1234")],
)
def test_numbers_are_written_the_way_people_read_them(value, text):
    assert number(value) == text

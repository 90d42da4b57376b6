# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endoforge.scene.anatomy.colon import sample_colon
from endoforge.scene.anatomy.segments import SEGMENTS, first_place, profile_at, segment_at
from endoforge.scene.anatomy.settings import ColonSettings
from endoforge.streams import stream


def test_segments_follow_one_another_from_anus_to_caecum():
    borders = list(SEGMENTS.values())
    assert borders[0][0] == 0 and borders[-1][1] == 1
    assert all(a[1] == b[0] for a, b in pairwise(borders))
    assert [segment_at((a + b) / 2) for a, b in borders] == list(SEGMENTS)
    assert segment_at(1.0) == "caecum"


@given(name=st.sampled_from(list(SEGMENTS)), start=st.floats(0, 1), share=st.floats(0.02, 1.0))
def test_a_piece_holds_its_segment_or_lies_within_it(name, start, share):
    first, last = SEGMENTS[name]
    begin = first_place(name, start, share)
    assert -1e-9 <= begin <= 1 - share + 1e-9
    holds = begin <= first + 1e-9 and begin + share >= last - 1e-9
    within = first - 1e-9 <= begin and begin + share <= last + 1e-9
    assert holds or within


def test_the_caecum_is_the_widest_and_the_sigmoid_the_narrowest():
    middle = {n: profile_at(np.array([(a + b) / 2])) for n, (a, b) in SEGMENTS.items()}
    radius = {n: float(p.radius_mm[0]) for n, p in middle.items()}
    assert min(radius, key=radius.get) == "sigmoid" and max(radius, key=radius.get) == "caecum"
    assert radius["descending"] < radius["transverse"] < radius["ascending"]
    height = {n: float(p.fold_height[0] * p.radius_mm[0]) for n, p in middle.items()}
    assert height["descending"] < height["transverse"] < height["ascending"]
    assert max(middle, key=lambda n: middle[n].triangle[0]) == "transverse"
    assert middle["rectum"].taenia[0] < 0.1


@pytest.mark.parametrize("name", list(SEGMENTS))
def test_a_named_segment_is_in_the_middle_of_the_piece(name):
    draw = sample_colon(ColonSettings(segment=name, length_mm=300), stream(4, "anatomy"))
    place = draw.route.place
    assert segment_at(float(place[len(place) // 2])) == name or name in ("rectum", "caecum")
    assert (draw.caecum is not None) == draw.route.to_caecum
    if name == "caecum":
        assert draw.route.to_caecum
    if name == "rectum":
        assert draw.route.from_anus

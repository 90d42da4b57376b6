# SPDX-License-Identifier: Apache-2.0
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endoforge.errors import DataError
from endoforge.frames.frame import Frame
from endoforge.frames.manifest import OPTIONAL_CONVENTIONS
from endoforge.frames.members import (
    ALL_FIELDS,
    MEMBERS,
    OPTIONAL_LABELS,
    OPTIONAL_MEMBERS,
    labels_with,
    members_of,
)


def test_every_optional_field_of_a_frame_is_a_label_with_a_meaning():
    optional = [field.name for field in fields(Frame)][13:]
    assert optional[0] == "clean"
    assert set(OPTIONAL_LABELS) == set(optional) == set(OPTIONAL_CONVENTIONS)


def test_every_field_is_in_a_file_of_its_own_data_set():
    assert set(ALL_FIELDS.values()) == {*MEMBERS, *OPTIONAL_MEMBERS} - {"json"}


@given(chosen=st.sets(st.sampled_from(sorted(OPTIONAL_LABELS))))
def test_labels_follow_from_files_and_files_from_labels(chosen):
    if len(chosen & {"back_flow_px", "back_occluded"}) == 1:
        with pytest.raises(DataError, match="shares a file"):
            members_of(chosen)
        return
    files = members_of(chosen)
    assert files[:6] == MEMBERS[:6]
    assert files[-1] == "json"
    assert set(labels_with(files)) == chosen - {"facts"}


def test_strange_files_and_labels_are_refused():
    with pytest.raises(DataError, match=r"got a\.png"):
        labels_with(["a.png"])
    with pytest.raises(DataError, match="no optional label 'depth'"):
        members_of(["depth"])

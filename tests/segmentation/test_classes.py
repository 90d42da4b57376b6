# SPDX-License-Identifier: Apache-2.0
"""Classes: matched by name, merged as told, the rest does not count."""

import pytest

from endoforge.errors import DataError, SettingsError
from endoforge.segmentation.classes import choose_classes
from endoforge.segmentation.settings import ABDOMEN_MERGES, SegmentationSettings
from endoforge.settings import validate

OLD = {0: "outside", 1: "liver", 2: "fat", 3: "ligament"}
NEW = {0: "outside", 1: "fat", 4: "liver", 7: "spleen"}
MERGE = {"outside": "ignore", "ligament": "fat"}


def test_classes_of_several_data_sets_are_matched_by_name():
    scheme = choose_classes([OLD, NEW], MERGE)
    assert scheme.names == ("liver", "fat", "spleen")
    old, new = scheme.table(OLD), scheme.table(NEW)
    assert old[[0, 1, 2, 3, 4, 255]].tolist() == [255, 0, 1, 1, 255, 255]
    assert new[[0, 1, 4, 7]].tolist() == [255, 1, 0, 2]


def test_what_is_not_wanted_does_not_count():
    scheme = choose_classes([OLD, NEW], MERGE, ["spleen", "liver"])
    assert scheme.names == ("spleen", "liver")
    assert scheme.table(OLD)[[1, 2, 3]].tolist() == [1, 255, 255]


def test_a_wanted_class_that_nobody_has_is_refused_with_those_there_are():
    with pytest.raises(DataError, match="'kidney'; after merging there are liver, fat, spleen"):
        choose_classes([OLD, NEW], MERGE, ["kidney", "liver"])


def test_one_class_alone_is_refused():
    with pytest.raises(DataError, match="expected 2 to 254 classes"):
        choose_classes([OLD], {name: "tissue" for name in OLD.values()})


def test_merges_do_not_chain():
    with pytest.raises(SettingsError, match="nothing may be merged into it"):
        validate(SegmentationSettings, {"merge": {"ligament": "fat", "fat": "wall"}})


def test_the_default_merges_name_classes_of_the_simulated_abdomen():
    from endoforge.scene.records import ABDOMEN_LABELS

    assert set(ABDOMEN_MERGES) <= set(ABDOMEN_LABELS.values())
    scheme = choose_classes([ABDOMEN_LABELS], ABDOMEN_MERGES)
    assert {"liver", "gallbladder", "instrument", "fat", "abdominal wall"} < set(scheme.names)
    assert "outside" not in scheme.names

# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.frames.labels import LabelMap, read_labels, write_labels

MAP = LabelMap({3: "polyp", 0: "outside", 1: "wall"})


def test_names_and_indices_are_inverse():
    assert list(MAP.names) == [0, 1, 3]
    assert all(MAP.index(MAP.name(index)) == index for index in MAP.names)
    assert MAP.name(255) == "ignore"


def test_a_map_survives_the_disk(tmp_path):
    write_labels(tmp_path / "labels.json", MAP)
    assert read_labels(tmp_path / "labels.json") == MAP


def test_labels_that_are_not_in_the_map_are_found():
    label = np.array([[0, 1, 2, 3, 4, 254, 255]], np.uint8)
    assert MAP.knows(label).tolist() == [[True, True, False, True, False, False, True]]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({255: "x"}, "0 to 254, got 255"),
        ({-1: "x"}, "got -1"),
        ({1: ""}, "class 1 must have a name"),
        ({1: "a", 2: "a"}, "names must differ"),
    ],
)
def test_an_impossible_map_is_refused(names, said):
    with pytest.raises(DataError, match=said):
        LabelMap(names)


def test_unknown_classes_are_refused_with_the_known_ones():
    with pytest.raises(DataError, match=r"no class 'fold'; known: outside, wall, polyp"):
        MAP.index("fold")
    with pytest.raises(DataError, match="no class 2"):
        MAP.name(2)


@pytest.mark.parametrize("text", ["[]", '{"a": "wall"}', '{"1": 5}', "{"])
def test_a_damaged_file_is_refused(tmp_path, text):
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(DataError):
        read_labels(tmp_path / "labels.json")

# SPDX-License-Identifier: Apache-2.0
"""Which class has which number. The map travels in dataset.json; 255 is never a class."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from endoforge.errors import DataError
from endoforge.frames.frame import IGNORE
from endoforge.frames.storage import read_json, write_json

#: Classes, by name, that are parts of one object; all others make objects of their own.
PARTS = (
    frozenset({"tool tip", "tool wrist", "tool shaft", "clip"}),  # a clip while it is held
    frozenset({"abdominal wall", "diaphragm"}),
    frozenset({"liver", "cystic plate"}),
)


@dataclass(frozen=True)
class LabelMap:
    """Class names by class index.

    Attributes:
        names: Names by index 0 to 254, in the order of the index.
    """

    names: Mapping[int, str]

    def __post_init__(self) -> None:
        for index, name in self.names.items():
            if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < IGNORE:
                raise DataError(f"a class index must be 0 to {IGNORE - 1}, got {index!r}")
            if not isinstance(name, str) or not name:
                raise DataError(f"class {index} must have a name, got {name!r}")
        if len(set(self.names.values())) != len(self.names):
            raise DataError(f"class names must differ, got {list(self.names.values())}")
        object.__setattr__(self, "names", dict(sorted(self.names.items())))

    def name(self, index: int) -> str:
        """Name of a class, ``"ignore"`` for 255.

        Raises:
            DataError: There is no such class.
        """
        if index == IGNORE:
            return "ignore"
        if index not in self.names:
            raise DataError(f"there is no class {index}; known: {dict(self.names)}")
        return self.names[index]

    def index(self, name: str) -> int:
        """Index of a class.

        Raises:
            DataError: There is no such class.
        """
        for index, known in self.names.items():
            if known == name:
                return index
        raise DataError(f"there is no class {name!r}; known: {', '.join(self.names.values())}")

    def may_share(self, indices: Collection[int]) -> bool:
        """Whether one object may have all these classes."""
        names = {self.names.get(index) for index in indices}
        return len(names) <= 1 or any(names <= parts for parts in PARTS)

    def knows(self, label: UInt8[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
        """True where a label is a class of this map or means ignore."""
        known = np.zeros(256, bool)
        known[[*self.names, IGNORE]] = True
        return np.asarray(known[label])


def read_labels(path: Path) -> LabelMap:
    """Read a label map from a JSON file ``{"0": "outside", …}``.

    Raises:
        DataError: The file is damaged or an entry is impossible.
    """
    values: Any = read_json(path)
    if not isinstance(values, dict) or not all(
        str(key).isdecimal() and isinstance(name, str) for key, name in values.items()
    ):
        raise DataError(f"{path} must map class indices to names, got {str(values)[:80]}")
    return LabelMap({int(key): name for key, name in values.items()})


def write_labels(path: Path, labels: LabelMap) -> None:
    """Write a label map that `read_labels` reads.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    write_json(path, {str(index): name for index, name in labels.names.items()})

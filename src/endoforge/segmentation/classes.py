# SPDX-License-Identifier: Apache-2.0
"""Which classes a network tells apart, and which of them each class of a data set counts as."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from endoforge.errors import DataError
from endoforge.frames.frame import IGNORE
from endoforge.segmentation.settings import IGNORED


@dataclass(frozen=True)
class ClassScheme:
    """The classes of a network in the order of its outputs.

    Attributes:
        names: By index, from 0.
        merge: What classes of data sets count as, by name.
    """

    names: tuple[str, ...]
    merge: Mapping[str, str]

    def table(self, labels: Mapping[int, str]) -> UInt8[np.ndarray, "256"]:
        """Return the index here of every class index of a data set; 255 where it does not count.

        Args:
            labels: Class names of the data set by index.
        """
        found = np.full(256, IGNORE, np.uint8)
        for index, name in labels.items():
            known = self.merge.get(name, name)
            if known in self.names:
                found[index] = self.names.index(known)
        return found


def choose_classes(
    labels: Sequence[Mapping[int, str]], merge: Mapping[str, str], wanted: Sequence[str] = ()
) -> ClassScheme:
    """Return the classes that some data sets know after merging, in the order of their indices.

    Args:
        labels: Class names by index, of each data set.
        merge: What classes count as.
        wanted: Keep only these, in this order; empty keeps all.

    Raises:
        DataError: A wanted class is in no data set, or fewer than two classes are left.
    """
    found = dict.fromkeys(
        merge.get(names[index], names[index]) for names in labels for index in sorted(names)
    )
    found.pop(IGNORED, None)
    if missing := [name for name in wanted if name not in found]:
        raise DataError(
            f"no data set has the class {missing[0]!r}; after merging there are {', '.join(found)}"
        )
    names = tuple(wanted or found)
    if not 2 <= len(names) < IGNORE:
        raise DataError(
            f"expected 2 to {IGNORE - 1} classes to tell apart, got {names}; change merge or "
            "classes"
        )
    return ClassScheme(names, dict(merge))

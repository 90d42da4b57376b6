# SPDX-License-Identifier: Apache-2.0
"""Motions of parts, joined, are the motion of the whole."""

from dataclasses import dataclass

import numpy as np
import pytest

from endoforge.errors import ShapeError
from endoforge.scene.motion import joined
from endoforge.scene.records import Motion


@dataclass(frozen=True, eq=False)
class Drift:
    """Every second vertex moves along x, a millimetre each frame."""

    rest_mm: np.ndarray

    @property
    def moving(self):
        return np.arange(len(self.rest_mm)) % 2 == 0

    def vertices_at(self, frame):
        return (self.rest_mm + self.moving[:, None] * np.array([frame, 0, 0])).astype(np.float32)


REST = np.arange(30, dtype=np.float32).reshape(10, 3)


def test_parts_move_and_the_rest_stays():
    motion = joined(REST, [(Drift(REST[2:6]), 2), (None, 6), (Drift(REST[7:]), 7)])
    assert isinstance(motion, Motion)
    now = motion.vertices_at(4)
    assert np.array_equal(now[2:6], Drift(REST[2:6]).vertices_at(4))
    assert np.array_equal(now[7:], Drift(REST[7:]).vertices_at(4))
    assert np.array_equal(now[[0, 1, 6]], REST[[0, 1, 6]])
    assert np.array_equal(motion.moving, (now != REST).any(axis=1))


def test_asking_again_gives_the_same():
    motion = joined(REST, [(Drift(REST), 0)])
    first = motion.vertices_at(-1)
    motion.vertices_at(5)[:] = 0
    assert np.array_equal(motion.vertices_at(-1), first)


def test_nothing_moving_is_no_motion():
    assert joined(REST, [(None, 0), (None, 4)]) is None


@pytest.mark.parametrize("first", [-1, 7, 1])
def test_parts_that_do_not_fit_are_refused(first):
    with pytest.raises(ShapeError, match="the surface has 10"):
        joined(REST, [(Drift(REST[:4]), 0), (Drift(REST[:4]), first)])

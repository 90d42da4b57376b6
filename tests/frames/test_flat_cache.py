# SPDX-License-Identifier: Apache-2.0
"""Splits without leaks, fingerprints that follow the data; the cache itself: tests of its users."""

import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.frames.flat_cache import data_fingerprint, split_frames
from frames.analytic import write_analytic_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_analytic_dataset(tmp_path_factory.mktemp("data"), sequences=3, frames=4)


def test_the_fingerprint_follows_the_shards(folder, tmp_path):
    other = write_analytic_dataset(tmp_path, sequences=3, frames=3)
    assert data_fingerprint([folder]) == data_fingerprint([folder])
    assert data_fingerprint([folder]) != data_fingerprint([other])
    assert data_fingerprint([folder, other]) != data_fingerprint([other, folder])


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.99])
def test_whole_sequences_are_held_out(share):
    sequence = np.repeat(np.arange(10), 7)
    split = split_frames(sequence, share, seed=0)
    trained, held = (set(sequence[part]) for part in (split.training, split.validation))
    assert not trained & held
    assert trained | held == set(range(10))
    assert len(held) == min(9, max(1, round(share * 10)))


def test_one_sequence_alone_is_trained_on():
    split = split_frames(np.zeros(5, np.int64), 0.1, seed=0)
    assert (len(split.training), len(split.validation)) == (5, 0)


def test_no_frames_are_refused():
    with pytest.raises(DataError, match="got none"):
        split_frames(np.zeros(0, np.int64), 0.1, seed=0)

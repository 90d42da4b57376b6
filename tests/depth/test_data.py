# SPDX-License-Identifier: Apache-2.0
"""Decoded training frames: masks, a cache that is whole or gone."""

from contextlib import closing

import numpy as np
import pytest

from endoforge.depth.data import load_frames
from endoforge.errors import DataError, StorageError
from endoforge.frames import flat_cache
from endoforge.frames.dataset import Dataset
from frames.analytic import write_analytic_dataset


def silent(done, total):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_analytic_dataset(tmp_path_factory.mktemp("data"), sequences=3, frames=4)


def test_at_their_own_size_frames_come_as_they_are(folder, tmp_path):
    frames = load_frames([folder], (64, 48), tmp_path, silent)
    assert len(frames) == 12
    with closing(Dataset.open(folder)) as dataset:
        frame = dataset.frame(5)
    assert np.array_equal(frames.image[5], frame.image.transpose(2, 0, 1))
    assert np.array_equal(frames.depth_mm[5, 0] > 0, frame.valid)
    ratio = frames.depth_mm[5, 0][frame.valid] / frame.depth_mm[frame.valid]
    assert np.abs(ratio - 1).max() < 6e-4
    assert len(np.unique(frames.sequence)) == 3


def test_two_data_sets_keep_their_sequences_apart(folder, tmp_path):
    frames = load_frames([folder, folder], (32, 16), tmp_path, silent)
    assert frames.image.shape == (24, 3, 16, 32)
    assert len(np.unique(frames.sequence)) == 6


def test_decoding_happens_once(folder, tmp_path):
    calls = []
    load_frames([folder], (32, 16), tmp_path, lambda done, total: calls.append(done))
    again = load_frames([folder], (32, 16), tmp_path, lambda done, total: calls.append(done))
    assert calls == list(range(1, 13))
    assert len(again) == 12


def test_an_interrupted_cache_is_made_anew(folder, tmp_path):
    class StoppedError(Exception):
        pass

    def stop(done, total):
        if done == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        load_frames([folder], (32, 16), tmp_path / "cut", stop)
    whole = load_frames([folder], (32, 16), tmp_path / "whole", silent)
    mended = load_frames([folder], (32, 16), tmp_path / "cut", silent)
    assert np.array_equal(mended.image, whole.image)
    assert np.array_equal(mended.depth_mm, whole.depth_mm)


def test_a_shard_with_one_changed_byte_is_refused_by_name(tmp_path):
    damaged = write_analytic_dataset(tmp_path / "data", sequences=1, frames=2)
    shard = next(damaged.glob("*.tar"))
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=shard.name):
        load_frames([damaged], (32, 16), tmp_path / "cache", silent)


def test_a_disk_too_small_for_the_cache_is_said_before_decoding(folder, tmp_path, monkeypatch):
    full = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(flat_cache.shutil, "disk_usage", lambda path: full)
    with pytest.raises(StorageError, match="free some space"):
        load_frames([folder], (32, 16), tmp_path, silent)

# SPDX-License-Identifier: Apache-2.0
"""Sealed folders: what is read is what was written, or it is refused; a kill never loses both."""

import hashlib
import os
import pickle
import random

import pytest
import torch

from endoforge.errors import CheckpointError, StorageError
from endoforge.training import sealed
from endoforge.training.sealed import (
    is_intact,
    read_sealed,
    remove_unfinished,
    update_content,
    write_sealed,
)

TENSORS = {"weight": torch.arange(12.0).reshape(3, 4), "count": torch.tensor(7)}
CONTENT = {"kind": "toy", "format_version": 2, "step": 5, "name": "größer", "rate": 0.1}


@pytest.fixture
def folder(tmp_path):
    target = tmp_path / "one"
    write_sealed(target, "state", TENSORS, CONTENT)
    return target


def read(folder):
    return read_sealed(folder, "state", "toy", 2)


def test_what_is_read_is_what_was_written(folder):
    tensors, content = read(folder)
    assert content == CONTENT
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[key], TENSORS[key]) for key in TENSORS)


def test_tensors_in_any_memory_format_keep_their_values(tmp_path):
    kernel = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    write_sealed(tmp_path / "one", "state", {"kernel": kernel}, CONTENT)
    assert torch.equal(read(tmp_path / "one")[0]["kernel"], kernel)


def test_one_thousand_changed_bytes_are_all_refused(folder):
    rng = random.Random(0)
    for _ in range(1000):
        path = folder / rng.choice(["state.json", "state.safetensors"])
        good = path.read_bytes()
        place = rng.randrange(len(good))
        changed = good[place] ^ (1 << rng.randrange(8))
        path.write_bytes(good[:place] + bytes([changed]) + good[place + 1 :])
        assert not is_intact(folder, "state")
        path.write_bytes(good)
    assert is_intact(folder, "state")


@pytest.mark.parametrize("name", ["state.json", "state.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_cut_file_is_refused_by_name(folder, name, share):
    path = folder / name
    good = path.read_bytes()
    path.write_bytes(good[: int(share * len(good))])
    with pytest.raises(CheckpointError, match=name):
        read(folder)


@pytest.mark.parametrize("name", ["state.json", "state.safetensors"])
def test_a_missing_file_is_refused_by_name(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        read(folder)


def test_another_kind_is_refused(folder):
    with pytest.raises(CheckpointError, match="holds 'toy' but 'model' was expected"):
        read_sealed(folder, "state", "model", 2)


def test_a_newer_version_is_refused(folder):
    with pytest.raises(CheckpointError, match="format version 2 but this program knows up to 1"):
        read_sealed(folder, "state", "toy", 1)


def test_a_sealed_pickle_is_refused_and_never_run(tmp_path, folder):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    data = pickle.dumps(Trap())
    (folder / "state.safetensors").write_bytes(data)
    text = sealed._sealed_text(CONTENT, hashlib.sha256(data).hexdigest())
    (folder / "state.json").write_bytes(text)
    with pytest.raises(CheckpointError, match="not valid"):
        read(folder)
    assert not (tmp_path / "sprung").exists()


def test_a_card_can_be_completed_and_stays_sealed(folder):
    update_content(folder, "state", {"figures": {"abs_rel": 0.1}, "step": 6})
    tensors, content = read(folder)
    assert content == CONTENT | {"figures": {"abs_rel": 0.1}, "step": 6}
    assert torch.equal(tensors["weight"], TENSORS["weight"])


def test_a_stop_at_any_point_of_saving_leaves_a_whole_folder(tmp_path, monkeypatch):
    """Raise at the n-th call that touches the disk, for each n until a save gets through."""

    class StoppedError(BaseException):
        pass

    survived = 0
    for stop_at in range(1, 200):
        root = tmp_path / str(stop_at)
        write_sealed(root / "step-1", "state", TENSORS, CONTENT)
        calls = [0]

        def counting(real, calls=calls, stop_at=stop_at):
            def call(*arguments, **named):
                calls[0] += 1
                if calls[0] == stop_at:
                    raise StoppedError
                return real(*arguments, **named)

            return call

        with monkeypatch.context() as patch:
            for name in ("replace", "fsync", "open"):
                patch.setattr(os, name, counting(getattr(os, name)))
            try:
                write_sealed(root / "step-2", "state", TENSORS, CONTENT | {"step": 6})
            except StoppedError:
                survived += 1
            else:
                break
        remove_unfinished(root)
        assert is_intact(root / "step-1", "state")
        assert not (root / "step-2").exists() or is_intact(root / "step-2", "state")
        assert {path.name for path in root.iterdir()} <= {"step-1", "step-2"}
    assert survived >= 5
    assert calls[0] < stop_at


def test_a_full_disk_is_one_sentence_and_keeps_what_was_there(folder, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="free some space"):
        write_sealed(folder, "state", TENSORS, CONTENT | {"step": 6})
    assert read(folder)[1]["step"] == 5

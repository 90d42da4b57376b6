# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from endoforge.errors import DataError
from endoforge.frames.journal import (
    JOURNAL,
    append_record,
    journal_faults,
    read_journal,
    reconcile,
)
from endoforge.frames.shards import ShardRecord, shard_name, write_shard
from frames.analytic import analytic_camera, analytic_frames
from frames.faults import dies_at

CAMERA = analytic_camera(8, 6)


def make(folder: Path, sequence: int) -> ShardRecord:
    record = write_shard(folder / shard_name(sequence), analytic_frames(sequence, 2, CAMERA))
    append_record(folder, record)
    return record


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for sequence in range(3):
        make(folder, sequence)
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    return shutil.copytree(made, tmp_path / "data")


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_lines_are_plain_json_of_the_record(folder):
    lines = (folder / JOURNAL).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [asdict(r) for r in read_journal(folder)]


def test_an_empty_folder_has_no_records(tmp_path):
    assert read_journal(tmp_path) == []
    assert reconcile(tmp_path / "new") == []


def test_a_clean_folder_is_left_alone(folder, made):
    assert reconcile(folder) == read_journal(made)
    assert contents(folder) == contents(made)


def test_double_lines_count_once(folder, made):
    append_record(folder, read_journal(made)[1])
    assert read_journal(folder) == read_journal(made)
    assert reconcile(folder) == read_journal(made)
    assert journal_faults(folder) == []


@pytest.mark.parametrize("length", [1, 20, 100, 140])
def test_a_cut_last_line_is_passed_over_and_mended(folder, made, length):
    journal = folder / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-length])
    assert len(read_journal(folder)) == (3 if length == 1 else 2)
    assert reconcile(folder) == read_journal(made)
    assert journal_faults(folder) == []
    make(folder, 3)
    assert [r.sequence for r in read_journal(folder)] == [0, 1, 2, 3]


def test_a_whole_shard_without_a_line_gets_one(folder, made):
    (folder / JOURNAL).unlink()
    assert reconcile(folder) == read_journal(made) == read_journal(folder)


def test_a_line_without_its_shard_is_dropped(folder):
    (folder / shard_name(1)).unlink()
    assert [r.sequence for r in reconcile(folder)] == [0, 2]
    assert [r.sequence for r in read_journal(folder)] == [0, 2]


@pytest.mark.parametrize("listed", [True, False])
def test_a_changed_shard_is_removed_to_be_made_again(folder, listed):
    path = folder / shard_name(1)
    content = bytearray(path.read_bytes())
    content[700] ^= 1
    path.write_bytes(content)
    if not listed:
        (folder / JOURNAL).unlink()
    assert [r.sequence for r in reconcile(folder)] == [0, 2]
    assert not path.exists()


def test_unfinished_files_are_removed(folder):
    stray = folder / f".{shard_name(5)}.tmp-999999999-00000000-00000000"
    stray.write_text("half")
    os.utime(stray, (0, 0))
    reconcile(folder)
    assert not stray.exists()


def test_of_two_lines_the_one_that_fits_the_shard_is_kept(folder, made):
    record = read_journal(made)[1]
    append_record(folder, ShardRecord(1, record.shard, 2, record.bytes, "0" * 64))
    assert journal_faults(folder) == ["sequence 1 has two lines that differ"]
    assert reconcile(folder) == read_journal(made)
    assert journal_faults(folder) == []


def test_a_line_of_another_process_during_the_repair_is_kept(folder, monkeypatch):
    """While this process verifies, another one finishes sequence 3."""
    from endoforge.frames import journal

    (folder / shard_name(1)).unlink()
    real = journal.sha256_of

    def slow(path):
        if path.name == shard_name(2):
            make(folder, 3)
        return real(path)

    monkeypatch.setattr(journal, "sha256_of", slow)
    reconcile(folder)
    assert [r.sequence for r in read_journal(folder)] == [0, 2, 3]


@pytest.mark.parametrize(
    "values",
    [
        [],
        {"sequence": 0},
        {"sequence": 0, "shard": "../evil.tar", "frames": 1, "bytes": 1, "sha256": ""},
        {"sequence": 0, "shard": "/etc/passwd", "frames": 1, "bytes": 1, "sha256": ""},
        {"sequence": 0, "shard": shard_name(1), "frames": 1, "bytes": 1, "sha256": ""},
        {"sequence": 0, "shard": shard_name(0), "frames": -1, "bytes": 1, "sha256": ""},
        {"sequence": 0, "shard": shard_name(0), "frames": 1.5, "bytes": 1, "sha256": ""},
        {"sequence": True, "shard": shard_name(1), "frames": 1, "bytes": 1, "sha256": ""},
    ],
)
def test_an_impossible_line_is_refused_by_readers_and_mended_by_reconcile(folder, made, values):
    with (folder / JOURNAL).open("a") as file:
        file.write(json.dumps(values) + "\n")
    with pytest.raises(DataError, match=r"journal\.jsonl line 4"):
        read_journal(folder)
    assert reconcile(folder) == read_journal(made)


def test_a_kill_at_any_step_loses_and_repeats_nothing(tmp_path):
    """Die at the n-th step of making three shards, go on, compare with an unbroken run."""
    whole = tmp_path / "whole"
    whole.mkdir()
    for sequence in range(3):
        make(whole, sequence)
    folder = tmp_path / "broken"

    def go_on():
        finished = {r.sequence for r in reconcile(folder)}
        for sequence in set(range(3)) - finished:
            make(folder, sequence)

    kills = 0
    for call in range(40):
        shutil.rmtree(folder, ignore_errors=True)
        if not dies_at(call, go_on):
            break
        kills += 1
        dies_at(3, go_on)  # and once more on the way back
        go_on()
        assert contents(folder).keys() == contents(whole).keys()
        assert read_journal(folder) == read_journal(whole)
        assert journal_faults(folder) == []
        assert all(
            contents(folder)[shard_name(s)] == contents(whole)[shard_name(s)] for s in (0, 1, 2)
        )
    assert kills >= 12

# SPDX-License-Identifier: Apache-2.0
import errno
import hashlib
import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endoforge.errors import DataError, StorageError
from endoforge.frames import storage
from endoforge.frames.storage import folder_atomically, sha256_of, sha256_of_all
from frames.faults import dies_at, fill, small_disk


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# ---- whole or not at all -------------------------------------------------------------------------


def test_what_is_written_is_read_back_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new folder é" / "file.bin"
    storage.write_atomically(path, b"content")
    assert path.read_bytes() == b"content"
    assert names(path.parent) == ["file.bin"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    storage.write_atomically(path, b"old")

    def broken(file):
        file.write(b"half of the n")
        raise RuntimeError("renderer died")

    with pytest.raises(RuntimeError, match="renderer died"):
        storage.write_atomically(path, broken)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_an_error_of_the_writer_about_another_file_is_not_blamed_on_the_disk(tmp_path):
    with pytest.raises(FileNotFoundError):
        storage.write_atomically(tmp_path / "a", lambda _: (tmp_path / "no input").stat())


def test_a_kill_at_any_step_leaves_the_old_or_the_new_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen = set()
    for call in range(10):
        if not dies_at(call, lambda: storage.write_atomically(path, b"new")):
            break
        seen.add(path.read_bytes())
        storage.remove_strays(tmp_path)
        assert names(tmp_path) == ["file"]
    assert seen == {b"old", b"new"}
    assert path.read_bytes() == b"new"


def test_a_full_disk_is_one_sentence_and_leaves_no_broken_file(tmp_path):
    with small_disk(tmp_path / "disk", 64) as disk:
        storage.write_atomically(disk / "file", b"old" * 1000)
        ballast = fill(disk)
        with pytest.raises(StorageError, match=r"cannot write .*file: No space left.*free some"):
            storage.write_atomically(disk / "file", b"new" * 20_000)
        assert (disk / "file").read_bytes() == b"old" * 1000
        assert names(disk) == ["ballast", "file"]
        ballast.unlink()
        storage.write_atomically(disk / "file", b"new" * 10_000)
        assert (disk / "file").read_bytes() == b"new" * 10_000


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_late_is_reported_and_cleaned(tmp_path, monkeypatch, step, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(StorageError, match=os.strerror(code)) as caught:
        storage.write_atomically(tmp_path / "file", b"x")
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="choose another folder"):
        storage.write_atomically(tmp_path / "file" / "deep" / "name", b"x")


def test_a_read_only_disk_is_refused(tmp_path):
    with small_disk(tmp_path / "disk", 64, "ro") as disk:
        with pytest.raises(StorageError, match="read-only"):
            storage.write_atomically(disk / "file", b"x")
        with pytest.raises(StorageError, match="read-only"):
            storage.append_line(disk / "journal", "x")


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "a"))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match="Permission denied; choose a folder that you may"):
        storage.write_atomically(tmp_path / "a" / "b", b"x")


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(StorageError, match="choose a shorter name"):
        storage.write_atomically(tmp_path / ("x" * 260), b"x")


# ---- lines ---------------------------------------------------------------------------------------


def test_lines_of_many_threads_do_not_mix(tmp_path):
    path = tmp_path / "lines"

    def add(writer: int) -> None:
        for number in range(20):
            storage.append_line(path, f"{writer}:{number}:" + "x" * 500)

    threads = [threading.Thread(target=add, args=(w,)) for w in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = list(filter(None, path.read_text().splitlines()))  # an empty line may come between
    assert sorted(lines) == sorted(f"{w}:{n}:" + "x" * 500 for w in range(4) for n in range(20))


def test_a_cut_line_stays_a_line_of_its_own(tmp_path):
    path = tmp_path / "lines"
    path.write_text("whole\nhal")
    storage.append_line(path, "next")
    assert path.read_text() == "whole\nhal\nnext\n"


def test_a_line_that_the_disk_cuts_is_an_error(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
    with pytest.raises(StorageError, match="No space left"):
        storage.append_line(tmp_path / "lines", "0123456789")


def test_a_text_of_two_lines_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected one line.*got 2"):
        storage.append_line(tmp_path / "lines", "a\nb")


# ---- strays --------------------------------------------------------------------------------------


def test_only_unfinished_files_without_an_owner_are_removed(tmp_path):
    host = storage._host()
    dead = "999999999"
    ours = tmp_path / f".shard.tar.tmp-{dead}-{host}-00000000"
    living = tmp_path / f".shard.tar.tmp-{os.getppid()}-{host}-00000000"
    elsewhere = tmp_path / f".shard.tar.tmp-{dead}-00000000-00000000"
    old = tmp_path / f".old.tmp-{dead}-00000000-00000000"
    other = [tmp_path / ".hidden", tmp_path / ".mine.tmp-x", tmp_path / "shard.tar"]
    for path in (ours, living, elsewhere, old, *other):
        path.write_text("x")
    past = time.time() - 2 * storage.FORGOTTEN_AFTER_S
    os.utime(old, (past, past))
    assert storage.remove_strays(tmp_path) == [old.name, ours.name]
    assert len(names(tmp_path)) == 5


# ---- reading -------------------------------------------------------------------------------------


@given(content=st.binary(max_size=3000))
def test_the_hash_is_sha256(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("hash") / "file"
    path.write_bytes(content)
    assert storage.sha256_of(path) == hashlib.sha256(content).hexdigest()


def test_a_missing_file_is_named(tmp_path):
    for read in (storage.sha256_of, storage.read_json):
        with pytest.raises(DataError, match=r"cannot read .*gone: No such file"):
            read(tmp_path / "gone")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(value=plain)
def test_plain_values_survive_json_exactly(value):
    assert storage.parse_json(storage.to_json(value).encode(), "x") == value
    assert json.loads(storage.to_json(value, indent=2)) == value


def test_json_does_not_depend_on_the_order_of_keys(tmp_path):
    storage.write_json(tmp_path / "a", {"x": 1, "y": 2})
    storage.write_json(tmp_path / "b", {"y": 2, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b"\xff\xfe",
        b"[" * 5000 + b"]" * 5000,
        b"[" * 100_000,
        b"[" * 60 + b"]" * 60,
        b"1" * 5000,
        b'{"a": 1} x',
    ],
    ids=["empty", "cut", "nan", "binary", "deep", "open", "sixty", "long number", "more"],
)
def test_bad_json_is_one_sentence_within_a_second(tmp_path, content):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    started = time.monotonic()
    with pytest.raises(DataError, match=r"bad\.json") as caught:
        storage.read_json(path)
    assert time.monotonic() - started < 1
    assert len(str(caught.value).splitlines()) == 1


def test_a_giant_json_file_is_refused_unread(tmp_path):
    (tmp_path / "big.json").write_bytes(b" " * 2000)
    with pytest.raises(DataError, match="larger than the 1000 bytes"):
        storage.read_json(tmp_path / "big.json", limit_bytes=1000)


# ---- folders -------------------------------------------------------------------------------------


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    with folder_atomically(tmp_path / "a" / "new") as folder:
        (folder / "x").write_text("x")
        assert not (tmp_path / "a" / "new").exists()
    assert (tmp_path / "a" / "new" / "x").read_text() == "x"
    with pytest.raises(ZeroDivisionError), folder_atomically(tmp_path / "a" / "other") as folder:
        (folder / "x").write_text(str(1 / 0))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"]


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("mine")
    for place in (tmp_path / "a", tmp_path / "a" / "mine"):
        with pytest.raises(DataError, match="new or an empty folder"), folder_atomically(place):
            raise AssertionError("the block must not run")


def test_unfinished_folders_of_the_dead_are_removed_and_those_of_the_living_kept(tmp_path):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    host = storage._host()
    dead = tmp_path / f".out.tmp-{child}-{host}-00000000"
    alive = tmp_path / f".out.tmp-{os.getppid()}-{host}-00000000"
    for stray in (dead, alive):
        (stray / "deep").mkdir(parents=True)
    with folder_atomically(tmp_path / "out"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [alive.name, "out"]


def test_a_full_disk_leaves_no_half_folder(tmp_path):
    def fill_folder(path: Path) -> None:
        with folder_atomically(path) as folder:
            for number in range(100):
                (folder / str(number)).write_bytes(bytes(50_000))

    with small_disk(tmp_path / "disk", 256) as disk:
        with pytest.raises(StorageError, match="No space left"):
            fill_folder(disk / "out")
        assert list(disk.iterdir()) == []


def test_a_folder_s_hash_is_that_of_its_names_and_contents(tmp_path):
    def hash_of(**contents):
        folder = tmp_path / "folder"
        shutil.rmtree(folder, ignore_errors=True)
        for name, text in contents.items():
            file = folder / name.replace("_", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return sha256_of_all(folder)

    first = hash_of(a="1", b_c="2")
    assert hash_of(b_c="2", a="1", **{".hidden": "3", ".index_d": "4"}) == first
    others = [{"a": "1"}, {"a": "2", "b_c": "1"}, {"a": "1", "c": "2"}, {"a": "1", "b_c": "2!"}]
    assert len({first, *(hash_of(**contents) for contents in others)}) == 5
    assert sha256_of_all(tmp_path / "folder" / "a") == sha256_of(tmp_path / "folder" / "a")

# SPDX-License-Identifier: Apache-2.0
import gzip
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from endoforge.errors import DataError, SceneError
from endoforge.frames.foreign import (
    NIFTI,
    NIFTI_GZ,
    OBJ,
    PLY,
    STL,
    Limits,
    check_declared_size,
    kind_of_file,
    parse_in_child,
)
from frames import parsers

TIGHT = Limits(memory_bytes=2_000_000_000, result_bytes=10_000_000, cpu_s=1, wall_s=20.0)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "strange mesh é.bin"
    path.write_bytes(bytes(range(6)))
    return path


# ---- parsing in a child --------------------------------------------------------------------------


def test_arrays_and_plain_values_come_back(file):
    result = parse_in_child(parsers.behaves, file, arguments=[3])
    np.testing.assert_array_equal(result["values"], [[0, 1], [2, 3], [4, 5]])
    assert result["values"].dtype == np.uint8
    assert result["nothing"].shape == (0, 3)
    assert result["number"] == 2.5
    assert (result["name"], result["list"]) == (file.name, [1, "a", None])


def test_a_child_costs_less_than_a_second(file):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    parse_in_child(parsers.behaves, file)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


@pytest.mark.parametrize(
    ("parser", "said"),
    [
        (parsers.eats_memory, "more memory"),
        (parsers.loops, "stopped after 1 s of processor time"),
        (parsers.crashes, "crashed.*SIGABRT"),
        (parsers.leaves, "ended with code 5"),
        (parsers.exits, "SystemExit"),
        (parsers.stumbles, "KeyError"),
        (parsers.returns_too_much, "larger than its parser may hand back"),
        (parsers.returns_objects, "TypeError"),
        (parsers.returns_a_set, "TypeError"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_parser_that_misbehaves_becomes_one_sentence_that_names_the_file(file, parser, said):
    with pytest.raises(DataError, match=said) as caught:
        parse_in_child(parser, file, TIGHT)
    assert file.name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_parser_that_waits_is_ended(file):
    started = time.monotonic()
    with pytest.raises(DataError, match=r"bin could not be read within 1 s"):
        parse_in_child(parsers.sleeps, file, replace(TIGHT, wall_s=1.0))
    assert time.monotonic() - started < 15


def test_an_error_of_our_family_keeps_its_class_and_gains_the_file(file):
    with pytest.raises(SceneError, match=r"strange mesh é\.bin: two lumens; keep one"):
        parse_in_child(parsers.says_why, file)


def test_what_a_parser_prints_does_not_reach_the_answer_or_us(file, capfd):
    assert parse_in_child(parsers.talks, file) == {"answer": 42}
    assert capfd.readouterr() == ("", "")


def test_a_parser_that_cannot_be_imported_is_an_error(file):
    def inside(path):
        return {}

    with pytest.raises(DataError, match="AttributeError"):
        parse_in_child(inside, file)


def test_children_of_the_child_end_with_it(file):
    for wall_s in (1.0, 4.0, 16.0):  # a busy machine may not come to the second process sooner
        with pytest.raises(DataError, match="within"):
            parse_in_child(parsers.spawns_a_survivor, file, replace(TIGHT, wall_s=wall_s))
        if file.with_suffix(".pid").exists():
            break
    pid = int(file.with_suffix(".pid").read_text())
    until = time.monotonic() + 20
    while _is_alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


# ---- the door ------------------------------------------------------------------------------------

KINDS = (NIFTI, NIFTI_GZ, STL, OBJ, PLY)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.nii.gz", gzip.compress(b"x" * 400, mtime=0), NIFTI_GZ),
        ("A.NII", b"\0" * 344 + b"n+1\0" + b"\0" * 9, NIFTI),
        ("a.stl", b"solid", STL),
        ("a.obj", b"v 0 0 0", OBJ),
        ("a.ply", b"ply\nformat ascii 1.0", PLY),
    ],
)
def test_a_file_is_known_by_its_name_and_first_bytes(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    assert kind_of_file(tmp_path / name, KINDS) is kind


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.doc", b"x", "expected a name ending in .nii, .nii.gz, .stl, .obj, .ply"),
        ("a.nii.gz", b"not packed", "not a packed NIfTI.*b'not pack'"),
        ("a.nii", b"\x1f\x8b", "not a NIfTI"),
        ("a.ply", b"plyx", "not a PLY"),
        ("a.stl", b"", "is empty"),
        ("a.obj", b"x" * 2000, "has 2000 bytes; at most 1000"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        kind_of_file(tmp_path / name, KINDS, Limits(file_bytes=1000))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    (tmp_path / "folder.stl").mkdir()
    for name in ("gone.stl", "folder.stl"):
        with pytest.raises(DataError, match=f"cannot read .*{name}"):
            kind_of_file(tmp_path / name, KINDS)


def test_a_header_that_promises_more_than_the_file_holds_is_refused(tmp_path):
    path = tmp_path / "volume"
    path.write_bytes(b"x" * 100)
    check_declared_size(path, 100)
    check_declared_size(path, 100_000, packed=True)
    for declared, packed in ((101, False), (0, False), (-5, False), (27 * 10**12, True)):
        with pytest.raises(DataError, match=f"claims {declared} bytes"):
            check_declared_size(path, declared, packed)

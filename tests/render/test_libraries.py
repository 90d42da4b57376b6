# SPDX-License-Identifier: Apache-2.0
"""Libraries are found where apt or our script puts them, and dangerous versions are passed over."""

import os
import sys
from pathlib import Path

import pytest

from endoforge.render import libraries


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("libLLVM-19.so", 19),
        ("libLLVM-19.so.1", 19),
        ("libLLVM.so.19.1", 19),
        ("libLLVM-14.0.6.so.1", 14),
        ("libLLVM-17.so.1", 17),
        ("libLLVM.so", None),
        ("libLLVM-C.so", None),
        ("libz3.so.4", None),
    ],
)
def test_versions_are_read_from_names(name, version):
    assert libraries.llvm_version_of(Path("/usr/lib") / name) == version


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_versions_that_abort_are_never_found(tmp_path):
    put(tmp_path, "libLLVM-14.so.1", "libLLVM-15.so.1", "libLLVM-16.so.1")
    assert libraries.find_llvm([tmp_path]) is None


def test_the_tested_version_wins_over_newer_and_older_ones(tmp_path):
    put(tmp_path, "libLLVM-15.so.1", "libLLVM-17.so.1", "libLLVM.so.19.1", "libLLVM.so.21.1")
    assert libraries.find_llvm([tmp_path]) == tmp_path / "libLLVM.so.19.1"


def test_the_first_folder_with_a_usable_version_wins(tmp_path):
    old, good = put(tmp_path / "a", "libLLVM-16.so.1"), put(tmp_path / "b", "libLLVM-18.so.1")
    later = put(tmp_path / "c", "libLLVM.so.19.1")
    assert libraries.find_llvm([old, tmp_path / "none", good, later]) == good / "libLLVM-18.so.1"


def test_libraries_unpacked_into_the_environment_are_taken_first(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.delenv("DRJIT_LIBLLVM_PATH", raising=False)
    inside = put(tmp_path / "endoforge-libs" / "usr" / "lib", "libLLVM.so.19.1", "broken.so.1")
    libraries.prepare_libraries()
    assert os.environ["DRJIT_LIBLLVM_PATH"] == str(inside / "libLLVM.so.19.1")


def test_a_path_that_the_user_set_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("DRJIT_LIBLLVM_PATH", "/elsewhere/libLLVM.so")
    libraries.prepare_libraries()
    assert os.environ["DRJIT_LIBLLVM_PATH"] == "/elsewhere/libLLVM.so"

# SPDX-License-Identifier: Apache-2.0
"""Ways to break a disk or a process on purpose, shared by the tests of this room."""

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kilobytes: int, options: str = "rw") -> Iterator[Path]:
    """A disk of its own of a given size; skips the test where it cannot be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,{options}", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted here (needs root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Fill a disk to the last byte; removing the returned file frees it."""
    ballast = folder / "ballast"
    size = os.statvfs(folder)
    with open(ballast, "wb", buffering=0) as file:
        file.write(bytes(size.f_bavail * size.f_bsize))
    assert os.statvfs(folder).f_bavail == 0
    return ballast


def dies_at(call: int, work: Callable[[], object]) -> bool:
    """Run work in a forked process that dies at its n-th step on the disk; True if it died.

    Steps are calls of fsync, rename, and write of the journal, each counted before it happens.
    """
    child = os.fork()
    if child == 0:
        steps = itertools.count()
        for name in ("fsync", "replace", "write"):
            setattr(os, name, _deadly(getattr(os, name), steps, call))
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 77)
    return code == 77


def _deadly(real, steps, call):
    def counted(*arguments):
        if next(steps) == call:
            os._exit(77)
        return real(*arguments)

    return counted

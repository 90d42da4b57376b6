# SPDX-License-Identifier: Apache-2.0
"""Parsers that behave and parsers that do not, for the tests of `frames.foreign`."""

import os
import sys
import time
from pathlib import Path

import numpy as np

from endoforge.errors import SceneError


def behaves(path: Path, rows: int = 2) -> dict:
    values = np.frombuffer(path.read_bytes(), np.uint8)
    return {
        "values": values.reshape(rows, -1),
        "nothing": np.zeros((0, 3), np.float32),
        "number": np.float64(2.5),
        "name": path.name,
        "list": [1, "a", None],
    }


def eats_memory(path: Path) -> dict:
    return {"values": np.ones(10**10)}


def loops(path: Path) -> dict:
    while True:
        pass


def sleeps(path: Path) -> dict:
    time.sleep(60)
    return {}


def crashes(path: Path) -> dict:
    os.abort()


def leaves(path: Path) -> dict:
    os._exit(5)


def exits(path: Path) -> dict:
    raise SystemExit(0)


def stumbles(path: Path) -> dict:
    raise KeyError("no\nsuch thing")


def says_why(path: Path) -> dict:
    raise SceneError("two lumens; keep one")


def talks(path: Path) -> dict:
    sys.stdout.write("hello\n")
    os.write(1, b"garbage\n")
    os.write(2, b"warning\n" * 100_000)
    return {"answer": 42}


def returns_too_much(path: Path) -> dict:
    return {"values": np.zeros(10**7)}


def returns_objects(path: Path) -> dict:
    return {"values": np.array([object()])}


def returns_a_set(path: Path) -> dict:
    return {"values": {1, 2}}


def spawns_a_survivor(path: Path) -> dict:
    child = os.fork()
    if child > 0:
        path.with_suffix(".pid").write_text(str(child))
    time.sleep(60)
    return {}

# SPDX-License-Identifier: Apache-2.0
"""The rooms are those of the architecture, and imports go downwards only."""

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "src" / "endoforge"
ROOMS = sorted(path.parent for path in PACKAGE.rglob("*/__init__.py"))
DATA_ROOMS = {"recipes", "weights"}


def _layers() -> list[str]:
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return [name.strip() for layer in contracts[0]["layers"] for name in layer.split("|")]


def test_imports_go_downwards_only():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_has_its_layer():
    rooms = {
        f"endoforge.{path.name}" for path in PACKAGE.iterdir() if (path / "__init__.py").exists()
    }
    files = {f"endoforge.{path.stem}" for path in PACKAGE.glob("*.py")} - {"endoforge.__init__"}
    data = {f"endoforge.{name}" for name in DATA_ROOMS}
    assert rooms | files == set(_layers()) | data


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.name)
def test_no_room_is_empty(room):
    if room.name in DATA_ROOMS:
        assert [path for path in room.rglob("*") if path.suffix in {".yaml", ".safetensors"}]
    else:
        assert [path for path in room.glob("*.py") if path.name != "__init__.py"]


def test_data_rooms_hold_no_code():
    for name in DATA_ROOMS:
        assert [path.name for path in (PACKAGE / name).rglob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("name", _layers())
def test_every_layer_can_be_imported(name):
    importlib.import_module(name)


def test_every_library_that_is_imported_is_declared():
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = project.get("optional-dependencies", {}).values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    declared = {_plain(re.split(r"[^\w.-]", line)[0]) for line in lines}
    providers = importlib.metadata.packages_distributions()
    roots = {
        name.partition(".")[0]
        for path in PACKAGE.rglob("*.py")
        for name in _imported_from(path)
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "endoforge"}
    }
    missing = {
        root
        for root in roots
        if not {_plain(root), *(_plain(p) for p in providers.get(root, []))} & declared
    }
    assert missing == set()


def _plain(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported_from(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module

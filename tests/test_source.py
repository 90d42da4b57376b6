# SPDX-License-Identifier: Apache-2.0
"""Rules about the source text that no other tool checks."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "src" / "endoforge"
SOURCES = sorted(PACKAGE.rglob("*.py"))
ALL_PYTHON = [
    path
    for folder in ("src", "tests", "benchmarks", "scripts", "examples")
    for path in sorted((REPOSITORY / folder).rglob("*.py"))
]

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "torchvision"}
FORBIDDEN_CALLS = {"eval", "exec", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "torch.load",
    "torch.save",
    "os.system",
    "os.popen",
}
FORBIDDEN_METHODS = {"extractall", "extract"}
FORBIDDEN_ARGUMENTS = {("shell", True), ("weights_only", False), ("allow_pickle", True)}
HOMELESS = {"utils", "util", "common", "helpers", "misc"}


def _name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _imported_modules(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node


def _reads_tensors_only(call: ast.Call) -> bool:
    """torch's reader of weights that others publish as .pth; it runs no code of the file."""
    given = {one.arg: one.value for one in call.keywords}
    only = given.get("weights_only")
    return isinstance(only, ast.Constant) and only.value is True


def _dangers(tree: ast.Module) -> Iterator[str]:
    for name, node in _imported_modules(tree):
        if name.partition(".")[0] in FORBIDDEN_MODULES:
            yield f"line {node.lineno}: import {name}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = _dotted(node.func)
        if called == "torch.load" and _reads_tensors_only(node):
            continue
        if called in FORBIDDEN_CALLS | FORBIDDEN_ATTRIBUTES:
            yield f"line {node.lineno}: {called}()"
        if called.rpartition(".")[2] in FORBIDDEN_METHODS and "." in called:
            yield f"line {node.lineno}: {called}()"
        for argument in node.keywords:
            value = argument.value
            if isinstance(value, ast.Constant) and (argument.arg, value.value) in (
                FORBIDDEN_ARGUMENTS
            ):
                yield f"line {node.lineno}: {argument.arg}={value.value}"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_no_code_execution_from_data(path):
    assert list(_dangers(_tree(path))) == []


def test_the_search_for_dangers_finds_them():
    planted = (
        "import pickle\nfrom torchvision import io\neval('1')\nyaml.load(t, Loader=L)\n"
        "run('x', shell=True)\ntar.extractall()\ntorch.load(f, weights_only=False)\n"
        "np.load(f, allow_pickle=True)\ntorch.load(f)\n"
    )
    lines = {
        int(found.split(":")[0].removeprefix("line ")) for found in _dangers(ast.parse(planted))
    }
    assert lines == set(range(1, 10))


@pytest.mark.parametrize("path", ALL_PYTHON, ids=_name)
def test_a_file_starts_with_its_licence(path):
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    assert first == "# SPDX-License-Identifier: Apache-2.0"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_file_says_what_lives_there(path):
    assert ast.get_docstring(_tree(path))


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_nobody_inside_imports_the_root_package(path):
    if path == PACKAGE / "cli.py":  # may ask for the version
        return
    inside = {file.stem for file in PACKAGE.glob("*.py")} | {
        room.name for room in PACKAGE.iterdir() if room.is_dir()
    }
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            assert "endoforge" not in {alias.name for alias in node.names}, node.lineno
        if isinstance(node, ast.ImportFrom) and node.module == "endoforge":
            assert {alias.name for alias in node.names} <= inside, node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_only_the_command_line_prints_or_exits(path):
    if path == PACKAGE / "cli.py":
        return
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call):
            assert _dotted(node.func) not in {"print", "sys.exit", "exit", "quit"}, node.lineno


@pytest.mark.parametrize("room", sorted(PACKAGE.rglob("*/__init__.py")), ids=_name)
def test_a_rooms_door_holds_only_its_docstring(room):
    assert len(_tree(room).body) == 1


def test_every_function_has_a_home():
    homeless = [_name(path) for path in SOURCES if HOMELESS & {path.stem, path.parent.name}]
    assert homeless == []


@pytest.mark.parametrize("path", ALL_PYTHON, ids=_name)
def test_nothing_is_left_to_do(path):
    markers = ("TO" + "DO", "FIX" + "ME", "X" * 3)
    assert not [marker for marker in markers if marker in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_long_file_says_why(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 600


def test_geometry_imports_without_torch():
    heavy = _loaded_after("endoforge.geometry.cameras", "endoforge.geometry.flow")
    assert "torch" not in heavy


def test_settings_load_without_heavy_libraries():
    modules = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in SOURCES
        if path.name == "settings.py"
    ]
    heavy = {"torch", "mitsuba", "drjit", "cv2", "scipy", "skimage", "matplotlib", "nibabel"}
    assert not heavy & _loaded_after(*modules)


def _loaded_after(*modules: str) -> set[str]:
    code = "import importlib, sys\n"
    code += "".join(f"importlib.import_module({name!r})\n" for name in modules)
    code += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())

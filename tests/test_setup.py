# SPDX-License-Identifier: Apache-2.0
"""Set-up: the scripts parse, every dependency is pinned, and a wheel would carry its data."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SCRIPTS = [REPOSITORY / ".ci" / "run", *sorted((REPOSITORY / "scripts").glob("*.sh"))]


def _project() -> dict:
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def _pins() -> list[str]:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_parses_and_stops_at_the_first_failure(script):
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")


def test_the_continuous_integration_can_be_started():
    assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", ["setup", "check", "test", "demo", "bench"])
def test_a_target_exists(target):
    command = ["make", "--dry-run", target]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_dependency_is_pinned_once_and_torch_first():
    pinned = [_name(line) for line in _pins()]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in _pins())
    assert pinned[0] == "torch"
    assert len(set(pinned)) == len(pinned)
    project = _project()
    wanted = list(project["project"]["dependencies"])
    wanted += [line for group in project["dependency-groups"].values() for line in group]
    assert {_name(line) for line in wanted} - set(pinned) == set()


def test_no_package_index_is_named():
    for file in ("Makefile", "constraints.txt", "pyproject.toml", "scripts/set_up.sh", ".ci/run"):
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        assert not re.search(r"index-url|find-links|https?://[\w.]*(pypi|pytorch)", text), file

# SPDX-License-Identifier: Apache-2.0
"""Every code block in the documents runs, and every docstring example gives the value it shows.

Blocks marked ``python`` and ``bash`` of one document run in order, in one temporary folder; bash
sees the commands of this environment. Blocks marked ``console`` or ``text`` are for reading only.
"""

import doctest
import importlib
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "src" / "endoforge"
DOCUMENTS = [
    *sorted(REPOSITORY.glob("*.md")),
    *sorted((REPOSITORY / "changelog.d").glob("*.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
BLOCK = re.compile(r"^( *)```(python|bash)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
WITH_EXAMPLES = [
    path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")
]


def _name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def _blocks(path: Path) -> list[tuple[str, str]]:
    found = BLOCK.finditer(path.read_text(encoding="utf-8"))
    return [(match[2], textwrap.dedent(match[3])) for match in found]


def _run(language: str, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    if language == "bash":
        command = ["bash", "-euo", "pipefail", "-c", code]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "REPOSITORY": str(REPOSITORY)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("name", ["README", "CONTRIBUTING", "SECURITY", "CHANGELOG"])
def test_the_papers_that_a_newcomer_looks_for_exist(name):
    assert (REPOSITORY / f"{name}.md").stat().st_size > 100


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if _blocks(d)], ids=_name)
def test_the_code_of_a_document_runs(document, tmp_path):
    for language, code in _blocks(document):
        done = _run(language, code, tmp_path)
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_the_links_of_a_document_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    targets = [link for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]
    assert [link for link in targets if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=_name)
def test_docstring_examples_give_the_values_they_show(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = importlib.import_module(".".join(p for p in parts if p != "__init__"))
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0
    assert results.attempted > 0

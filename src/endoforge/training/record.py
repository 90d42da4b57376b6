# SPDX-License-Identifier: Apache-2.0
"""The record that a run leaves: settings.json, metrics.jsonl and manifest.json in its folder."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from endoforge.errors import DataError
from endoforge.frames.storage import append_line, read_json, to_json, write_atomically, write_json


class RunRecord:
    """Writes one run's record; opening it again goes on with what is there.

    Attributes:
        folder: The run's folder.
        manifest: What manifest.json holds.
    """

    def __init__(self, folder: Path, writes: bool = True) -> None:
        self.folder = folder
        self._writes = writes  # of several processes that train together only one does
        self._metrics = folder / "metrics.jsonl"
        path = folder / "manifest.json"
        self.manifest: dict[str, Any] = read_json(path) if path.exists() else {}

    def start(self, settings: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
        """Write the resolved settings and what the run is made from."""
        if self._writes:
            write_json(self.folder / "settings.json", settings)
        self.note({"versions": versions(), "machine": platform.platform(), **manifest})

    def note(self, values: Mapping[str, Any]) -> None:
        """Add or replace entries of manifest.json."""
        self.manifest |= values
        if self._writes:
            write_json(self.folder / "manifest.json", self.manifest)

    def report(self, step: int, wall_s: float, values: Mapping[str, float]) -> None:
        """Append one line to metrics.jsonl; a number that is not finite becomes null."""
        if not self._writes:
            return
        shown = {k: v if abs(v) < float("inf") else None for k, v in values.items()}
        append_line(self._metrics, to_json({"step": step, "wall_s": round(wall_s, 3), **shown}))

    def go_back_to(self, step: int) -> None:
        """Drop the lines of metrics.jsonl after a step, so that a resumed run reads as one."""
        if not self._writes:
            return
        kept = [line for line in read_metrics(self.folder) if line["step"] <= step]
        text = "".join(to_json(line) + "\n" for line in kept)
        write_atomically(self._metrics, text.encode())


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics.jsonl in the order of their steps.

    A cut last line, as a killed process leaves it, is left out.

    Raises:
        DataError: The file cannot be read.
    """
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    lines: list[dict[str, Any]] = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from None
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("step"), int):
            lines.append(value)
    return sorted(lines, key=lambda line: int(line["step"]))


def versions() -> dict[str, str]:
    """Return the versions of what decides a training's numbers."""
    names = ("endoforge", "torch", "numpy", "lightning-fabric", "safetensors")
    return {"python": platform.python_version()} | {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return version(name)
    except ImportError:
        return "not installed"

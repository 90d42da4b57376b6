# SPDX-License-Identifier: Apache-2.0
"""The page about a run: how it learned, how far it is off and where, what it says of pictures.

A run is a folder with any of three things, each made by another stage: a training's record, an
evaluation's result, the depth of pictures. Each is found by what its file says, not by its name.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from endoforge.errors import DataError
from endoforge.evaluation.depth import EVALUATION_KIND, RESULT_FILE
from endoforge.evaluation.report.learning import learning_charts
from endoforge.evaluation.report.page import render
from endoforge.evaluation.report.pictures import bar_of
from endoforge.evaluation.report.results import EvaluationView, PicturesView
from endoforge.evaluation.report.sample_sheets import sample_sheets
from endoforge.evaluation.report.style_maps import is_style_bank, style_maps
from endoforge.evaluation.report.values import Row, duration, facts_of, rows_of
from endoforge.frames.colour import DEPTH_SCALE, ERROR_SCALE, UNKNOWN
from endoforge.frames.storage import read_json
from endoforge.training.record import read_metrics

#: What `serving` writes into its manifest. (The rooms are beside each other, so not imported.)
PICTURES_KIND = "endoforge depth run"

_DEEPEST = 2


def is_run(path: Path) -> bool:
    """Whether there is anything in a folder that the page can show."""
    learnt = (path / "metrics.jsonl").is_file()
    return learnt or is_style_bank(path) or any(_results(path))


def run_page(path: Path) -> str:
    """Build the page's HTML.

    Raises:
        DataError: A file of the run is damaged.
    """
    metrics = read_metrics(path)
    settings = _optional(path / "settings.json")
    manifest = _optional(path / "manifest.json") if settings else {}
    results = list(_results(path))
    evaluations = [EvaluationView.of(f, v) for f, v in results if v["kind"] == EVALUATION_KIND]
    pictures = [PicturesView.of(f, v) for f, v in results if v["kind"] == PICTURES_KIND]
    return render(
        "run.html.j2",
        {
            "title": path.resolve().name,
            "kind": "Run",
            "facts": _facts(path, metrics, manifest),
            "curves": learning_charts(metrics),
            "samples": list(sample_sheets(path, manifest)),
            "style_maps": list(style_maps(path)),
            "evaluations": evaluations,
            "pictures": pictures,
            "depth_bar": bar_of(DEPTH_SCALE, "depth"),
            "error_bar": bar_of(ERROR_SCALE, "relative error"),
            "unknown": "#{:02x}{:02x}{:02x}".format(*UNKNOWN),
            "manifest": rows_of(manifest),
            "settings": rows_of(settings),
        },
    )


# ---- inside -------------------------------------------------------------------------------------


def _results(path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Folders with a result of a known kind, up to two levels down, in the order of their names."""
    for folder in _folders(path, _DEEPEST):
        for name in (RESULT_FILE, "manifest.json"):
            file = folder / name
            if not file.is_file():
                continue
            found = read_json(file, limit_bytes=200_000_000)
            kind = found.get("kind") if isinstance(found, dict) else None
            if kind == EVALUATION_KIND or (kind == PICTURES_KIND and found.get("complete")):
                yield folder, found


def _folders(path: Path, deepest: int) -> Iterator[Path]:
    yield path
    if deepest == 0:
        return
    try:
        inside = sorted(child for child in path.iterdir() if child.is_dir())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; check the path") from None
    for child in inside:
        if not child.name.startswith(".") and not child.is_symlink():
            yield from _folders(child, deepest - 1)


def _optional(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        return {}
    values = read_json(file)
    return values if isinstance(values, dict) else {}


def _facts(path: Path, metrics: list[dict[str, Any]], manifest: Mapping[str, Any]) -> list[Row]:
    facts: list[tuple[str, Any]] = []
    if "task" in manifest:
        facts.append(("task", manifest["task"]))
    if metrics:
        facts.append(("steps", f"{metrics[-1]['step']:,}"))
        wall_s = metrics[-1].get("wall_s")
        if isinstance(wall_s, int | float):
            facts.append(("training time", duration(wall_s)))
    for key, name in (
        ("parameters", "parameters"),
        ("frames", "training frames"),
        ("held_out_frames", "held-out frames"),
        ("source_pictures", "source pictures"),
        ("target_pictures", "target pictures"),
        ("held_out_pictures", "held-out pictures"),
    ):
        if isinstance(manifest.get(key), int):
            facts.append((name, f"{manifest[key]:,}"))
    return facts_of([*facts, ("folder", path.resolve().name)])

# SPDX-License-Identifier: Apache-2.0
"""What other stages left in a run, made ready to be shown: evaluations and depth of pictures.

Their files are checked for what is needed here; a result that lacks something is refused by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import UInt8
from markupsafe import Markup

from endoforge.errors import DataError
from endoforge.evaluation.report.charts import Chart, Group, grouped_bars
from endoforge.evaluation.report.pictures import Image, bar_of, photograph, value_map
from endoforge.evaluation.report.values import Row, rows_of
from endoforge.frames.colour import DEPTH_SCALE, Scale
from endoforge.frames.png import decode_png
from endoforge.frames.storage import read_bytes

_MOST_PICTURES = 12
_LARGEST_PICTURE_BYTES = 100_000_000

#: Figures of the table with their unit and whether more is better.
_FIGURES: tuple[tuple[str, str, str, bool], ...] = (
    ("abs_rel", "AbsRel", "", False),
    ("sq_rel", "SqRel", "mm", False),
    ("rmse", "RMSE", "mm", False),
    ("rmse_log", "RMSE log", "", False),
    ("log10", "log10", "", False),
    ("delta1", "δ < 1.25", "", True),
    ("delta2", "δ < 1.25²", "", True),
    ("delta3", "δ < 1.25³", "", True),
)
_ALIGNMENTS = {
    "none": "no alignment (millimetres as predicted)",
    "median": "scaled to each picture's median",
    "scale_shift": "scale and shift fitted to each picture",
}
_PANELS = {"image": "Input", "truth": "True depth", "estimate": "Estimate", "error": "Error"}


@dataclass(frozen=True)
class Cell:
    """One figure: its text, and whether it is the best of its column within the alignment."""

    text: str
    best: bool


@dataclass(frozen=True)
class ScoreRow:
    """One predictor's figures under one alignment."""

    predictor: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Headline:
    """A figure in large, with what it is compared with."""

    value: str
    name: str
    comparison: str


@dataclass(frozen=True)
class ErrorRow:
    """One frame's error map: pictures in the order input, truth, estimate, error."""

    name: str
    note: str
    pictures: tuple[Image, ...]


@dataclass(frozen=True)
class EvaluationView:
    """An evaluation as the page shows it."""

    title: str
    sentence: str
    headlines: tuple[Headline, ...]
    columns: tuple[tuple[str, str, bool], ...]
    groups: tuple[tuple[str, tuple[ScoreRow, ...]], ...]
    by_depth: Markup
    legend: tuple[str, ...]
    spread: str
    panels: tuple[str, ...]
    error_maps: tuple[ErrorRow, ...]
    details: tuple[Row, ...]

    @classmethod
    def of(cls, folder: Path, values: Mapping[str, Any]) -> "EvaluationView":
        """Make an evaluation's result ready.

        Raises:
            DataError: The result lacks something or a picture is damaged.
        """
        try:
            return _evaluation(folder, values)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"{folder}/evaluation.json lacks what the report needs ({error!r}); evaluate again"
            ) from None


@dataclass(frozen=True)
class PictureRow:
    """One picture with its depth."""

    name: str
    note: str
    input: Image
    depth: Image


@dataclass(frozen=True)
class PicturesView:
    """Depth of pictures as the page shows it."""

    title: str
    note: str
    counts: str
    problems: tuple[str, ...]
    camera: str
    bar: Markup
    rows: tuple[PictureRow, ...]

    @classmethod
    def of(cls, folder: Path, values: Mapping[str, Any]) -> "PicturesView":
        """Make a run on pictures ready.

        Raises:
            DataError: The manifest lacks something or a picture is damaged.
        """
        try:
            return _pictures(folder, values)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"{folder}/manifest.json lacks what the report needs ({error!r}); run again"
            ) from None


# ---- evaluations --------------------------------------------------------------------------------


def _evaluation(folder: Path, values: Mapping[str, Any]) -> EvaluationView:
    predictors = values["predictors"]
    dataset = values["dataset"]
    names = tuple(_shown(p["name"]) for p in predictors)
    return EvaluationView(
        title=f"{values['model']} on {dataset['name']} ({dataset['folder']})",
        sentence=_sentence(values),
        headlines=_headlines(predictors),
        columns=tuple((name, unit, more) for _, name, unit, more in _FIGURES),
        groups=tuple(
            (text, _score_rows(predictors, alignment)) for alignment, text in _ALIGNMENTS.items()
        ),
        by_depth=_by_depth(predictors, names),
        legend=names,
        spread=_spread(predictors[0]["by_sequence"]),
        panels=tuple(_PANELS.values()),
        error_maps=tuple(_error_row(folder, record) for record in values["error_maps"]),
        details=tuple(rows_of({"data set": dataset, "protocol": values["protocol"]})),
    )


def _sentence(values: Mapping[str, Any]) -> str:
    sequences = len(values["predictors"][0]["by_sequence"])
    return (
        f"{values['frames']:,} frames of {sequences:,} sequence{'' if sequences == 1 else 's'}, "
        f"{values['pixels'] / 1e6:.1f} million pixels: {values['protocol_sentence']}."
    )


def _shown(name: str) -> str:
    return str(name).replace("_", " ")


def _headlines(predictors: Sequence[Mapping[str, Any]]) -> tuple[Headline, ...]:
    model = predictors[0]["scores"]
    wanted = (
        ("none", "abs_rel", "AbsRel, no alignment"),
        ("median", "abs_rel", "AbsRel, median scaled"),
        ("none", "rmse", "RMSE, mm"),
        ("none", "delta1", "δ < 1.25, no alignment"),
    )
    return tuple(
        Headline(
            _figure(figure, model[alignment][figure]),
            name,
            "; ".join(
                f"{_shown(p['name'])} {_figure(figure, p['scores'][alignment][figure])}"
                for p in predictors[1:]
            ),
        )
        for alignment, figure, name in wanted
    )


def _score_rows(predictors: Sequence[Mapping[str, Any]], alignment: str) -> tuple[ScoreRow, ...]:
    best = {
        figure: (max if more else min)(p["scores"][alignment][figure] for p in predictors)
        for figure, _, _, more in _FIGURES
    }
    rows = []
    for predictor in predictors:
        scores = predictor["scores"][alignment]
        cells = tuple(
            Cell(_figure(figure, scores[figure]), scores[figure] == best[figure])
            for figure, *_ in _FIGURES
        )
        rows.append(ScoreRow(_shown(predictor["name"]), cells))
    return tuple(rows)


def _figure(figure: str, value: float) -> str:
    return f"{value:.2f}" if figure in ("rmse", "sq_rel") else f"{value:.3f}"


def _by_depth(predictors: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Markup:
    ranges = [row["range"] for row in predictors[0]["by_depth"]]
    groups = [
        Group(name, tuple(p["by_depth"][k]["abs_rel"] for p in predictors))
        for k, name in enumerate(ranges)
        if predictors[0]["by_depth"][k]["pixels"]
    ]
    chart = Chart("Relative error by true depth", "true depth, mm", "mean relative error")
    return grouped_bars(chart, names, groups)


def _spread(by_sequence: Mapping[str, float]) -> str:
    values = sorted(float(v) for v in by_sequence.values())
    if len(values) < 2:
        return "One sequence only, so nothing is known about the spread between anatomies."
    middle = float(np.median(values))
    return (
        f"AbsRel without alignment by sequence: best {values[0]:.3f}, median {middle:.3f}, worst "
        f"{values[-1]:.3f} of {len(values)} sequences."
    )


def _error_row(folder: Path, record: Mapping[str, Any]) -> ErrorRow:
    name = f"sequence {int(record['sequence'])}, frame {int(record['frame'])}"
    pictures = []
    for panel, text in _PANELS.items():
        pixels = _read(folder, record["files"][panel])
        pack = photograph if panel == "image" else value_map
        pictures.append(pack(pixels, f"{text} of {name}", 300))
    note = f"AbsRel {float(record['abs_rel']):.3f}, {record['chosen']}"
    return ErrorRow(name, note, tuple(pictures))


# ---- pictures -----------------------------------------------------------------------------------


def _pictures(folder: Path, values: Mapping[str, Any]) -> PicturesView:
    frames = [frame for frame in values["frames"] if frame["side_by_side"]]
    places = np.linspace(0, len(frames) - 1, min(len(frames), _MOST_PICTURES)).round().astype(int)
    chosen = [frames[int(place)] for place in np.unique(places)] if frames else []
    counts = values["counts"]
    camera = values["camera"]
    return PicturesView(
        title=f"{values['input']['name']} ({values['input']['kind']})",
        note=str(values["note"]),
        counts=(
            f"{counts['written']:,} pictures, {counts['not_trusted']:,} of them not trusted, "
            f"{counts['refused']:,} refused; {len(chosen)} shown, evenly spread."
        ),
        problems=tuple(str(problem["reason"]) for problem in values["problems"][:10]),
        camera=str(camera.get("note", "")) if camera["assumed"] else "calibrated camera",
        bar=bar_of(_scale(values["colour_range_mm"]), "depth"),
        rows=tuple(_picture_row(folder, frame) for frame in chosen),
    )


def _scale(range_mm: Sequence[float]) -> Scale:
    low, high = (float(end) for end in range_mm)
    return replace(DEPTH_SCALE, low=low, high=max(high, 1.01 * low))


def _picture_row(folder: Path, frame: Mapping[str, Any]) -> PictureRow:
    name = str(frame["name"])
    still = _read(folder, frame["side_by_side"])
    image, depth = (_cut(still, [int(v) for v in box]) for box in frame["panels"])
    pictures = (
        photograph(image, f"Input {name}", 420),
        photograph(depth, f"Estimated depth of {name}", 420),
    )
    if not frame["trusted"]:
        return PictureRow(name, f"not trusted, {'; '.join(map(str, frame['reasons']))}", *pictures)
    known = frame["depth_mm"]
    near, middle, far = (known[name] for name in ("p5", "median", "p95"))
    note = f"median {middle:.0f} mm, 5 to 95 % from {near:.0f} to {far:.0f} mm"
    return PictureRow(name, note, *pictures)


def _cut(
    picture: UInt8[np.ndarray, "height width 3"], box: Sequence[int]
) -> UInt8[np.ndarray, "cut_height cut_width 3"]:
    left, top, width, height = box
    piece = picture[top : top + height, left : left + width]
    if min(left, top) < 0 or piece.shape[:2] != (height, width) or piece.size == 0:
        raise ValueError(f"panel {box} does not lie in a picture of {picture.shape[:2]}")
    return piece


# ---- files --------------------------------------------------------------------------------------


def _read(folder: Path, name: str) -> UInt8[np.ndarray, "height width 3"]:
    """Read a PNG that a result names; names that lead out of its folder are refused."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise DataError(f"{folder} names {name!r}, which lies outside it; make the result anew")
    file = folder / relative
    pixels = decode_png(read_bytes(file, _LARGEST_PICTURE_BYTES), str(file)).pixels
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise DataError(
            f"{file} must be an 8-bit colour picture, got {pixels.dtype} {pixels.shape}"
        )
    return pixels

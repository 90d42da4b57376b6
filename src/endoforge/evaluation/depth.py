# SPDX-License-Identifier: Apache-2.0
"""Measuring depth: a model and trivial baselines on one data set, under every alignment at once."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.depth.baselines import fit_baselines
from endoforge.depth.data import load_frames
from endoforge.depth.predictor import DepthPredictor
from endoforge.errors import DataError
from endoforge.evaluation.error_maps import ErrorMap, write_error_maps
from endoforge.evaluation.settings import DepthProtocol
from endoforge.evaluation.tally import Tally, merged
from endoforge.frames.dataset import Dataset
from endoforge.frames.frame import Frame
from endoforge.frames.storage import write_json
from endoforge.metrics.depth import ALIGNMENTS, DepthScores, compute

Progress = Callable[[int, int], None]

#: Tells the result file of this stage from others.
EVALUATION_KIND = "endoforge depth evaluation"
FORMAT_VERSION = 1
RESULT_FILE = "evaluation.json"


@runtime_checkable
class Estimator(Protocol):
    """Anything that estimates depth: the trained network or a baseline."""

    def predict(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> Float32[np.ndarray, "height width"]:
        """Depth (z, mm) of one picture, at its size."""
        ...


@dataclass(frozen=True)
class PredictorResult:
    """Figures of one predictor.

    Attributes:
        name: ``"model"`` or the baseline's name.
        scores: For each alignment, the means over frames of each figure.
        by_depth: Mean relative error without alignment, for each range of true depth.
        by_sequence: Mean relative error without alignment, for each sequence.
    """

    name: str
    scores: Mapping[str, Mapping[str, float]]
    by_depth: Sequence[Mapping[str, Any]]
    by_sequence: Mapping[str, float]


@dataclass(frozen=True)
class DepthEvaluation:
    """The result, with everything that is needed to say what the figures mean.

    Attributes:
        model: Name of the model.
        dataset: Name, size, seed and provenance of the data set.
        protocol: Which pixels and frames counted.
        frames: Frames that counted.
        pixels: Pixels that counted.
        predictors: The model first, then the baselines.
        error_maps: Frames with pictures of their errors, relative to the result's folder.
        seconds: Wall time.
    """

    model: str
    dataset: Mapping[str, Any]
    protocol: DepthProtocol
    frames: int
    pixels: int
    predictors: tuple[PredictorResult, ...]
    error_maps: tuple[Mapping[str, Any], ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": EVALUATION_KIND,
            "format_version": FORMAT_VERSION,
            "model": self.model,
            "dataset": dict(self.dataset),
            "protocol": self.protocol.model_dump(mode="json"),
            "protocol_sentence": self.protocol.sentence(),
            "frames": self.frames,
            "pixels": self.pixels,
            "predictors": [vars(p) | {"scores": dict(p.scores)} for p in self.predictors],
            "error_maps": [dict(m) for m in self.error_maps],
            "seconds": round(self.seconds, 3),
        }

    def score(self, figure: str, alignment: str, predictor: str = "model") -> float:
        """One figure, e.g. ``score("abs_rel", "none")``.

        Raises:
            KeyError: There is no such predictor, alignment or figure.
        """
        return {p.name: p.scores for p in self.predictors}[predictor][alignment][figure]

    def table(self) -> str:
        """The figures as text, one line for each predictor and alignment."""
        figures = list(DepthScores.__dataclass_fields__)
        head = f"{'predictor':<14} {'alignment':<12}" + "".join(f"{f:>10}" for f in figures)
        lines = [f"{self.frames} frames; {self.protocol.sentence()}", head]
        for predictor in self.predictors:
            for alignment, scores in predictor.scores.items():
                cells = "".join(f"{scores[f]:>10.4f}" for f in figures)
                lines.append(f"{predictor.name:<14} {alignment:<12}{cells}")
        return "\n".join(lines)


def evaluate_model(
    model: str,
    dataset_path: Path,
    protocol: DepthProtocol,
    *,
    out: Path | None = None,
    baselines_from: Path | None = None,
    progress: Progress | None = None,
) -> DepthEvaluation:
    """Load a model, fit the baselines, and measure all of them on a data set.

    Args:
        model: ``"depth"`` for the shipped model, a RUN folder or a model folder.
        dataset_path: Data set with depth, best of anatomies that the model never saw.
        protocol: Which pixels and frames count.
        out: Folder for ``evaluation.json`` and the error maps; None writes nothing.
        baselines_from: Data set that the constant and the mean-map predictor are fitted on; None
            takes those that were fitted on the model's own training set.
        progress: Called with (frames done, frames in all).

    Raises:
        DataError, CheckpointError: The data set or the model is damaged.
        StorageError: The disk is full or `out` cannot be written.
    """
    predictor = DepthPredictor.load(model, device=protocol.device)
    baselines = (
        predictor.baselines if baselines_from is None else _fitted(baselines_from, predictor)
    )
    predictors: dict[str, Estimator] = {"model": predictor, **baselines}
    return evaluate_depth(predictors, dataset_path, protocol, Path(model).name, out, progress)


def evaluate_depth(
    predictors: Mapping[str, Estimator],
    dataset_path: Path,
    protocol: DepthProtocol | None = None,
    model_name: str = "model",
    out: Path | None = None,
    progress: Progress | None = None,
) -> DepthEvaluation:
    """Measure predictors on a data set; the first one is the model, the others its baselines.

    Raises:
        DataError: The data set is damaged, or no pixel of it counts under this protocol.
        ShapeError: A predictor returns another size or numbers that are not finite.
        StorageError: The disk is full or `out` cannot be written.
    """
    started = time.monotonic()
    protocol = protocol or DepthProtocol()
    with closing(Dataset.open(dataset_path)) as dataset:
        tallies, maps = _measured(dataset, predictors, protocol, progress)
        described = _describe(dataset, dataset_path)
    totals = merged(next(iter(tallies.values())).by_sequence.values())
    if totals.frames == 0:
        raise DataError(
            f"no pixel of {dataset_path} counts, in none of {totals.empty_frames} frames; expected "
            f"{protocol.sentence()}; widen the protocol"
        )
    result = DepthEvaluation(
        model=model_name,
        dataset=described,
        protocol=protocol,
        frames=totals.frames,
        pixels=totals.pixels,
        predictors=tuple(_result(name, tally) for name, tally in tallies.items()),
        error_maps=() if out is None else write_error_maps(out, maps.kept()),
        seconds=time.monotonic() - started,
    )
    if out is not None:
        write_json(out / RESULT_FILE, result.to_dict())
    return result


# ---- inside -------------------------------------------------------------------------------------


def _fitted(data: Path, predictor: DepthPredictor) -> dict[str, Estimator]:
    """Baselines fitted on a data set, at the model's training size."""
    size = (int(predictor.card["width"]), int(predictor.card["height"]))
    with tempfile.TemporaryDirectory(prefix="endoforge-") as cache:
        frames = load_frames([data], size, Path(cache), lambda done, total: None)
        constant, mean_map = fit_baselines(frames, np.arange(len(frames)))
    return {"constant": constant, "mean_map": mean_map}


def _measured(
    dataset: Dataset,
    predictors: Mapping[str, Estimator],
    protocol: DepthProtocol,
    progress: Progress | None,
) -> tuple[dict[str, Tally], "_MapChoice"]:
    """Let every predictor see every chosen frame."""
    chosen = _chosen(len(dataset), protocol)
    tallies = {name: Tally() for name in predictors}
    maps = _MapChoice(protocol.error_maps, len(chosen))
    for number, index in enumerate(chosen):
        frame = dataset.frame(index)
        counts = _counting_pixels(frame, protocol)
        for order, (name, predictor) in enumerate(predictors.items()):
            predicted = np.asarray(predictor.predict(frame.image), np.float32)
            tallies[name] = tallies[name].add(frame.sequence, predicted, frame.depth_mm, counts)
            if order == 0:
                maps.offer(number, ErrorMap.of(frame, predicted, counts))
        if progress is not None:
            progress(number + 1, len(chosen))
    return tallies, maps


class _MapChoice:
    """Keeps the error maps of frames spread evenly over the set, and of the worst frame."""

    def __init__(self, wanted: int, frames: int) -> None:
        spread = np.linspace(0, frames - 1, max(wanted - 1, 0)).round().astype(int)
        self._spread = set(spread.tolist())
        self._wanted = wanted
        self._kept: list[ErrorMap] = []
        self._worst: ErrorMap | None = None

    def offer(self, number: int, error_map: ErrorMap) -> None:
        """Look at one more frame."""
        if number in self._spread:
            self._kept.append(error_map)
        if self._wanted and (self._worst is None or error_map.abs_rel > self._worst.abs_rel):
            self._worst = error_map

    def kept(self) -> list[tuple[str, ErrorMap]]:
        """The chosen maps with the reason for each."""
        chosen = [("evenly spread", error_map) for error_map in self._kept]
        return chosen if self._worst is None else [*chosen, ("worst of all frames", self._worst)]


def _chosen(count: int, protocol: DepthProtocol) -> list[int]:
    indices = np.arange(0, count, protocol.every)
    if protocol.limit is not None and len(indices) > protocol.limit:
        places = np.linspace(0, len(indices) - 1, protocol.limit).round().astype(int)
        indices = indices[places]
    return [int(index) for index in indices]


def _counting_pixels(frame: Frame, protocol: DepthProtocol) -> Bool[np.ndarray, "height width"]:
    height, width = frame.depth_mm.shape
    top, left = round(height * protocol.crop), round(width * protocol.crop)
    inside = np.zeros((height, width), bool)
    inside[top : height - top, left : width - left] = True
    with np.errstate(invalid="ignore"):
        near, far = protocol.min_depth_mm, protocol.max_depth_mm
        in_range = (frame.depth_mm >= near) & (frame.depth_mm <= far)
    return frame.valid & inside & in_range


def _result(name: str, tally: Tally) -> PredictorResult:
    scores = compute(merged(tally.by_sequence.values()))
    by_sequence = {
        str(sequence): compute(totals)["none"].abs_rel
        for sequence, totals in tally.by_sequence.items()
        if totals.frames
    }
    return PredictorResult(
        name=name,
        scores={alignment: scores[alignment].as_dict() for alignment in ALIGNMENTS},
        by_depth=tally.ranges(),
        by_sequence=by_sequence,
    )


def _describe(dataset: Dataset, path: Path) -> dict[str, Any]:
    manifest = dataset.manifest
    return {
        "name": manifest.name,
        "folder": path.resolve().name,
        "frames": len(dataset),
        "sequences": len(dataset.sequences),
        "seed": manifest.seed,
        "provenance": dict(manifest.provenance),
    }

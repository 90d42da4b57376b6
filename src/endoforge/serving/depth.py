# SPDX-License-Identifier: Apache-2.0
"""Depth of real pictures and video: the stage behind ``endoforge run``.

There is no ground truth for what comes in here. What cannot be trusted is therefore marked: pixels
outside the content have no depth, and a picture without structure has none at all.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.depth.predictor import DepthPredictor
from endoforge.frames.content import content_mask
from endoforge.frames.media.media import Picture, open_media
from endoforge.serving.panels import Layout
from endoforge.serving.passage import Passage
from endoforge.serving.records import FrameRecord, RunRecord, model_facts, prepare_folder
from endoforge.serving.results import Estimated, Lens, Results, write_frame
from endoforge.serving.settings import RunSettings
from endoforge.serving.trust import reasons_not_to_trust
from endoforge.translation.adapting import AdaptedEstimator, load_adapter

Progress = Callable[[int, int], None]


@runtime_checkable
class Estimator(Protocol):
    """Anything that estimates depth: the trained network or a baseline."""

    def predict(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> Float32[np.ndarray, "height width"]:
        """Depth (z, mm) of one picture, at its size."""
        ...


@dataclass(frozen=True)
class RunReport:
    """What a run did.

    Attributes:
        out: Where the results lie; ``manifest.json`` there lists them.
        frames: Pictures that depth was written for.
        refused: Pictures that could not be read.
        not_trusted: Pictures that were read but show nothing that depth could be taken from.
        seconds: Wall time.
        warnings: What the user must know, one sentence each.
    """

    out: Path
    frames: int
    refused: int
    not_trusted: int
    seconds: float
    warnings: tuple[str, ...]


def run_depth(
    model: str | Path | Estimator,
    path: Path,
    out: Path,
    settings: RunSettings | None = None,
    progress: Progress | None = None,
) -> RunReport:
    """Estimate depth on a picture, a folder of pictures or a video, and write what people look at.

    Args:
        model: ``"depth"`` for the shipped model, a RUN or model folder, or a model in memory.
        path: The picture, folder or video file.
        out: Folder for ``side_by_side/``, ``depth/``, ``points/``, ``video.mp4`` and
            ``manifest.json``. Results of an earlier run there are replaced.
        settings: What to write and with which lens.
        progress: Called with (frames done, frames expected).

    Raises:
        DataError: Nothing at `path` can be read, or `out` holds files of something else.
        CheckpointError: The model is damaged, or the translator before it is of another kind.
        CameraError: The camera file does not fit the pictures.
        StorageError: The disk is full or `out` cannot be written.
    """
    started = time.monotonic()
    settings = settings or RunSettings()
    media = open_media(path, settings.frames_per_second)
    lens = Lens.from_settings(settings)
    prepare_folder(out, path)
    predictor = _loaded(model, settings.device)
    adapter = load_adapter(settings.adapt, settings.device) if settings.adapt else None
    seen_by = predictor if adapter is None else AdaptedEstimator(predictor, adapter)
    passage = Passage(media, settings.limit, settings.panel_px)
    run = _Run(passage, seen_by, Results(out, settings, lens, passage.expected), progress)
    passage.work(out, run.draw)
    report = run.report(time.monotonic() - started)
    facts = None if adapter is None else adapter.facts
    record = RunRecord(settings, media, lens, model_facts(model, predictor), facts)
    record.write(out, run.frames, passage.problems, report.seconds)
    return report


def estimate(
    predictor: Estimator,
    image: UInt8[np.ndarray, "height width 3"],
    content: np.ndarray | None = None,
) -> tuple[Float32[np.ndarray, "height width"], tuple[str, ...]]:
    """Depth of one picture with everything that means nothing removed.

    Args:
        predictor: The model.
        image: 8-bit sRGB.
        content: Where the picture shows tissue; None finds out from this picture alone.

    Returns:
        Depth (z, mm; NaN outside the content, or everywhere when the picture cannot be trusted),
        and the reasons not to trust it.
    """
    content = content_mask(image) if content is None else content
    reasons = reasons_not_to_trust(image, content)
    if reasons:
        return np.full(image.shape[:2], np.nan, np.float32), reasons
    depth_mm = predictor.predict(image)
    known = content & np.isfinite(depth_mm) & (depth_mm > 0)
    return np.where(known, depth_mm, np.float32(np.nan)).astype(np.float32), ()


# ---- inside -------------------------------------------------------------------------------------


@dataclass
class _Run:
    """One run while it is under way."""

    passage: Passage
    predictor: Estimator
    results: Results
    progress: Progress | None
    frames: list[FrameRecord] = field(default_factory=list)

    def draw(
        self, picture: Picture, content: Bool[np.ndarray, "height width"], layout: Layout
    ) -> UInt8[np.ndarray, "canvas_height canvas_width 3"]:
        """Estimate, draw and write one picture; returns the drawing."""
        estimated = Estimated(picture, *estimate(self.predictor, picture.image, content))
        drawing = estimated.drawn(self.results.scale, layout)
        number = len(self.frames)
        self.frames.append(write_frame(self.results, number, estimated, layout, drawing))
        if self.progress is not None:
            self.progress(number + 1, max(number + 1, self.results.expected or 0))
        return drawing

    def report(self, seconds: float) -> RunReport:
        doubtful = [frame for frame in self.frames if not frame.trusted]
        warnings = [problem.reason for problem in self.passage.problems]
        if doubtful:
            warnings.append(
                f"{len(doubtful)} of {len(self.frames)} pictures are not trusted and have no "
                f"depth, the first is {doubtful[0].name}: {doubtful[0].reasons[0]}"
            )
        return RunReport(
            self.results.out,
            len(self.frames),
            self.passage.refused,
            len(doubtful),
            seconds,
            tuple(warnings),
        )


def _loaded(model: str | Path | Estimator, device: Literal["auto", "cpu", "cuda"]) -> Estimator:
    if isinstance(model, str | Path):
        predictor: Estimator = DepthPredictor.load(model, device=device)
        return predictor
    return model

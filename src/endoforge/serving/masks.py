# SPDX-License-Identifier: Apache-2.0
"""Masks of real pictures and video: what ``endoforge run`` does with a segmentation network.

There is no ground truth for what comes in here. Pixels outside the content, and pictures without
structure, have no class.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, UInt8

from endoforge.frames.media.media import Picture, open_media
from endoforge.frames.png import encode_png
from endoforge.frames.storage import write_atomically, write_json
from endoforge.segmentation.predictor import SegmentationPredictor
from endoforge.serving.depth import Progress, RunReport
from endoforge.serving.mask_panels import beside_its_masks
from endoforge.serving.panels import Layout
from endoforge.serving.passage import Passage
from endoforge.serving.records import FORMAT_VERSION, model_facts, prepare_folder
from endoforge.serving.results import wants_frame
from endoforge.serving.settings import MaskSettings
from endoforge.serving.trust import reasons_not_to_trust
from endoforge.training.record import versions

#: Tells a manifest of this stage from others.
MASKS_KIND = "endoforge segmentation run"

#: In a mask: outside the content, or not trusted.
NO_CLASS = 255

NO_TRUTH = (
    "There is no ground truth for these pictures. The masks are an estimate by a network that was "
    "trained on simulated frames; how often they are right on real ones is not known."
)

_RESULT_FOLDERS = {"masks": "*.png", "side_by_side": "*.png"}


@runtime_checkable
class Segmenter(Protocol):
    """Anything that says which class each pixel shows."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by index."""
        ...

    def predict(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "height width"]:
        """The likeliest class of each pixel."""
        ...


def run_masks(
    model: str | Path | Segmenter,
    path: Path,
    out: Path,
    settings: MaskSettings | None = None,
    progress: Progress | None = None,
) -> RunReport:
    """Estimate masks on a picture, a folder of pictures or a video, with drawings to look at.

    Args:
        model: A RUN or model folder, or a model in memory.
        path: The picture, folder or video file.
        out: Folder for ``masks/`` (8-bit class indices, 255 for none), ``side_by_side/``,
            ``video.mp4`` and ``manifest.json``. Results of an earlier run there are replaced.
        settings: What to write.
        progress: Called with (frames done, frames expected).

    Raises:
        DataError: Nothing at `path` can be read, or `out` holds files of something else.
        CheckpointError: The model is damaged.
        StorageError: The disk is full or `out` cannot be written.
    """
    started = time.monotonic()
    settings = settings or MaskSettings()
    media = open_media(path, settings.frames_per_second)
    prepare_folder(out, path, MASKS_KIND, _RESULT_FOLDERS)
    segmenter: Segmenter = (
        SegmentationPredictor.load(model, settings.device)
        if isinstance(model, str | Path)
        else model
    )
    passage = Passage(media, settings.limit, settings.panel_px)
    run = _Run(passage, segmenter, out, settings, progress)
    passage.work(out, run.draw)
    report = run.report(time.monotonic() - started)
    write_json(out / "manifest.json", run.manifest(model_facts(model, segmenter), report.seconds))
    return report


# ---- inside -------------------------------------------------------------------------------------


@dataclass
class _Run:
    """One run while it is under way."""

    passage: Passage
    segmenter: Segmenter
    out: Path
    settings: MaskSettings
    progress: Callable[[int, int], None] | None
    frames: list[dict[str, Any]] = field(default_factory=list)

    def draw(
        self, picture: Picture, content: Bool[np.ndarray, "height width"], layout: Layout
    ) -> UInt8[np.ndarray, "canvas_height canvas_width 3"]:
        """Estimate, draw and write one picture; returns the drawing."""
        reasons = reasons_not_to_trust(picture.image, content)
        label = np.full(content.shape, NO_CLASS, np.uint8)
        if not reasons:
            label[content] = self.segmenter.predict(picture.image)[content]
        title = f"{picture.name}   {picture.time_s:.2f} s"
        drawing = beside_its_masks(
            (picture.image, label), self.segmenter.classes, self.settings.opacity, layout, title
        )
        number, total = len(self.frames), self.passage.expected
        files = {"mask": f"masks/{picture.name}.png", "side_by_side": None}
        write_atomically(self.out / f"masks/{picture.name}.png", encode_png(label))
        if wants_frame(number, self.settings.stills, total):
            files["side_by_side"] = f"side_by_side/{picture.name}.png"
            write_atomically(self.out / f"side_by_side/{picture.name}.png", encode_png(drawing))
        facts = {"name": picture.name, "time_s": round(picture.time_s, 4)}
        self.frames.append({**facts, "reasons": reasons, **files, "shares": self._shares(label)})
        if self.progress is not None:
            self.progress(number + 1, max(number + 1, total or 0))
        return drawing

    def _shares(self, label: UInt8[np.ndarray, "height width"]) -> dict[str, float]:
        """Share of each class among the pixels that have one."""
        counts = np.bincount(label[label != NO_CLASS], minlength=len(self.segmenter.classes))
        total = max(1, int(counts.sum()))
        pairs = zip(self.segmenter.classes, counts.tolist(), strict=True)
        return {name: round(count / total, 5) for name, count in pairs}

    def report(self, seconds: float) -> RunReport:
        doubtful = [frame for frame in self.frames if frame["reasons"]]
        warnings = [problem.reason for problem in self.passage.problems]
        if doubtful:
            first = doubtful[0]
            warnings.append(
                f"{len(doubtful)} of {len(self.frames)} pictures are not trusted and have no "
                f"masks, the first is {first['name']}: {first['reasons'][0]}"
            )
        return RunReport(
            self.out,
            len(self.frames),
            self.passage.refused,
            len(doubtful),
            seconds,
            tuple(warnings),
        )

    def manifest(self, model: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        media = self.passage.media
        return {
            "kind": MASKS_KIND,
            "format_version": FORMAT_VERSION,
            "complete": True,
            "note": NO_TRUTH,
            "input": {"name": media.path.name, "kind": media.kind},
            "model": dict(model),
            "classes": dict(enumerate(self.segmenter.classes)) | {NO_CLASS: "no class"},
            "settings": self.settings.model_dump(mode="json"),
            "problems": [asdict(problem) for problem in self.passage.problems],
            "video": None if media.kind == "picture" else "video.mp4",
            "frames": self.frames,
            "seconds": round(seconds, 3),
            "versions": versions(),
        }

# SPDX-License-Identifier: Apache-2.0
"""What the trainer asks for while a translator learns: the two sides, batches, the model file."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from endoforge.errors import DataError, SettingsError
from endoforge.frames.dataset import Dataset
from endoforge.training.record import versions
from endoforge.training.report import log_decoding
from endoforge.training.task import Batch
from endoforge.translation.batches import NoiseBatches, PairedBatches, UnpairedBatches
from endoforge.translation.domains import Domain, channels_of, open_domain
from endoforge.translation.methods import Method
from endoforge.translation.model_file import TranslationModel, save_model
from endoforge.translation.planes import PlaneStack, classes_of
from endoforge.translation.settings import PictureSettings, TranslationSettings
from endoforge.translation.sources import find_source
from endoforge.translation.translator import Channels, Translator


@dataclass(frozen=True)
class Sides:
    """Where the two sides come from, put in the direction of a method.

    Attributes:
        source: Paths of what is translated; empty for methods from noise.
        target: Paths of what it becomes.
    """

    source: tuple[Path, ...]
    target: tuple[Path, ...]


@dataclass(frozen=True)
class TranslationRun:
    """A training on decoded pictures.

    Attributes:
        method: Of translation.
        settings: All settings.
        source: What is translated; None for methods from noise.
        target: What it becomes.
        classes: Class indices that have a channel each, where label maps are an input.
        out: The run's folder.
        held: Source and target pictures that nothing is learnt from; None if there are none.
    """

    method: Method
    settings: TranslationSettings
    source: Domain | None
    target: Domain
    classes: tuple[int, ...]
    out: Path
    held: tuple[Domain | None, Domain] | None = None

    @property
    def channels(self) -> Channels:
        """Of both sides."""
        return channels_of(self.source, self.target)

    @property
    def pictures(self) -> int:
        """Of both sides together."""
        return len(self.target) + (0 if self.source is None else len(self.source))


def sides_of(method: Method, data: Sequence[Path], real: Sequence[Path]) -> Sides:
    """Put data sets and real pictures in the direction of a method.

    A paired method takes both sides from its data sets if no real pictures are given, and a method
    from noise learns from whichever is given.

    Raises:
        DataError: A side that the method needs is missing.
    """
    given, pictures = tuple(data), tuple(real)
    match method.data:
        case "noise":
            sides = Sides((), pictures or given)
        case "paired":
            sides = Sides(given, pictures or given)
        case "unpaired":
            sides = Sides(pictures, given) if method.reverse else Sides(given, pictures)
    if not sides.target or (not sides.source and method.data != "noise"):
        if method.data == "noise":
            raise DataError(f"{method.name} needs pictures to learn from, got none; give --real")
        missing = "--data" if not given else "--real"
        raise DataError(
            f"{method.name} needs data sets (--data) and real pictures (--real), got nothing for "
            f"{missing}; give a folder"
        )
    return sides


def open_run(
    method: Method, sides: Sides, settings: TranslationSettings, out: Path, cache: Path
) -> TranslationRun:
    """Decode both sides, or map what was decoded before into memory.

    Raises:
        DataError: A side holds no pictures, or damaged ones.
        SettingsError: Planes were asked for that a side does not have.
        StorageError: The disk is full.
    """
    pictures = settings.pictures
    source = (
        open_domain(sides.source, pictures, cache, "source", log_decoding) if sides.source else None
    )
    target = open_domain(sides.target, pictures, cache, "target", log_decoding)
    run = TranslationRun(method, settings, source, target, classes_in(sides, pictures), out)
    return _holding_out(run) if settings.held_out else run


def batches_of(run: TranslationRun, device: torch.device) -> Callable[[int], Batch]:
    """Return the batch of each step: a pure function of settings, data and step.

    Raises:
        DataError: The two sides of a paired method do not belong together.
    """
    match run.method.data:
        case "noise":
            return NoiseBatches(run.target, run.settings, device)
        case "paired":
            assert run.source is not None
            return PairedBatches(run.source, run.target, run.settings, device)
        case "unpaired":
            assert run.source is not None
            return UnpairedBatches(run.source, run.target, run.settings, device)


class ModelExport:
    """Writes the run's model/ folder."""

    def __init__(self, run: TranslationRun, translator: Translator) -> None:
        self._run, self._translator = run, translator

    def __call__(self, step: int) -> None:
        """Write the translator as it is now.

        Raises:
            StorageError: The disk is full, or the folder cannot be written.
        """
        run = self._run
        card: dict[str, Any] = {
            "licence": "Apache-2.0",
            "training": {"step": step, **facts_of(run), "versions": versions()},
        }
        model = TranslationModel(run.method.name, self._translator, run.settings, run.classes, card)
        save_model(run.out / "model", model)


def facts_of(run: TranslationRun) -> dict[str, Any]:
    """What a run is made from, for its manifest and its model card."""
    source = run.source
    return {
        "method": run.method.name,
        "data_fingerprint": {
            "source": "" if source is None else source.fingerprint,
            "target": run.target.fingerprint,
        },
        "source_pictures": 0 if source is None else len(source),
        "target_pictures": len(run.target),
        "held_out_pictures": sum(len(one) for one in run.held or () if one is not None),
        "left_out": [*(() if source is None else source.problems), *run.target.problems][:1000],
    }


def _holding_out(run: TranslationRun) -> TranslationRun:
    """Keep the last pictures of both sides out of a training."""
    target, last_targets = _parted(run.target, run.settings.held_out)
    source, last_sources = (
        (None, None) if run.source is None else _parted(run.source, run.settings.held_out)
    )
    return replace(run, source=source, target=target, held=(last_sources, last_targets))


def _parted(domain: Domain, share: float) -> tuple[Domain, Domain]:
    count = max(1, round(share * len(domain)))
    if count >= len(domain):
        raise DataError(
            f"held_out needs two pictures of {domain.paths[0]} or more, got {len(domain)}; give "
            "more, or set held_out to 0"
        )
    first = len(domain) - count
    return domain.chosen(range(first)), domain.chosen(range(first, len(domain)))


def planned_channels(sides: Sides, pictures: PictureSettings) -> Channels:
    """Return the channels that the two sides will have; foreign pictures are taken for colour."""
    classes = classes_in(sides, pictures)
    planes = {"source": pictures.source_planes, "target": pictures.target_planes}
    counts = {}
    for side, paths in {"source": sides.source, "target": sides.target}.items():
        datasets = any(find_source(path).kind == "dataset" for path in paths)
        stack = PlaneStack(planes[side], pictures.depth_range_mm, classes)
        counts[side] = (stack.channels if datasets else 3) if paths else 0
    return Channels(counts["source"], counts["target"])


def planned_pictures(sides: Sides, pictures: PictureSettings) -> int:
    """Return about how many pictures both sides hold; a video counts as one."""
    paths = (*sides.source, *sides.target)
    sources = [find_source(path, pictures.with_rejected) for path in paths]
    return sum(source.expected(pictures.every) for source in sources)


def classes_in(sides: Sides, pictures: PictureSettings) -> tuple[int, ...]:
    """Return the class indices of the data sets whose label maps are a plane of either side."""
    chosen = [
        path
        for planes, paths in (
            (pictures.source_planes, sides.source),
            (pictures.target_planes, sides.target),
        )
        if "labels" in planes
        for path in paths
    ]
    labels = []
    for path in chosen:
        if find_source(path).kind != "dataset":
            raise SettingsError(f"{path} is no data set and has no labels; ask for image alone")
        with closing(Dataset.open(path)) as dataset:
            labels.append(dataset.manifest.labels)
    return classes_of(labels) if labels else ()

# SPDX-License-Identifier: Apache-2.0
"""Train a translator by any method: the shell around domains, task, trainer and model file."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from endoforge.errors import CheckpointError
from endoforge.training.model_folder import fill_network, find_model, network_tensors
from endoforge.training.report import StepsDone, TrainingReport, forwarded, parameters_of
from endoforge.training.settings import MAY_CHANGE
from endoforge.training.trainer import Training, make_fabric, train
from endoforge.translation.fitting import (
    ModelExport,
    Sides,
    TranslationRun,
    batches_of,
    facts_of,
    open_run,
    planned_channels,
    planned_pictures,
    sides_of,
)
from endoforge.translation.methods import Method, find_method
from endoforge.translation.model_file import load_model, weights_hash
from endoforge.translation.samples import SamplePictures
from endoforge.translation.settings import TranslationSettings
from endoforge.translation.translator import BeginsFromPixels, Channels, TranslationTask
from endoforge.translation.validating import HeldOutLosses

#: Settings that change no number, or that the fingerprint has in another form: hashes of the
#: pictures and of first weights.
_SAID_OTHERWISE = {"cache", "start_from", "samples"}


def train_translation(
    method: str,
    data: Sequence[Path],
    real: Sequence[Path],
    out: Path,
    settings: TranslationSettings,
    *,
    resume: bool = True,
    start_from: str | Path | None = None,
    dry_run: bool = False,
    progress: StepsDone | None = None,
) -> TrainingReport:
    """Train a translator; the same call again goes on where it was killed.

    Args:
        method: One of `methods.METHODS`.
        data: Simulated data set folders.
        real: Real pictures: folders, pictures, videos or data sets.
        out: The run's folder: settings.json, metrics.jsonl, manifest.json, checkpoints/, model/,
            samples/.
        settings: All settings, of the method's own class.
        resume: False begins anew in the same folder.
        start_from: Translator to go on from: a shipped name or a path; wins over the settings' own.
        dry_run: Build everything, train nothing, write nothing.
        progress: Called with steps done and steps in all at each report.

    Raises:
        SettingsError: There is no such method, or planes that a side does not have.
        DataError: A side is missing, empty or damaged.
        CheckpointError: The folder holds a training of other settings or data, or is damaged; or
            the translator to start from is of another method.
        TrainingDiverged: The loss kept being non-finite.
        StorageError: The disk is full; the last checkpoint is intact.
    """
    found = find_method(method)
    if start_from:
        settings = settings.model_copy(update={"start_from": str(start_from)})
    sides = sides_of(found, data, real)
    if dry_run:
        return _planned(found, sides, settings, out)
    cache = Path(settings.cache) if settings.cache else out / "cache"
    run = open_run(found, sides, settings, out, cache)
    report = train_on_domains(run, resume, progress)
    shutil.rmtree(out / "cache", ignore_errors=True)
    return report


def train_on_domains(
    run: TranslationRun, resume: bool = True, progress: StepsDone | None = None
) -> TrainingReport:
    """Train on sides that are already decoded; see `train_translation`."""
    settings = run.settings
    fabric = make_fabric(settings)
    task = first_task(run.method, settings, run.channels, fabric.device)
    if isinstance(task, BeginsFromPixels) and run.source is not None and not settings.start_from:
        task.begin(*(torch.from_numpy(side.pixels()) for side in (run.source, run.target)))
    model = ModelExport(run, task.translator)
    samples = SamplePictures(run, task.translator)

    def export(step: int) -> None:
        model(step)
        samples(step)

    training = Training(
        task=task,
        batches=batches_of(run, fabric.device),
        settings=settings,
        folder=run.out,
        fingerprint=_fingerprint(run),
        validate=HeldOutLosses(run, task, fabric.device) if run.held else None,
        export=export,
        progress=forwarded(progress),
        manifest={
            "task": run.method.name,
            "parameters": _sizes(task),
            "samples": samples.meaning,
            **facts_of(run),
        },
    )
    figures = train(training, fabric, resume)
    scope = _Scope(run.out, settings.steps, run.pictures, _decoded_bytes(run))
    return _report(task, scope, figures)


def first_task(
    method: Method, settings: TranslationSettings, channels: Channels, device: torch.device
) -> TranslationTask:
    """Build a method's networks on a device, with the weights to start from if there are any.

    Raises:
        CheckpointError: The weights to start from are of another method or network.
    """
    given = load_model(settings.start_from, method.name) if settings.start_from else None
    task = method.build(settings, channels)
    if given is not None:
        if given.translator.channels != channels:
            raise CheckpointError(
                f"the translator {settings.start_from!r} has {given.translator.channels} but the "
                f"data have {channels}; choose pictures.source_planes as it was trained"
            )
        tensors = network_tensors(given.translator)
        fill_network(task.translator, tensors, find_model(settings.start_from))
    for player in task.players.values():
        player.networks.to(device)
    return task


# ---- inside -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scope:
    out: Path
    steps: int
    pictures: int
    decoded_bytes: int


def _fingerprint(run: TranslationRun) -> dict[str, Any]:
    """What decides the numbers of a training, and so must agree when it goes on."""
    settings = run.settings.model_dump(mode="json", exclude={*MAY_CHANGE, *_SAID_OTHERWISE})
    if not run.settings.held_out:  # as if it did not exist, for trainings older than these two
        settings.pop("held_out")
    if not run.settings.pictures.with_rejected:
        settings["pictures"].pop("with_rejected")
    start = run.settings.start_from
    facts = facts_of(run)
    kept = {"method": facts["method"], "data": facts["data_fingerprint"]}
    return {**kept, "first_weights": weights_hash(start) if start else "none", **settings}


def _sizes(task: TranslationTask) -> dict[str, int]:
    return {name: parameters_of(player.networks) for name, player in task.players.items()}


def _decoded_bytes(run: TranslationRun) -> int:
    domains = [domain for domain in (run.source, run.target) if domain is not None]
    return sum(
        (domain.channels + 1) * entry.width * entry.height
        for domain in domains
        for entry in domain.entries
    )


def _planned(
    method: Method, sides: Sides, settings: TranslationSettings, out: Path
) -> TrainingReport:
    channels = planned_channels(sides, settings.pictures)
    task = first_task(method, settings, channels, torch.device("cpu"))
    pictures = planned_pictures(sides, settings.pictures)
    side = settings.pictures.height
    decoded = pictures * side * side * 4 // 3 * (max(channels.source, channels.target) + 1)
    return _report(task, _Scope(out, settings.steps, pictures, decoded), None)


def _report(
    task: TranslationTask, scope: _Scope, figures: dict[str, float] | None
) -> TrainingReport:
    parameters = parameters_of(task.translator)
    return TrainingReport(
        out=scope.out,
        steps=scope.steps,
        frames=scope.pictures,
        parameters=parameters,
        model_bytes=4 * parameters,
        cache_bytes=scope.decoded_bytes,
        figures=figures or {},
        dry_run=figures is None,
    )

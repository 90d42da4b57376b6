# SPDX-License-Identifier: Apache-2.0
"""Train a depth network on data sets on disk: the shell around task, trainer and model file."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from endoforge.depth.data import load_frames
from endoforge.depth.fitting import DepthBatches, DepthRun, ModelExport, validate_depth
from endoforge.depth.model_file import load_model
from endoforge.depth.networks.build import DepthNetwork, build_depth_network
from endoforge.depth.settings import DepthSettings
from endoforge.depth.task import DepthTask
from endoforge.errors import CheckpointError
from endoforge.frames.dataset import Dataset
from endoforge.frames.flat_cache import data_fingerprint, split_frames
from endoforge.frames.storage import sha256_of
from endoforge.training.device import on_device
from endoforge.training.model_folder import find_model
from endoforge.training.report import (
    StepsDone,
    TrainingReport,
    forwarded,
    log_decoding,
    parameters_of,
)
from endoforge.training.settings import MAY_CHANGE
from endoforge.training.trainer import Training, make_fabric, train

#: Settings that the fingerprint has in another form: hashes of the frames and of first weights.
_SAID_OTHERWISE = {"cache", "start_from", "with_rejected"}


def train_depth(
    data: Sequence[Path],
    out: Path,
    settings: DepthSettings,
    *,
    resume: bool = True,
    start_from: str | Path | None = None,
    dry_run: bool = False,
    progress: StepsDone | None = None,
) -> TrainingReport:
    """Train a depth network; the same call again goes on where it was killed.

    Args:
        data: Data set folders.
        out: The run's folder: settings.json, metrics.jsonl, manifest.json, checkpoints/, model/.
        settings: All settings.
        resume: False begins anew in the same folder.
        start_from: Model to fine-tune: a shipped name or a path; wins over the settings' own.
        dry_run: Build everything, train nothing, write nothing.
        progress: Called with steps done and steps in all at each report.

    Raises:
        DataError: A data set is missing or damaged.
        CheckpointError: The folder holds a training of other settings or data, or is damaged.
        TrainingDiverged: The loss kept being non-finite.
        StorageError: The disk is full; the last checkpoint is intact.
    """
    if start_from:
        settings = settings.model_copy(update={"start_from": str(start_from)})
    if dry_run:
        sets = [Dataset.open(path, with_rejected=settings.with_rejected) for path in data]
        return _report(settings, out, sum(len(one) - len(one.left_out) for one in sets))
    cache = Path(settings.cache) if settings.cache else out / "cache"
    size, rejected = (settings.width, settings.height), settings.with_rejected
    frames = load_frames(data, size, cache, log_decoding, rejected)
    split = split_frames(frames.sequence, settings.validation_share, settings.seed)
    run = DepthRun(frames, split, data_fingerprint(data, rejected), out, settings)
    figures = train_on_frames(run, resume, progress)
    shutil.rmtree(out / "cache", ignore_errors=True)
    return _report(settings, out, len(frames), figures)


def train_on_frames(
    run: DepthRun, resume: bool = True, progress: StepsDone | None = None
) -> dict[str, float]:
    """Train on frames that are already decoded; see `train_depth`.

    Returns:
        The last reported figures by name.
    """
    settings = run.settings
    fabric = make_fabric(settings)
    network = on_device(_first_network(settings), fabric.device)
    training = Training(
        task=DepthTask(network, settings.loss, settings),
        batches=DepthBatches(run, fabric.device),
        settings=settings,
        folder=run.out,
        fingerprint=_fingerprint(run),
        validate=lambda: validate_depth(run, network),
        export=ModelExport(run, network),
        progress=forwarded(progress),
        manifest=_manifest(run, network),
    )
    return train(training, fabric, resume)


# ---- inside -------------------------------------------------------------------------------------


def _first_network(settings: DepthSettings) -> DepthNetwork:
    """Build the network, with the weights to start from if the settings name any."""
    network = build_depth_network(settings.network)
    if settings.start_from:
        given = load_model(settings.start_from).network
        if given.settings != settings.network:
            raise CheckpointError(
                f"the model {settings.start_from!r} has the network {given.settings} but the "
                f"settings ask for {settings.network}; set network.* to the model's values"
            )
        network.load_state_dict(given.state_dict())
    return network


def _fingerprint(run: DepthRun) -> dict[str, Any]:
    """What decides the numbers of a training, and so must agree when it goes on."""
    settings = run.settings.model_dump(mode="json", exclude={*MAY_CHANGE, *_SAID_OTHERWISE})
    start = run.settings.start_from
    weights = sha256_of(find_model(start) / "model.safetensors") if start else "none"
    return {"data": run.data, "first_weights": weights, **settings}


def _manifest(run: DepthRun, network: DepthNetwork) -> dict[str, Any]:
    return {
        "task": "depth-unet",
        "data_fingerprint": run.data,
        "frames": len(run.split.training),
        "held_out_frames": len(run.split.validation),
        "parameters": parameters_of(network),
        "valid_share": float(np.mean(run.frames.depth_mm[run.split.training[::50]] > 0)),
    }


def _report(
    settings: DepthSettings, out: Path, frames: int, figures: dict[str, float] | None = None
) -> TrainingReport:
    parameters = parameters_of(build_depth_network(settings.network))
    return TrainingReport(
        out=out,
        steps=settings.steps,
        frames=frames,
        parameters=parameters,
        model_bytes=4 * parameters,
        cache_bytes=5 * frames * settings.width * settings.height,
        figures=figures or {},
        dry_run=figures is None,
    )

# SPDX-License-Identifier: Apache-2.0
"""Train a segmentation network on data sets on disk: the shell around task, trainer, model file."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from endoforge.errors import CheckpointError
from endoforge.frames.dataset import Dataset
from endoforge.frames.flat_cache import data_fingerprint, split_frames
from endoforge.frames.storage import sha256_of
from endoforge.segmentation.data import load_masked_frames, scheme_of
from endoforge.segmentation.fitting import (
    SegmentationBatches,
    SegmentationExport,
    SegmentationRun,
    validate_segmentation,
)
from endoforge.segmentation.model_file import load_segmentation_model
from endoforge.segmentation.networks.unet import SegmentationUNet
from endoforge.segmentation.settings import SegmentationSettings
from endoforge.segmentation.task import SegmentationTask
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


def train_segmentation(
    data: Sequence[Path],
    out: Path,
    settings: SegmentationSettings,
    *,
    resume: bool = True,
    start_from: str | Path | None = None,
    dry_run: bool = False,
    progress: StepsDone | None = None,
) -> TrainingReport:
    """Train a segmentation network; the same call again goes on where it was killed.

    Args:
        data: Data set folders with masks; their classes are matched by name.
        out: The run's folder: settings.json, metrics.jsonl, manifest.json, checkpoints/, model/.
        settings: All settings.
        resume: False begins anew in the same folder.
        start_from: Model to fine-tune: a shipped name or a path; wins over the settings' own.
        dry_run: Build everything, train nothing, write nothing.
        progress: Called with steps done and steps in all at each report.

    Raises:
        DataError: A data set is missing or damaged, or has no class of the ones asked for.
        CheckpointError: The folder holds a training of other settings or data, or is damaged.
        TrainingDiverged: The loss kept being non-finite.
        StorageError: The disk is full; the last checkpoint is intact.
    """
    if start_from:
        settings = settings.model_copy(update={"start_from": str(start_from)})
    scheme = scheme_of(data, settings)
    if dry_run:
        network = SegmentationUNet(settings.network, len(scheme.names))
        sets = [Dataset.open(path, with_rejected=settings.with_rejected) for path in data]
        frames = sum(len(one) - len(one.left_out) for one in sets)
        return _report(settings, out, frames, network)
    cache = Path(settings.cache) if settings.cache else out / "cache"
    size, rejected = (settings.width, settings.height), settings.with_rejected
    decoded = load_masked_frames(data, scheme, size, cache, log_decoding, rejected)
    split = split_frames(decoded.sequence, settings.validation_share, settings.seed)
    run = SegmentationRun(decoded, scheme, split, data_fingerprint(data, rejected), out, settings)
    report = train_on_masks(run, resume, progress)
    shutil.rmtree(out / "cache", ignore_errors=True)
    return report


def train_on_masks(
    run: SegmentationRun, resume: bool = True, progress: StepsDone | None = None
) -> TrainingReport:
    """Train on frames that are already decoded; see `train_segmentation`."""
    settings = run.settings
    fabric = make_fabric(settings)
    network = on_device(_first_network(run), fabric.device)
    weights = run.class_weights().to(fabric.device)
    training = Training(
        task=SegmentationTask(network, settings.loss, settings, weights),
        batches=SegmentationBatches(run, fabric.device),
        settings=settings,
        folder=run.out,
        fingerprint=_fingerprint(run),
        validate=lambda: validate_segmentation(run, network),
        export=SegmentationExport(run, network),
        progress=forwarded(progress),
        manifest=_manifest(run, network),
    )
    return _report(settings, run.out, len(run.frames), network, train(training, fabric, resume))


# ---- inside -------------------------------------------------------------------------------------


def _first_network(run: SegmentationRun) -> SegmentationUNet:
    """Build the network, with the weights to start from if the settings name any."""
    settings = run.settings
    network = SegmentationUNet(settings.network, len(run.scheme.names))
    if settings.start_from:
        given = load_segmentation_model(settings.start_from)
        wanted, there = (
            (run.scheme.names, settings.network),
            (given.scheme.names, given.network.settings),
        )
        if wanted != there:
            raise CheckpointError(
                f"the model {settings.start_from!r} has the classes and network {there} but this "
                f"training has {wanted}; set classes, merge and network.* to the model's values"
            )
        network.load_state_dict(given.network.state_dict())
    return network


def _fingerprint(run: SegmentationRun) -> dict[str, Any]:
    """What decides the numbers of a training, and so must agree when it goes on."""
    settings = run.settings.model_dump(mode="json", exclude={*MAY_CHANGE, *_SAID_OTHERWISE})
    start = run.settings.start_from
    weights = sha256_of(find_model(start) / "model.safetensors") if start else "none"
    return {"data": run.data, "first_weights": weights, **settings}


def _manifest(run: SegmentationRun, network: SegmentationUNet) -> dict[str, Any]:
    shares = run.shares()
    return {
        "task": "segmentation-unet",
        "data_fingerprint": run.data,
        "frames": len(run.split.training),
        "held_out_frames": len(run.split.validation),
        "parameters": parameters_of(network),
        "classes": list(run.scheme.names),
        "class_shares": shares,
        "unseen_classes": [name for name, share in shares.items() if not share],
    }


def _report(
    settings: SegmentationSettings,
    out: Path,
    frames: int,
    network: SegmentationUNet,
    figures: dict[str, float] | None = None,
) -> TrainingReport:
    parameters = parameters_of(network)
    return TrainingReport(
        out=out,
        steps=settings.steps,
        frames=frames,
        parameters=parameters,
        model_bytes=4 * parameters,
        cache_bytes=4 * frames * settings.width * settings.height,
        figures=figures or {},
        dry_run=figures is None,
    )

# SPDX-License-Identifier: Apache-2.0
"""The verbs that the command line and Python share: one function per stage.

Each loads its room when it is called, because torch and Mitsuba take seconds to load and a person
who asks for help has no need of them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from endoforge.errors import SettingsError
from endoforge.settings import override, read_settings_file, validate

if TYPE_CHECKING:
    from endoforge.evaluation.audit.run import AuditReport
    from endoforge.evaluation.depth import DepthEvaluation
    from endoforge.evaluation.experiments.outcome import ExperimentResult
    from endoforge.evaluation.experiments.reverse_outcome import ReverseResult
    from endoforge.evaluation.realism import Realism
    from endoforge.frames.check import CheckReport
    from endoforge.frames.exports.export import ExportReport
    from endoforge.serving.depth import RunReport
    from endoforge.simulation.run import SimulationReport
    from endoforge.training.report import TrainingReport
    from endoforge.translation.style_bank import StyleBank
    from endoforge.translation.translate import TranslateReport

Progress = Callable[[int, int], None]
AnyPath = Path | str


def simulate(
    recipe: AnyPath,
    *,
    out: AnyPath,
    frames: int | None = None,
    seed: int | None = None,
    workers: int = 1,
    ct: AnyPath | None = None,
    assignments: Sequence[str] = (),
    strict: bool = False,
    progress: Progress | None = None,
) -> "SimulationReport":
    """Make a labelled data set, or continue one that was interrupted.

    Args:
        recipe: A shipped recipe's name (``"colon"``), a YAML file, or a simulated data set's
            folder, whose settings are used again.
        out: The data set's folder.
        frames: Frames in the whole data set; None leaves the recipe's.
        seed: Same seed and settings, same data set; None leaves the recipe's.
        workers: Processes.
        ct: For cinematic recipes: a patient's CT, a NIfTI file or a folder with a DICOM series.
        assignments: ``"a.b=value"`` strings that override single settings.
        strict: Stop at the first sequence that fails instead of listing it.
        progress: Called with (frames done, frames in all).

    Raises:
        SettingsError: A setting is wrong, or the folder holds a data set of other settings.
        SceneError, DataError: The anatomy that the settings name cannot be used.
        StorageError: The disk is full or the folder cannot be written.
    """
    from endoforge.simulation.recipes import load_recipe
    from endoforge.simulation.run import simulate_dataset

    given = {"frames": frames, "seed": seed}
    changes = {name: value for name, value in given.items() if value is not None}
    patient = () if ct is None else (f"anatomy.ct={json.dumps(str(ct))}",)
    settings = load_recipe(str(recipe), changes, (*patient, *assignments))
    return simulate_dataset(settings, Path(out), workers, progress, strict)


def check(dataset: AnyPath, *, progress: Progress | None = None) -> "CheckReport":
    """Verify a data set: hashes, units, ranges, and that depth, flow and poses agree.

    Raises:
        DataError: The folder holds no data set.
    """
    from endoforge.frames.check import check_dataset

    return check_dataset(Path(dataset), progress)


def audit(
    dataset: AnyPath,
    *,
    against: AnyPath | None = None,
    assignments: Sequence[str] = (),
    progress: Progress | None = None,
) -> "AuditReport":
    """Judge frame by frame whether the labels of a translated data set still hold.

    Writes audit.json into the data set: training and export then leave rejected frames out. The
    same call goes on with an audit that was interrupted.

    Args:
        dataset: The translated data set's folder.
        against: The data set that it was made from; None finds it in the provenance.
        assignments: ``"key=value"`` strings that override `evaluation.audit.settings`.
        progress: Called with (frames judged, frames in all).

    Raises:
        DataError: A data set is damaged, or the two do not belong together.
        CheckpointError: A model that judges is missing or damaged.
        StorageError: The disk is full, or the folder cannot be written.
    """
    from endoforge.evaluation.audit.run import audit_dataset
    from endoforge.evaluation.audit.settings import AuditSettings

    settings = validate(AuditSettings, override({}, assignments))
    source = None if against is None else Path(against)
    return audit_dataset(Path(dataset), settings, against=source, progress=progress)


def realism(
    made: AnyPath,
    real: Sequence[AnyPath],
    *,
    features: AnyPath | None = None,
    before: AnyPath | None = None,
    assignments: Sequence[str] = (),
) -> "Realism":
    """Say how far made pictures are from real ones in the features of a named network.

    Args:
        made: Data set, folder of pictures or video.
        real: Real pictures: folders, videos or data sets.
        features: Weights of Inception (then the distances are FID and KID) or of SqueezeNet; None
            for the encoder of the shipped depth network, whose name the figures then carry.
        before: What ``made`` was translated from, measured beside it.
        assignments: ``"key=value"`` strings that override `evaluation.realism.RealismSettings`.

    Raises:
        DataError: A source has no pictures, or too few.
        CheckpointError: The weights are damaged, or of no known network.
    """
    from endoforge.evaluation.realism import measure_realism
    from endoforge.evaluation.realism_settings import RealismSettings

    settings = validate(RealismSettings, override({}, assignments))
    sets = {"made": Path(made)} | ({} if before is None else {"before": Path(before)})
    weights = None if features is None else Path(features)
    return measure_realism(sets, [Path(one) for one in real], weights, settings)


def export(
    dataset: AnyPath,
    *,
    format: str,
    out: AnyPath,
    with_rejected: bool = False,
    progress: Progress | None = None,
) -> "ExportReport":
    """Write a data set in another format: png, exr, coco, hdf5, kitti, tum, nerfstudio or ply.

    Args:
        dataset: Data set folder.
        format: One of the formats.
        out: Folder that is made; it is whole or not there.
        with_rejected: Write frames too that an audit rejected.
        progress: Called with (frames done, frames in all).

    Raises:
        SettingsError: There is no such format, or the folder exists.
        DataError: The data set is damaged, or lacks what the format needs.
        MissingDependency: The format needs a library that is not installed.
    """
    from endoforge.frames.exports.export import export_dataset

    return export_dataset(Path(dataset), format, Path(out), progress, with_rejected)


def train(
    task: str,
    *,
    data: Sequence[AnyPath],
    out: AnyPath,
    real: Sequence[AnyPath] = (),
    settings_file: AnyPath | None = None,
    assignments: Sequence[str] = (),
    start_from: AnyPath | None = None,
    narrow: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> "TrainingReport":
    """Train a network, or continue a training that was interrupted.

    Args:
        task: ``"depth-unet"``, ``"segmentation-unet"`` or a method of translation, such as
            ``"cyclegan"``.
        data: Data set folders.
        out: The RUN folder: settings, metrics, checkpoints and the finished model.
        real: For translation: real pictures (folders, pictures, videos or data sets).
        settings_file: YAML file of settings, or the settings.json of another run.
        assignments: ``"a.b=value"`` strings that override single settings.
        start_from: A model to fine-tune, e.g. ``"depth"`` for the shipped one.
        narrow: For translation: begin from `translation.narrow.NARROW`, small networks at 128 px
            for machines without a GPU, instead of the papers' networks.
        dry_run: Build everything, report sizes, train nothing.
        progress: Called with (steps done, steps in all).

    Raises:
        SettingsError: The task or a setting is unknown or wrong.
        DataError, CheckpointError: A data set or a checkpoint is damaged.
        TrainingDiverged: The loss stopped being a number.
    """
    written = {} if settings_file is None else read_settings_file(Path(settings_file))
    values = override(written, assignments)
    folders, pictures = [Path(path) for path in data], [Path(path) for path in real]
    if task in ("depth-unet", "segmentation-unet"):
        if pictures:
            raise SettingsError(f"{task} learns from data sets alone; leave out --real")
        if not folders:
            raise SettingsError(f"{task} needs a data set or more, got none; give --data")
        if narrow:
            raise SettingsError(f"{task} has one size; leave out --narrow")
    match task:
        case "depth-unet":
            from endoforge.depth.settings import DepthSettings
            from endoforge.depth.train import train_depth

            return train_depth(
                folders,
                Path(out),
                validate(DepthSettings, values),
                start_from=start_from,
                dry_run=dry_run,
                progress=progress,
            )
        case "segmentation-unet":
            from endoforge.segmentation.settings import SegmentationSettings
            from endoforge.segmentation.train import train_segmentation

            return train_segmentation(
                folders,
                Path(out),
                validate(SegmentationSettings, values),
                start_from=start_from,
                dry_run=dry_run,
                progress=progress,
            )
        case _:
            from endoforge.translation.methods import METHODS

            if task not in METHODS:
                known = ", ".join(["depth-unet", "segmentation-unet", *sorted(METHODS)])
                raise SettingsError(f"there is no task {task!r}; known: {known}")
            from endoforge.translation.narrow import narrow as narrowed

            chosen = narrowed(task, values) if narrow else None
            settings = chosen or validate(METHODS[task].settings(), values)
            from endoforge.translation.train import train_translation

            return train_translation(
                task,
                folders,
                pictures,
                Path(out),
                settings,
                start_from=start_from,
                dry_run=dry_run,
                progress=progress,
            )


def translate(
    model: AnyPath,
    dataset: AnyPath,
    *,
    out: AnyPath,
    choices: Mapping[str, Any] | None = None,
    workers: int = 1,
    audit: bool = True,
    assignments: Sequence[str] = (),
    progress: Progress | None = None,
) -> "TranslateReport":
    """Give a data set another look, labels as they are, or continue one that was interrupted.

    Args:
        model: A RUN folder or a model folder of a method of translation, or a shipped model.
        dataset: The data set's folder.
        out: The translated data set's folder.
        choices: Settings by name, see `translation.translate_settings.TranslateSettings`, e.g.
            ``{"styles": 5}`` or ``{"style_from": ["a.png"]}``.
        workers: Processes.
        audit: Judge each frame as it is made; frames whose labels do not hold are rejected.
        assignments: ``"key=value"`` strings that override single settings; those of the audit as
            ``"audit.key=value"``.
        progress: Called with (frames done, frames in all).

    Raises:
        SettingsError: A setting is wrong, the folder holds another data set, or the method lacks
            the styles asked for.
        DataError: The source is damaged or incomplete, or does not fit the model.
        CheckpointError: The model, the style bank or a model that judges is damaged.
        StorageError: The disk is full or the folder cannot be written.
    """
    from endoforge.translation.translate_settings import TranslateSettings

    values = override(dict(choices or {}), assignments)
    judging = values.pop("audit", {})
    settings = validate(TranslateSettings, values)
    from functools import partial

    from endoforge.evaluation.audit.judge import make_judge
    from endoforge.evaluation.audit.settings import AuditSettings
    from endoforge.frames.manifest import read_manifest
    from endoforge.translation.ready import load_ready
    from endoforge.translation.translate import Translation, translate_dataset

    names = read_manifest(Path(dataset)).labels
    judge = partial(make_judge, names, validate(AuditSettings, judging)) if audit else None
    load = partial(load_ready, str(model))
    task = Translation(load, Path(dataset), Path(out), settings, judge, workers)
    return translate_dataset(task, progress)


def styles(
    model: AnyPath,
    paths: Sequence[AnyPath],
    *,
    out: AnyPath,
    assignments: Sequence[str] = (),
    progress: Progress | None = None,
) -> "StyleBank":
    """Put the looks of a hospital's pictures on a map and into groups, for `translate`.

    Args:
        model: A model with styles: of munit or content-munit.
        paths: Folders of pictures, videos or data sets.
        out: The style bank's folder: map.png and the sealed style codes.
        assignments: ``"key=value"`` strings that override `StyleBankSettings`.
        progress: Called with (pictures done, pictures in all).

    Raises:
        SettingsError: A setting is wrong, or the method has no styles.
        DataError: There are no pictures, or damaged ones.
        CheckpointError: The model is missing or damaged.
        StorageError: The disk is full or the folder cannot be written.
    """
    from endoforge.translation.translate_settings import StyleBankSettings

    settings = validate(StyleBankSettings, override({}, assignments))
    from endoforge.translation.ready import load_ready
    from endoforge.translation.style_bank import make_style_bank

    ready = load_ready(str(model)).on(settings.device, "float32")
    return make_style_bank(ready, [Path(path) for path in paths], Path(out), settings, progress)


def evaluate(
    model: AnyPath,
    dataset: AnyPath,
    *,
    out: AnyPath | None = None,
    baselines_from: AnyPath | None = None,
    assignments: Sequence[str] = (),
    progress: Progress | None = None,
) -> "DepthEvaluation":
    """Measure a depth model under every alignment, beside trivial baselines.

    Args:
        model: ``"depth"`` for the shipped model, a RUN folder or a model folder.
        dataset: Data set folder with depth.
        out: Where the figures and error maps go; None keeps them in memory.
        baselines_from: Data set that the constant and the mean-map predictor are fitted on.
        assignments: ``"key=value"`` strings that override the protocol's settings.
        progress: Called with (frames done, frames in all).
    """
    from endoforge.evaluation.depth import evaluate_model
    from endoforge.evaluation.settings import DepthProtocol

    protocol = validate(DepthProtocol, override({}, assignments))
    return evaluate_model(
        str(model),
        Path(dataset),
        protocol,
        out=None if out is None else Path(out),
        baselines_from=None if baselines_from is None else Path(baselines_from),
        progress=progress,
    )


def run(
    model: AnyPath,
    path: AnyPath,
    *,
    out: AnyPath,
    adapt: AnyPath | None = None,
    assignments: Sequence[str] = (),
    progress: Progress | None = None,
) -> "RunReport":
    """Estimate depth, or masks, on a picture, a folder of pictures or a video.

    Args:
        model: ``"depth"`` for the shipped model, a RUN folder or a model folder, of depth or of
            segmentation.
        path: The picture, folder or video file.
        out: Folder for side-by-side pictures, video and 16-bit depth with point clouds, or masks.
        adapt: A translator of method reverse that stands before the depth network: a RUN folder or
            a shipped name; None for none.
        assignments: ``"key=value"`` strings that override `RunSettings` of `serving.settings`, or
            its `MaskSettings`.
        progress: Called with (frames done, frames in all).

    Raises:
        SettingsError: A setting is wrong, or does not apply to this kind of model.
        DataError, CheckpointError: The pictures or the model are damaged, or of another kind.
        StorageError: The disk is full or the folder cannot be written.
    """
    from endoforge.serving.settings import MaskSettings, RunSettings
    from endoforge.training.model_folder import kind_of_model

    kind = kind_of_model(model)
    if kind == "translation-model":
        raise SettingsError(
            f"expected a model of depth or segmentation, got the translator {model}; give it to "
            "endoforge translate, or behind --adapt if its method is reverse"
        )
    if kind == "segmentation-model":
        if adapt is not None:
            raise SettingsError(
                f"expected a depth model behind --adapt, got the segmentation model {model}; leave "
                "--adapt out"
            )
        from endoforge.serving.masks import run_masks

        told = validate(MaskSettings, override({}, assignments))
        return run_masks(str(model), Path(path), Path(out), told, progress)
    from endoforge.serving.depth import run_depth

    first = {} if adapt is None else {"adapt": str(adapt)}
    settings = validate(RunSettings, override(first, assignments))
    return run_depth(str(model), Path(path), Path(out), settings, progress)


def reproduce(
    experiment: str,
    *,
    out: AnyPath,
    scale: str = "quick",
    assignments: Sequence[str] = (),
    say: Callable[[str], None] = lambda text: None,
) -> "ExperimentResult | ReverseResult":
    """Run a paper's experiment again and say which of its claims held.

    Args:
        experiment: ``"cinematic"`` or ``"reverse"``.
        out: Folder of everything that it makes; the same call goes on where it was stopped.
        scale: ``"quick"`` for two cores, ``"full"`` for a GPU.
        assignments: ``"key=value"`` strings that override the experiment's settings.
        say: Called with one line per part.

    Raises:
        SettingsError: There is no such experiment or scale, or a setting is wrong.
        EndoforgeError: A part of it failed; names it.
    """
    from endoforge.evaluation.experiments.reverse_settings import (
        ReverseExperiment,
        reverse_experiment,
    )
    from endoforge.evaluation.experiments.settings import (
        SCALES,
        CinematicExperiment,
        cinematic_experiment,
    )

    if experiment not in ("cinematic", "reverse"):
        raise SettingsError(f"there is no experiment {experiment!r}; known: cinematic, reverse")
    if scale not in SCALES:
        raise SettingsError(f"scale must be {' or '.join(SCALES)}, got {scale!r}")
    if experiment == "reverse":
        told = validate(ReverseExperiment, override(reverse_experiment(scale), assignments))
        from endoforge.evaluation.experiments.reverse import reproduce_reverse

        return reproduce_reverse(Path(out), told, say)
    settings = validate(CinematicExperiment, override(cinematic_experiment(scale), assignments))
    from endoforge.evaluation.experiments.cinematic import reproduce_cinematic

    return reproduce_cinematic(Path(out), settings, say)


def view(path: AnyPath, *, out: AnyPath | None = None) -> Path:
    """Write one static page about a data set or a run and return where it is.

    Args:
        path: Data set folder or RUN folder.
        out: HTML file; None writes ``report.html`` into the folder.
    """
    from endoforge.evaluation.report.write import write_report

    return write_report(Path(path), None if out is None else Path(out))

# SPDX-License-Identifier: Apache-2.0
"""Another look for a whole data set: same labels byte for byte, new pictures, on disk as they come.

The stage is a simulation's twin: a sequence is made whole or not at all, what is missing is read
from the folder itself, and a run that was killed continues with the same bytes.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from endoforge.errors import DataError
from endoforge.frames.audit_file import SOURCE, read_audit, read_notes, write_audit
from endoforge.frames.dataset import Dataset
from endoforge.frames.flat_cache import data_fingerprint
from endoforge.frames.journal import read_journal, reconcile
from endoforge.frames.manifest import MANIFEST, DatasetManifest, open_manifest, read_manifest
from endoforge.frames.workers import ShardJob, make_shards
from endoforge.translation.maker import LOOK_LABELS, JudgeLoader, start_translating
from endoforge.translation.planes import classes_of
from endoforge.translation.ready import Loader, ReadyTranslator
from endoforge.translation.styles import Styles, choose_styles
from endoforge.translation.translate_settings import TranslateSettings

Progress = Callable[[int, int], None]

#: What may differ when a run goes on, or is told by its hash: where pictures and banks lie.
_SAID_OTHERWISE = frozenset({"device", "style_bank", "style_from", "style_between"})


@dataclass(frozen=True)
class TranslateReport:
    """What a run of `translate` did.

    Attributes:
        out: The data set's folder.
        frames: Frames in the data set now.
        frames_planned: Frames when it is complete.
        frames_made: Frames that this run added.
        styles: What a person calls each style.
        seconds: Wall time of this run.
        rejected: Frames whose labels the judge found not to hold; None if nobody judged.
        failures: What went wrong, by sequence number; empty when all is well.
    """

    out: Path
    frames: int
    frames_planned: int
    frames_made: int
    styles: tuple[str, ...]
    seconds: float
    rejected: int | None = None
    failures: Mapping[int, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """True when every planned frame is on disk."""
        return self.frames == self.frames_planned


@dataclass(frozen=True)
class Translation:
    """What is to be translated, and how the work is shared.

    Attributes:
        load: Builds the model; called once here and once in each worker.
        dataset: The source's folder.
        out: The translated data set's folder; made when missing.
        settings: Styles, size, device.
        judge: Builds what scores each frame as it is made, like `load`; None for nobody.
        workers: Processes; 1 uses all cores in this one.
    """

    load: Loader
    dataset: Path
    out: Path
    settings: TranslateSettings
    judge: JudgeLoader | None = None
    workers: int = 1


def translate_dataset(task: Translation, progress: Progress | None = None) -> TranslateReport:
    """Translate a data set, or continue one.

    Sequence `s` of the source in style `k` becomes sequence ``s * styles + k``. Pictures (of both
    eyes, with the same style) are new; depth, normals, classes, objects, flow, texture and all
    other labels of geometry are the source's bytes. Labels that describe the source's look
    (`maker.LOOK_LABELS`) are left out, and facts that do (`maker.LOOK_FACTS`) move into the group
    ``source_look``. Each frame's facts say ``translation``: method, style, code, source frame.

    Args:
        task: What to translate.
        progress: Called with (frames done, frames in the data set).

    Raises:
        SettingsError: The folder holds another data set, or the method lacks the styles asked for.
        DataError: The source is damaged, incomplete, or lacks what the model is fed.
        CheckpointError: The model or the style bank is damaged or does not fit.
        StorageError: The disk is full or the folder cannot be written; run again when mended.
    """
    started = time.monotonic()
    ready = task.load().on(task.settings.device, task.settings.precision)
    source = _open_source(task, ready)
    with closing(source):
        styles = choose_styles(ready, task.settings, len(source.sequences))
        about = None if task.judge is None else dict(task.judge().about)
        manifest = _manifest((task, about), ready, source, styles)
    open_manifest(task.out, manifest)
    number = len(styles.names)
    frames_of = {
        place * number + k: record.frames
        for place, record in enumerate(source.sequences)
        for k in range(number)
    }
    finished = {record.sequence for record in reconcile(task.out)}
    missing = [sequence for sequence in frames_of if sequence not in finished]
    done = made = sum(frames_of[sequence] for sequence in frames_of if sequence in finished)
    shown, failures = done, {}

    def tick(count: int) -> None:
        nonlocal shown
        shown += count
        if progress is not None:
            progress(shown, manifest.frames)

    tick(0)
    del ready  # workers have their own; two models would fill a GPU
    arguments = (
        task.load,
        task.dataset,
        task.out,
        task.settings.model_dump_json(),
        styles,
        task.judge,
    )
    job = ShardJob(task.out, start_translating, arguments)
    for outcome in make_shards(job, missing, task.workers, tick) if missing else ():
        made += outcome.frames
        if outcome.failure:
            failures[outcome.sequence] = outcome.failure
    if len(read_journal(task.out)) < manifest.sequences - len(failures):
        reconcile(task.out)  # another run on this folder rewrote the journal at the wrong moment
    rejected = _finish_audit(task.out, about, manifest) if made == manifest.frames else None
    seconds = time.monotonic() - started
    return TranslateReport(
        task.out, made, manifest.frames, made - done, styles.names, seconds, rejected, failures
    )


# ---- inside -------------------------------------------------------------------------------------


def _open_source(task: Translation, ready: ReadyTranslator) -> Dataset:
    """Open the data set and make sure that the model can be fed with it."""
    if task.dataset.resolve() == task.out.resolve():
        raise DataError(f"{task.out} is the source itself; choose another folder for the result")
    source = Dataset.open(task.dataset)
    if source.missing:
        raise DataError(
            f"{task.dataset} lacks {source.missing} of its {source.manifest.frames} frames; finish "
            "it first, with the command that began it"
        )
    stack = ready.stack
    if stack.channels != ready.translator.channels.source:
        raise DataError(
            f"the model is fed {ready.translator.channels.source} channels, but the planes "
            f"{', '.join(stack.planes)} of {task.dataset} have {stack.channels}; give a data set "
            "with the classes that it was trained on"
        )
    if ready.translator.channels.target != 3:
        raise DataError(
            f"the model makes pictures of {ready.translator.channels.target} channels, but a frame "
            "has 3; take a model that makes colour pictures"
        )
    if "right" in source.labels and stack.planes != ("image",):
        raise DataError(
            f"{task.dataset} has two eyes, but the model is fed {', '.join(stack.planes)}, which "
            "the right eye lacks; take a model that is fed pictures alone"
        )
    if (
        "labels" in stack.planes
        and (there := classes_of([source.manifest.labels])) != stack.classes
    ):
        raise DataError(
            f"the model is fed the classes {stack.classes}, but {task.dataset} has {there}; give a "
            "data set of the kind that it was trained on"
        )
    return source


def _manifest(
    asked: tuple[Translation, dict[str, Any] | None],
    ready: ReadyTranslator,
    source: Dataset,
    styles: Styles,
) -> DatasetManifest:
    task, about = asked
    before, number = source.manifest, len(styles.names)
    translation: dict[str, Any] = {
        "method": ready.method,
        "weights_sha256": ready.weights_sha256,
        "planes": list(ready.stack.planes),
        "styles": list(styles.names),
        "styles_from": styles.origin,
        "settings": task.settings.model_dump(mode="json", exclude=set(_SAID_OTHERWISE)),
        "judge": about and {k: v for k, v in about.items() if k != "endoforge"},
        "source_name": before.name,
        "source_settings_sha256": before.settings_sha256,
        "source_shards_sha256": data_fingerprint([task.dataset]),
    }
    kept = (set(before.optional_labels) - LOOK_LABELS) | {"facts"}
    values = before.model_dump(
        mode="json", exclude={"settings_sha256", "conventions", "versions", "optional_labels"}
    )
    where = str(task.dataset.resolve())
    if (task.out / MANIFEST).exists():  # the source may have been moved since
        where = read_manifest(task.out).provenance.get(SOURCE, where)
    return DatasetManifest.model_validate(
        values
        | {
            "name": f"{before.name}, translated by {ready.method}"[:200],
            "optional_labels": sorted(kept),
            "settings": {"translation": translation, "source": before.settings},
            "sequences": before.sequences * number,
            "frames": before.frames * number,
            "provenance": before.provenance | {SOURCE: where},
        }
    )


def _finish_audit(out: Path, about: dict[str, Any] | None, manifest: DatasetManifest) -> int | None:
    """Write audit.json once every frame was judged; say how many were rejected."""
    if about is None:
        return None
    audit = read_audit(out)
    if audit is None and len(read_notes(out)) == manifest.frames:
        audit = write_audit(out, about)
    return None if audit is None else len(audit.rejected)

# SPDX-License-Identifier: Apache-2.0
"""The stage behind ``endoforge audit``: a translated data set and its source in, audit.json out."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from endoforge.errors import DataError
from endoforge.evaluation.audit.judge import make_judge
from endoforge.evaluation.audit.settings import AuditSettings
from endoforge.frames.audit_file import (
    AUDIT,
    AUDIT_JOURNAL,
    SOURCE,
    Audit,
    FrameKey,
    Judge,
    note_scores,
    read_notes,
    source_key,
    write_audit,
)
from endoforge.frames.dataset import Dataset
from endoforge.frames.frame import Frame
from endoforge.frames.storage import read_json, write_json

Progress = Callable[[int, int], None]

#: Says which judge the lines of an interrupted audit are of.
ABOUT = "audit-about.json"


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes:
        dataset: The translated data set's folder.
        source: The folder of what it was made from.
        frames: Frames that were judged.
        rejected: The rejected ones as (sequence, index), in order.
        threshold: From which score on frames are rejected.
        median_damage: Median score.
        median_shift_px: Median over frames of the median displacement, px.
        worst: The five frames with the highest scores, and these.
        seconds: Wall time.
    """

    dataset: Path
    source: Path
    frames: int
    rejected: tuple[FrameKey, ...]
    threshold: float
    median_damage: float
    median_shift_px: float
    worst: tuple[tuple[FrameKey, float], ...]
    seconds: float


def audit_dataset(
    dataset: Path,
    settings: AuditSettings,
    *,
    against: Path | None = None,
    judge: Judge | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Judge every frame of a translated data set; the same call again goes on where it stopped.

    Args:
        dataset: The translated data set; gets audit.json.
        settings: Who judges.
        against: The data set that it was made from; None finds it in the provenance.
        judge: Another judge than the settings name.
        progress: Called with (frames judged, frames in all).

    Raises:
        DataError: A data set is damaged, the source cannot be found, or the two do not belong
            together: other size, other labels.
        CheckpointError: A model is missing or damaged.
        StorageError: The disk is full, or the folder cannot be written.
    """
    started = time.monotonic()
    with closing(Dataset.open(dataset)) as translated:
        origin = find_source(translated, against)
        with closing(Dataset.open(origin)) as source:
            judge = judge or make_judge(source.manifest.labels, settings)
            _begin(dataset, dict(judge.about))
            _judge_all(translated, source, judge, progress)
    audit = write_audit(dataset, judge.about)
    (dataset / ABOUT).unlink(missing_ok=True)
    return _report(audit, dataset, origin, time.monotonic() - started)


def find_source(translated: Dataset, against: Path | None) -> Path:
    """Where the data set lies that another was made from.

    Raises:
        DataError: Nobody says, or it is not there.
    """
    said = translated.manifest.provenance.get(SOURCE)
    if against is None and said is None:
        raise DataError(
            f"{translated.path} does not say what it was translated from; name it with --against"
        )
    folder = against or Path(str(said))
    if not folder.is_absolute() and against is None and not folder.is_dir():
        folder = translated.path.parent / folder
    if not folder.is_dir():
        raise DataError(f"the source {folder} is not there; name it with --against")
    return folder


# ---- inside -------------------------------------------------------------------------------------


def _begin(folder: Path, about: dict[str, Any]) -> None:
    """Forget an audit under way by another judge, and the one that will be replaced."""
    file = folder / ABOUT
    if (folder / AUDIT_JOURNAL).exists() and not (file.exists() and read_json(file) == about):
        (folder / AUDIT_JOURNAL).unlink()
    (folder / AUDIT).unlink(missing_ok=True)
    write_json(file, about)


def _judge_all(
    translated: Dataset, source: Dataset, judge: Judge, progress: Progress | None
) -> None:
    places = {
        record.sequence: sum(r.frames for r in source.sequences[:number])
        for number, record in enumerate(source.sequences)
    }
    done = read_notes(translated.path)
    for index in range(len(translated)):
        place = translated.place(index)
        key = (translated.sequences[place.shard].sequence, place.position)
        if key not in done:
            frame = translated.frame(index)
            sequence, position = source_key(frame.facts, key)
            if sequence not in places:
                raise DataError(
                    f"{source.path} has no sequence {sequence}, which frame {key[1]} of sequence "
                    f"{key[0]} was made from; name the right source with --against"
                )
            original = source.frame(places[sequence] + position)
            _refuse_strangers(original, frame, key)
            note_scores(translated.path, key, judge(original, frame.image))
        if progress is not None:
            progress(index + 1, len(translated))


def _refuse_strangers(original: Frame, frame: Frame, key: FrameKey) -> None:
    if original.image.shape != frame.image.shape or not np.array_equal(original.label, frame.label):
        raise DataError(
            f"frame {key[1]} of sequence {key[0]} has not the labels of frame {original.index} of "
            f"sequence {original.sequence} of its source ({frame.image.shape} and "
            f"{original.image.shape} px); name the right source with --against"
        )


def _report(audit: Audit, dataset: Path, source: Path, seconds: float) -> AuditReport:
    damage = [one.damage for one in audit.scores.values()]
    shifts = [one.measures.get("shift_median_px", 0.0) for one in audit.scores.values()]
    return AuditReport(
        dataset=dataset,
        source=source,
        frames=len(damage),
        rejected=audit.rejected,
        threshold=audit.threshold,
        median_damage=float(np.median(damage)),
        median_shift_px=float(np.median(shifts)),
        worst=tuple((key, audit.scores[key].damage) for key in audit.worst(5)),
        seconds=seconds,
    )

# SPDX-License-Identifier: Apache-2.0
"""What an audit said of a translated data set: scores per frame on disk, and who was rejected.

`audit.jsonl` grows by one line per judged frame, so that an interrupted audit goes on;
`audit.json` is written when every frame has been judged and is what readers look at. The audit
itself is made in `evaluation.audit`; translation only hands pictures to a `Judge`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from endoforge.errors import DataError
from endoforge.frames.frame import Frame
from endoforge.frames.journal import read_journal
from endoforge.frames.storage import (
    append_line,
    parse_json,
    read_bytes,
    read_json,
    to_json,
    write_json,
)

#: The finished audit, and the lines of one under way, within the data set's folder.
AUDIT, AUDIT_JOURNAL = "audit.json", "audit.jsonl"
AUDIT_KIND, FORMAT_VERSION = "endoforge translation audit", 1

_LIMIT_BYTES = 500_000_000

#: Key in the provenance of a translated data set: the folder of the data set that it was made from.
SOURCE = "translated_from"

#: Sequence and index within it.
FrameKey = tuple[int, int]


@dataclass(frozen=True)
class FrameScores:
    """What an audit found in one translated frame.

    Attributes:
        damage: Calibrated score from 0 to 1; what 0.5 means is said in `Judge.about`.
        measures: The measures that it was made from, by name.
    """

    damage: float
    measures: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Judge(Protocol):
    """Says whether the labels of a frame still hold for its translation."""

    @property
    def about(self) -> Mapping[str, Any]:
        """Plain values: ``threshold``, what the score means, and versions of what judged."""
        ...

    def __call__(
        self, source: Frame, translated: UInt8[np.ndarray, "height width 3"]
    ) -> FrameScores:
        """Compare a simulated frame, labels included, with its translation of the same size."""
        ...


@dataclass(frozen=True)
class Audit:
    """The finished audit of a data set.

    Attributes:
        about: What the judge said of itself; has ``threshold``.
        scores: By sequence and index within it.
        shards: SHA-256 of the shards that were judged, by file name.
    """

    about: Mapping[str, Any]
    scores: Mapping[FrameKey, FrameScores]
    shards: Mapping[str, str]

    @property
    def threshold(self) -> float:
        """Frames whose damage is at least this are rejected."""
        return float(self.about["threshold"])

    @cached_property
    def rejected(self) -> tuple[FrameKey, ...]:
        """The rejected frames in their order."""
        found = (key for key, one in self.scores.items() if one.damage >= self.threshold)
        return tuple(sorted(found))

    def worst(self, count: int) -> list[FrameKey]:
        """The frames with the highest damage, worst first."""
        order = sorted(self.scores, key=lambda key: (-self.scores[key].damage, key))
        return order[:count]


def source_key(facts: Mapping[str, Any], key: FrameKey) -> FrameKey:
    """Which frame of the source a translated frame shows.

    Args:
        facts: Of the translated frame; ``facts["translation"]["source"]`` is [sequence, index]
            where a data set shows its source in several styles.
        key: Of the translated frame; that of the source too where the facts say nothing.

    Raises:
        DataError: The facts say something impossible.
    """
    translation = facts.get("translation")
    given = translation.get("source") if isinstance(translation, Mapping) else None
    if given is None:
        return key
    if not (isinstance(given, list | tuple) and len(given) == 2 and all(
        isinstance(value, int) and value >= 0 for value in given
    )):  # fmt: skip
        raise DataError(
            f"frame {key[1]} of sequence {key[0]}: translation.source must be [sequence, index], "
            f"got {given!r:.60}; translate the data set again"
        )
    return int(given[0]), int(given[1])


def note_scores(folder: Path, key: FrameKey, scores: FrameScores) -> None:
    """Add the scores of one frame to the audit under way; several processes may do so at once.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    append_line(folder / AUDIT_JOURNAL, to_json(_line(key, scores)))


def read_notes(folder: Path) -> dict[FrameKey, FrameScores]:
    """Return what has been judged so far; of two lines for one frame the last counts.

    Raises:
        DataError: A line says something impossible.
    """
    path = folder / AUDIT_JOURNAL
    if not path.exists():
        return {}
    found: dict[FrameKey, FrameScores] = {}
    for number, line in enumerate(read_bytes(path, _LIMIT_BYTES).split(b"\n"), start=1):
        if line.strip().endswith(b"}"):  # a killed process leaves a cut line
            key, scores = _read_line(parse_json(line, f"{path} line {number}"), str(path))
            found[key] = scores
    return found


def write_audit(folder: Path, about: Mapping[str, Any]) -> Audit:
    """Turn the lines of `note_scores` into audit.json, once every frame of the data set has one.

    Args:
        folder: The translated data set.
        about: What the judge says of itself, with ``threshold`` from 0 to 1.

    Raises:
        DataError: Frames lack scores, or the threshold is no share.
        StorageError: The disk is full, or the folder cannot be written.
    """
    notes, records = read_notes(folder), read_journal(folder)
    keys = [(record.sequence, index) for record in records for index in range(record.frames)]
    if missing := [key for key in keys if key not in notes]:
        raise DataError(
            f"{len(missing)} of {len(keys)} frames of {folder} have not been judged, the first is "
            f"sequence {missing[0][0]} frame {missing[0][1]}; run endoforge audit again"
        )
    audit = Audit(
        dict(about), {key: notes[key] for key in keys}, {r.shard: r.sha256 for r in records}
    )
    _refuse_threshold(audit.about, str(folder))
    write_json(folder / AUDIT, _plain(audit))
    (folder / AUDIT_JOURNAL).unlink(missing_ok=True)
    return audit


def read_audit(folder: Path) -> Audit | None:
    """Return the finished audit of a data set; None if there is none.

    Raises:
        DataError: It is damaged, or it is of other shards than those that are there now.
    """
    path = folder / AUDIT
    if not path.is_file():
        return None
    values = read_json(path, _LIMIT_BYTES)
    if not isinstance(values, dict) or values.get("kind") != AUDIT_KIND:
        raise DataError(f"{path} must be an {AUDIT_KIND}, got {str(values)[:60]}; remove it")
    if values.get("format_version") != FORMAT_VERSION:
        found = values.get("format_version")
        raise DataError(f"{path} must have format_version 1, got {found!r}; update Endoforge")
    about, shards, frames = (values.get(name) for name in ("about", "shards", "frames"))
    if not (isinstance(about, dict) and isinstance(shards, dict) and isinstance(frames, list)):
        raise DataError(f"{path} lacks about, shards or frames; run endoforge audit again")
    _refuse_threshold(about, str(path))
    audit = Audit(about, dict(_read_line(line, str(path)) for line in frames), shards)
    _refuse_other_shards(folder, audit)
    return audit


# ---- inside -------------------------------------------------------------------------------------


def _line(key: FrameKey, scores: FrameScores) -> dict[str, Any]:
    measures = {name: float(f"{value:.5g}") for name, value in scores.measures.items()}
    damage = round(float(scores.damage), 5)
    return {"sequence": key[0], "index": key[1], "damage": damage, "measures": measures}


def _read_line(values: Any, source: str) -> tuple[FrameKey, FrameScores]:
    try:
        key = (int(values["sequence"]), int(values["index"]))
        measures = {str(name): float(value) for name, value in values["measures"].items()}
        damage = float(values["damage"])
    except (TypeError, KeyError, ValueError, AttributeError):
        raise DataError(
            f"{source}: a frame must have sequence, index, damage and measures, got "
            f"{str(values)[:80]}; run endoforge audit again"
        ) from None
    if not 0 <= damage <= 1:
        raise DataError(f"{source}: damage must be 0 to 1, got {damage}; run endoforge audit again")
    return key, FrameScores(damage, measures)


def _plain(audit: Audit) -> dict[str, Any]:
    return {
        "kind": AUDIT_KIND,
        "format_version": FORMAT_VERSION,
        "about": dict(audit.about),
        "shards": dict(audit.shards),
        "rejected": [list(key) for key in audit.rejected],
        "frames": [_line(key, one) for key, one in audit.scores.items()],
    }


def _refuse_threshold(about: Mapping[str, Any], source: str) -> None:
    threshold = about.get("threshold")
    if not isinstance(threshold, int | float) or not 0 <= threshold <= 1 or math.isnan(threshold):
        raise DataError(f"{source}: threshold must be 0 to 1, got {threshold!r}; audit again")


def _refuse_other_shards(folder: Path, audit: Audit) -> None:
    there = {record.shard: record.sha256 for record in read_journal(folder)}
    if differing := sorted(
        k for k in {*there, *audit.shards} if there.get(k) != audit.shards.get(k)
    ):
        raise DataError(
            f"{folder / AUDIT} is of another state of the data set: {differing[0]} has changed; "
            "run endoforge audit again"
        )

# SPDX-License-Identifier: Apache-2.0
"""The list of finished shards: one line per sequence, added when the shard is in place.

A process may die at any moment, so the list and the folder can disagree; `reconcile` makes them
agree again, and what it returns is all that a resumed run needs to know.
"""

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from endoforge.errors import DataError
from endoforge.frames.shards import ShardReader, ShardRecord, sequence_of, shard_name
from endoforge.frames.storage import (
    append_line,
    make_folder,
    read_bytes,
    remove_strays,
    sha256_of,
    to_json,
    write_atomically,
)

log = logging.getLogger(__name__)

#: File name of the journal within the data set's folder.
JOURNAL = "journal.jsonl"

_LIMIT_BYTES = 200_000_000
_KINDS: Mapping[str, type] = {
    "sequence": int,
    "shard": str,
    "frames": int,
    "bytes": int,
    "sha256": str,
}


def append_record(folder: Path, record: ShardRecord) -> None:
    """Add a finished shard to the journal; several processes may do so at once.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    append_line(folder / JOURNAL, to_json(dataclasses.asdict(record)))


def read_journal(folder: Path) -> list[ShardRecord]:
    """Return the finished shards by sequence number; of two lines for one, the last counts.

    A line that a kill cut short is passed over: its shard is found again by `reconcile`, and until
    then the data set counts as incomplete.

    Raises:
        DataError: A line says something impossible, e.g. names a file outside the folder.
    """
    records, faults, cut = _lines(folder)
    if cut:
        log.warning("%s has lines that are cut: %s; passed over", folder / JOURNAL, cut)
    if faults:
        raise DataError(f"{faults[0]}; run the same simulation again to mend it")
    last = {record.sequence: record for record in records}
    return [last[sequence] for sequence in sorted(last)]


def journal_faults(folder: Path) -> list[str]:
    """Say what is wrong with the journal's lines, in words; cut lines and double ones included."""
    records, faults, cut = _lines(folder)
    faults = faults + [f"line {number} is cut" for number in cut]
    by_sequence: dict[int, ShardRecord] = {}
    for record in records:
        if by_sequence.setdefault(record.sequence, record) != record:
            faults.append(f"sequence {record.sequence} has two lines that differ")
    return faults


def reconcile(folder: Path) -> list[ShardRecord]:
    """Make folder and journal agree, and return the shards that are whole.

    Unfinished files are removed. A line whose shard is gone is dropped. A shard that differs from
    its line is removed with it, to be made again. A whole shard without a line gets one.

    Raises:
        StorageError: The folder cannot be written.
    """
    make_folder(folder)
    for name in remove_strays(folder):
        log.info("removed the unfinished file %s", name)
    listed, faults, cut = _lines(folder)
    kept: dict[int, ShardRecord] = {}
    for path in sorted(folder.glob("shard-*.tar")):
        sequence = sequence_of(path.name)
        if sequence is None:
            continue
        candidates = [record for record in listed if record.sequence == sequence]
        record = _matching(path, candidates)
        if record is not None:
            kept[sequence] = record
        else:
            log.warning("%s is damaged; it will be made again", path)
            path.unlink(missing_ok=True)
    _rewrite_if_needed(folder, listed, bool(faults or cut), kept)
    return [kept[sequence] for sequence in sorted(kept)]


# ---- inside -------------------------------------------------------------------------------------


def _lines(folder: Path) -> tuple[list[ShardRecord], list[str], list[int]]:
    """Records in the file's order, what is wrong with impossible lines, and numbers of cut ones."""
    path = folder / JOURNAL
    if not path.exists():
        return [], [], []
    records: list[ShardRecord] = []
    faults: list[str] = []
    cut: list[int] = []
    for number, line in enumerate(read_bytes(path, _LIMIT_BYTES).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):  # a kill in the middle of the line leaves this
            cut.append(number)
            continue
        try:
            records.append(_record(values, f"{path} line {number}"))
        except DataError as error:
            faults.append(str(error))
    return records, faults, cut


def _record(values: Any, source: str) -> ShardRecord:
    if not isinstance(values, dict) or set(values) != set(_KINDS):
        raise DataError(f"{source} must have {', '.join(_KINDS)}; got {str(values)[:120]}")
    for name, kind in _KINDS.items():
        value = values[name]
        if type(value) is not kind or (isinstance(value, int) and value < 0):
            raise DataError(f"{source}: {name} must be {kind.__name__}, got {value!r:.80}")
    expected = shard_name(values["sequence"])
    if values["shard"] != expected:
        raise DataError(f"{source}: the shard must be {expected!r}, got {values['shard']!r:.80}")
    return ShardRecord(
        values["sequence"], expected, values["frames"], values["bytes"], values["sha256"]
    )


def _matching(path: Path, candidates: Sequence[ShardRecord]) -> ShardRecord | None:
    """The line that describes this file; a new one if the file is whole and has no line."""
    size, digest = path.stat().st_size, sha256_of(path)
    for record in candidates:
        if (record.bytes, record.sha256) == (size, digest):
            return record
    if candidates:
        return None
    try:
        with ShardReader(path) as shard:
            for position in range(len(shard)):
                shard.frame(position)
            sequence = sequence_of(path.name)
            assert sequence is not None
            return ShardRecord(sequence, path.name, len(shard), size, digest)
    except DataError:
        return None


def _rewrite_if_needed(
    folder: Path,
    listed: Sequence[ShardRecord],
    faulty: bool,
    kept: Mapping[int, ShardRecord],
) -> None:
    """Only add lines where that is enough: another process may be adding its own."""
    new = [record for record in kept.values() if record not in listed]
    if faulty or any(kept.get(record.sequence) != record for record in listed):
        since = [record for record in _lines(folder)[0] if record not in listed]
        kept = {record.sequence: record for record in since} | dict(kept)
        lines = [to_json(dataclasses.asdict(kept[sequence])) for sequence in sorted(kept)]
        write_atomically(folder / JOURNAL, "".join(line + "\n" for line in lines).encode())
    else:
        for record in new:
            append_record(folder, record)

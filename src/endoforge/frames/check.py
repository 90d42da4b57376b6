# SPDX-License-Identifier: Apache-2.0
"""Verify a data set on disk: lists and hashes here, the truth of the labels in `check_*`.

A check never stops at the first fault and never repairs; it lists what it found.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from endoforge.errors import DataError
from endoforge.frames.audit_file import AUDIT, Audit, read_audit
from endoforge.frames.check_facts import facts_faults, facts_pair_faults
from endoforge.frames.check_flow import Fault
from endoforge.frames.check_labels import frame_faults, pair_faults
from endoforge.frames.check_matter import matter_faults, matter_pair_faults
from endoforge.frames.check_right import right_faults
from endoforge.frames.check_volume import volume_faults
from endoforge.frames.dataset import label_fault
from endoforge.frames.encoding import frame_from_members
from endoforge.frames.frame import Frame
from endoforge.frames.journal import JOURNAL, journal_faults, read_journal
from endoforge.frames.manifest import MANIFEST, DatasetManifest, read_manifest
from endoforge.frames.planes import DEPTH_SCALE_MM, depth_scale_of
from endoforge.frames.png import decode_png
from endoforge.frames.shards import ShardReader, ShardRecord, sequence_of
from endoforge.frames.storage import sha256_of

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, at one place.

    Attributes:
        kind: Short name of what is wrong, e.g. ``"hash"`` or ``"flow"``.
        place: File within the data set's folder.
        message: The first case in full.
        frames: How many frames of that file show it; 0 if it is not about frames.
    """

    kind: str
    place: str
    message: str
    frames: int = 0

    def __str__(self) -> str:
        more = f" (and {self.frames - 1} more frames)" if self.frames > 1 else ""
        return f"{self.place}: {self.kind}: {self.message}{more}"


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        path: The data set's folder.
        sequences: Sequences that are listed.
        frames: Frames that were read.
        problems: What is wrong; empty when all is well.
        audited: Whether an audit of the translation lies in the folder.
        rejected: Frames that it rejected; training and export leave them out.
    """

    path: Path
    sequences: int
    frames: int
    problems: list[Problem]
    audited: bool = False
    rejected: int = 0


@dataclass
class _Notes:
    """Problems so far; faults of one kind in one shard become one problem."""

    found: dict[tuple[str, str], Problem] = field(default_factory=dict)
    frames: int = 0

    def add(self, kind: str, place: str, message: str, frames: int = 0) -> None:
        first = self.found.get((kind, place))
        total = frames + (first.frames if first else 0)
        text = first.message if first else message
        self.found[kind, place] = Problem(kind, place, text, total)

    @property
    def problems(self) -> list[Problem]:
        return list(self.found.values())


def check_dataset(path: Path | str, progress: Progress | None = None) -> CheckReport:
    """Verify hashes, completeness, units, ranges, and that depth, normals, flow and poses agree.

    Args:
        path: The data set's folder.
        progress: Called with (frames checked, frames listed).

    Raises:
        DataError: The folder holds no data set at all.
    """
    folder, notes = Path(path), _Notes()
    if not (folder / MANIFEST).exists():
        raise DataError(f"{folder} is no data set: it has no {MANIFEST}; check the path")
    manifest = _manifest(folder, notes)
    records = _records(folder, notes)
    _check_lists(folder, manifest, records, notes)
    total = sum(record.frames for record in records)
    images: dict[bytes, str] = {}
    for record in records:
        for frame, source in _frames(folder, record, manifest, notes):
            digest = hashlib.sha256(frame.image.tobytes() + frame.depth_mm.tobytes()).digest()
            twin = images.setdefault(digest, source)
            if twin != source:
                notes.add("repeated", record.shard, f"{source} is the same as {twin}", 1)
            if progress is not None:
                progress(notes.frames, total)
    audit = _audit(folder, notes)
    rejected = 0 if audit is None else len(audit.rejected)
    return CheckReport(
        folder, len(records), notes.frames, notes.problems, audit is not None, rejected
    )


# ---- lists --------------------------------------------------------------------------------------


def _manifest(folder: Path, notes: _Notes) -> DatasetManifest | None:
    try:
        return read_manifest(folder)
    except DataError as error:
        notes.add("manifest", MANIFEST, str(error))
        return None


def _audit(folder: Path, notes: _Notes) -> Audit | None:
    try:
        return read_audit(folder)
    except DataError as error:
        notes.add("audit", AUDIT, str(error))
        return None


def _records(folder: Path, notes: _Notes) -> list[ShardRecord]:
    for fault in journal_faults(folder):
        notes.add("journal", JOURNAL, fault)
    try:
        return read_journal(folder)
    except DataError:  # already among the faults
        return []


def _check_lists(
    folder: Path, manifest: DatasetManifest | None, records: list[ShardRecord], notes: _Notes
) -> None:
    listed = {record.shard for record in records}
    for path in sorted(folder.glob("shard-*")):
        if path.name not in listed:
            notes.add("unlisted", path.name, f"is in the folder but not in {JOURNAL}")
    for path in sorted(folder.glob(".*.tmp-*")):
        notes.add("unfinished", path.name, "was left by a killed or a running simulation")
    if manifest is None:
        return
    missing = sorted(set(range(manifest.sequences)) - {record.sequence for record in records})
    if missing:
        notes.add(
            "incomplete",
            JOURNAL,
            f"{len(missing)} of {manifest.sequences} sequences are missing, the first is "
            f"{missing[0]}; run the same simulation again to make them",
        )
    for record in records:
        if record.sequence >= manifest.sequences:
            notes.add("surplus", record.shard, f"{MANIFEST} knows {manifest.sequences} sequences")
    frames = sum(record.frames for record in records)
    if not missing and frames != manifest.frames:
        notes.add("count", JOURNAL, f"{MANIFEST} promises {manifest.frames} frames, got {frames}")


# ---- shards -------------------------------------------------------------------------------------


def _frames(
    folder: Path, record: ShardRecord, manifest: DatasetManifest | None, notes: _Notes
) -> Iterator[tuple[Frame, str]]:
    """Check one shard; yield the frames that could be read."""
    path = folder / record.shard
    if not path.is_file():
        notes.add("missing", record.shard, f"{JOURNAL} lists it, but it is not in the folder")
        return
    if (size := path.stat().st_size) != record.bytes:
        notes.add("size", record.shard, f"must have {record.bytes} bytes, got {size}")
    elif (digest := sha256_of(path)) != record.sha256:
        notes.add("hash", record.shard, f"SHA-256 must be {record.sha256}, got {digest}")
    try:
        shard = ShardReader(path)
    except DataError as error:
        notes.add("shard", record.shard, str(error))
        return
    with shard:
        if len(shard) != record.frames:
            notes.add("shard", record.shard, f"must have {record.frames} frames, got {len(shard)}")
        if manifest and (fault := label_fault(shard.labels, manifest.optional_labels)):
            notes.add("labels", record.shard, fault)
        yield from _frames_of_shard(shard, record, manifest, notes)


def _frames_of_shard(
    shard: ShardReader, record: ShardRecord, manifest: DatasetManifest | None, notes: _Notes
) -> Iterator[tuple[Frame, str]]:
    before: Frame | None = None
    for position in range(len(shard)):
        source = f"{record.shard} frame {position}"
        frame = None
        notes.frames += 1
        try:
            frame = _checked_frame(shard, position, manifest, notes)
        except DataError as error:
            notes.add("frame", record.shard, str(error), 1)
        if before is not None and frame is not None:
            _note_all(notes, record.shard, position - 1, _between(before, frame, manifest))
        before = frame
        if frame is not None:
            yield frame, source


def _checked_frame(
    shard: ShardReader, position: int, manifest: DatasetManifest | None, notes: _Notes
) -> Frame:
    """Read one frame and note its faults.

    Raises:
        DataError: It cannot be read at all.
    """
    place, source = shard.path.name, shard.source(position)
    members = shard.members(position)
    frame = frame_from_members(members, source)
    expected = (sequence_of(place), position)
    if (frame.sequence, frame.index) != expected:
        got = (frame.sequence, frame.index)
        notes.add("order", place, f"frame {position} says (sequence, index) = {got}", 1)
    if manifest is not None:
        scale = depth_scale_of(decode_png(members["depth.png"], source), source)
        if scale != manifest.depth_scale_mm:
            text = f"frame {position} has {scale} mm per step, not {manifest.depth_scale_mm}"
            notes.add("scale", place, text, 1)
        _note_all(notes, place, position, _within(frame, manifest))
    return frame


def _within(frame: Frame, manifest: DatasetManifest) -> Iterator[Fault]:
    yield from frame_faults(frame, manifest)
    if frame.valid.any():
        yield from matter_faults(frame, manifest.depth_scale_mm)
        yield from right_faults(frame, manifest.depth_scale_mm)
        yield from volume_faults(frame, manifest)
        yield from facts_faults(frame, manifest)


def _between(frame: Frame, following: Frame, manifest: DatasetManifest | None) -> Iterator[Fault]:
    yield from facts_pair_faults(frame, following)
    if frame.facts.get("continuous") is False:  # unordered views have nothing in common
        return
    step_mm = DEPTH_SCALE_MM if manifest is None else manifest.depth_scale_mm
    yield from pair_faults(frame, following)
    yield from matter_pair_faults(frame, following, step_mm)


def _note_all(notes: _Notes, place: str, position: int, faults: Iterator[Fault]) -> None:
    for fault in faults:
        notes.add(fault.kind, place, f"frame {position}: {fault.message}", 1)

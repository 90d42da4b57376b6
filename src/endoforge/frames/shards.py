# SPDX-License-Identifier: Apache-2.0
"""One sequence as one file: a plain tar in WebDataset layout, written whole or not at all.

The bytes depend on the frames alone (no clock, no user, fixed order). The reader is our own and
strict: only complete frames, only names that we write, and an end mark that must be there.
"""

import hashlib
import os
import re
import tarfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from endoforge.errors import DataError
from endoforge.frames.encoding import (
    decode_facts,
    decode_fields,
    frame_from_members,
    frame_to_members,
    key_of,
    labels_of,
)
from endoforge.frames.frame import Frame
from endoforge.frames.members import (
    ALL_FIELDS,
    MEMBERS,
    OPTIONAL_MEMBERS,
    labels_with,
    members_of,
)
from endoforge.frames.planes import DEPTH_SCALE_MM
from endoforge.frames.storage import write_atomically

_BLOCK = 512
_END = b"\0" * (2 * _BLOCK)
_NAME = re.compile(r"shard-(\d{6})\.tar")


@dataclass(frozen=True)
class ShardRecord:
    """One whole shard, as the journal lists it.

    Attributes:
        sequence: Number of its sequence.
        shard: File name within the data set's folder.
        frames: Number of frames.
        bytes: Size of the file.
        sha256: Hash of the file's content.
    """

    sequence: int
    shard: str
    frames: int
    bytes: int
    sha256: str


def shard_name(sequence: int) -> str:
    """File name of a sequence's shard, e.g. ``shard-000017.tar``."""
    return f"shard-{sequence:06d}.tar"


def sequence_of(name: str) -> int | None:
    """Sequence number in a shard's file name; None if it is no such name."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def write_shard(
    path: Path, frames: Iterable[Frame], depth_scale_mm: float = DEPTH_SCALE_MM
) -> ShardRecord:
    """Write the frames of one sequence, in order, as they come.

    Args:
        path: The final name, `shard_name` of the sequence in the data set's folder.
        frames: Frames 0, 1, 2 … of the sequence; may be a generator that renders them.
        depth_scale_mm: Millimetres per step of depth.

    Returns:
        What belongs into the journal.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
        DataError: No frames, frames out of order, of another sequence or with other labels, or
            values that do not fit.
    """
    return _write_blocks(path, _blocks_of(path, frames, depth_scale_mm))


def write_members(path: Path, frames: Iterable[Mapping[str, bytes]]) -> ShardRecord:
    """Write frames that are packed already, such as those of `ShardReader.members`.

    Args:
        path: The final name, `shard_name` of the sequence in the data set's folder.
        frames: The files of frames 0, 1, 2 … by name, without the key; may be a generator. What
            their JSON files say of sequence and index must be right.

    Returns:
        What belongs into the journal.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
        DataError: No frames, or frames with other files than the first one.
    """
    return _write_blocks(path, _blocks_of_members(path, frames))


def read_shard(path: Path) -> Iterator[Frame]:
    """Read all frames of a shard in order.

    Raises:
        DataError: The shard is cut, changed in a way that shows, or holds something else.
    """
    with ShardReader(path) as shard:
        for position in range(len(shard)):
            yield shard.frame(position)


class ShardReader:
    """Random access to the frames of one shard; its structure is checked on opening.

    Threads and forked processes may share it: it reads at given positions only. The file is closed
    by `close`, by leaving a `with` block, or with the last reference.

    Attributes:
        files: The files of each of its frames, without the key.
        labels: The optional labels that these files hold; facts are inside ``json``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            reason = error.strerror or str(error)
            raise DataError(f"cannot read {path}: {reason}; restore the shard") from None
        self.close = weakref.finalize(self, os.close, self._file)
        try:
            self._frames = list(_frames_in(self._file, path))
            self.files = tuple(self._frames[0])
            self.labels = _labels_with(self.files, path)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._frames)

    def members(self, position: int, names: Sequence[str] | None = None) -> dict[str, bytes]:
        """Return the raw files of one frame by name, without the key.

        Args:
            position: The frame's number in the shard.
            names: Which files; None for all of them.

        Raises:
            DataError: There is no such frame or file, or the shard was cut meanwhile.
        """
        names = self.files if names is None else names
        if missing := [name for name in names if name not in self.files]:
            raise DataError(
                f"{self.path} has no {missing[0]}, only {', '.join(self.files)}; the data set was "
                "made without that label"
            )
        if not 0 <= position < len(self._frames):
            raise DataError(f"{self.path} has frames 0 to {len(self) - 1}, got {position}")
        places = self._frames[position]
        return {name: self._read(*places[name]) for name in names}

    def frame(self, position: int) -> Frame:
        """Return one whole frame.

        Raises:
            DataError: It is damaged, or is not the frame that its place says.
        """
        frame = frame_from_members(self.members(position), self.source(position))
        if (frame.sequence, frame.index) != (sequence_of(self.path.name), position):
            raise DataError(
                f"{self.source(position)} says it is frame {frame.index} of sequence "
                f"{frame.sequence}; the shard was renamed or mixed up"
            )
        return frame

    def fields(self, position: int, names: Sequence[str]) -> dict[str, Any]:
        """Return only some arrays of one frame, see `members.ALL_FIELDS`.

        Raises:
            DataError: It is damaged, or a name is unknown or of a label that it lacks.
        """
        files = tuple(dict.fromkeys(ALL_FIELDS[name] for name in names if name in ALL_FIELDS))
        return decode_fields(self.members(position, files), names, self.source(position))

    def facts(self, position: int) -> dict[str, Any]:
        """Return sequence, index, camera, poses and further facts of one frame.

        Raises:
            DataError: They are damaged.
        """
        return decode_facts(self.members(position, ("json",))["json"], self.source(position))

    def source(self, position: int) -> str:
        """Name of a frame in errors."""
        return f"{self.path} frame {key_of(position)}"

    def __enter__(self) -> "ShardReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, start: int, size: int) -> bytes:
        content = os.pread(self._file, size, start)
        if len(content) != size:
            raise DataError(f"{self.path} is cut at byte {start + len(content)}; restore the shard")
        return content


# ---- tar ----------------------------------------------------------------------------------------


def _write_blocks(path: Path, blocks: Iterator[bytes]) -> ShardRecord:
    """Write the frames of one shard, each packed into one block, and the end mark."""
    sequence = sequence_of(path.name)
    if sequence is None:
        raise DataError(f"a shard must be called like {shard_name(17)}, got {path.name!r}")
    digest = hashlib.sha256()
    count = size = 0

    def write(file: BinaryIO) -> None:
        nonlocal count, size
        for block in blocks:
            digest.update(block)
            file.write(block)
            count, size = count + 1, size + len(block)
        if count == 0:
            raise DataError(f"{path} would hold 0 frames; a sequence has at least one")
        digest.update(_END)
        file.write(_END)
        size += len(_END)

    write_atomically(path, write)
    return ShardRecord(sequence, path.name, count, size, digest.hexdigest())


def _blocks_of(path: Path, frames: Iterable[Frame], depth_scale_mm: float) -> Iterator[bytes]:
    labels: tuple[str, ...] | None = None
    for count, frame in enumerate(frames):
        if (frame.sequence, frame.index) != (sequence_of(path.name), count):
            raise DataError(
                f"{path} expects frame {count} of sequence {sequence_of(path.name)}, got frame "
                f"{frame.index} of sequence {frame.sequence}"
            )
        there = labels_of(frame)
        labels = there if labels is None else labels
        if there != labels:
            raise DataError(
                f"{path}: frame {count} must have the optional labels {_listed(labels)} as the "
                f"first one has, got {_listed(there)}"
            )
        yield _packed(frame_to_members(frame, frame.index, depth_scale_mm))


def _blocks_of_members(path: Path, frames: Iterable[Mapping[str, bytes]]) -> Iterator[bytes]:
    first: tuple[str, ...] | None = None
    for count, files in enumerate(frames):
        names = members_of(labels_with(files))
        first = names if first is None else first
        if names != first:
            raise DataError(
                f"{path}: frame {count} must have the files {', '.join(first)} as the first one "
                f"has, got {', '.join(names)}"
            )
        yield _packed({f"{key_of(count)}.{name}": files[name] for name in names})


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) or "none"


def _packed(files: Mapping[str, bytes]) -> bytes:
    parts = []
    for name, data in files.items():
        parts += [_header(name, len(data)), data, b"\0" * (-len(data) % _BLOCK)]
    return b"".join(parts)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)  # time, owner and group stay 0
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def _frames_in(file: int, path: Path) -> Iterator[dict[str, tuple[int, int]]]:
    """Walk through the headers; yield start and size of each frame's files by name.

    Which optional files there are says the first frame; all others must have the same.
    """
    end = os.fstat(file).st_size
    at = count = 0
    files: Sequence[str] = (*MEMBERS[:-1], *OPTIONAL_MEMBERS, MEMBERS[-1])
    while not _ends_at(file, at, end, path):
        places = {}
        for name in files:
            full = f"{key_of(count)}.{name}"
            if count == 0 and name in OPTIONAL_MEMBERS and not _is_named(file, at, full):
                continue
            size = _size_of_member(file, at, full, path)
            places[name] = (at + _BLOCK, size)
            at += _BLOCK + size + -size % _BLOCK
            if at > end:
                raise DataError(f"{path} is cut inside {full}; restore the shard")
        yield places
        files = tuple(places)
        count += 1
    if count == 0:
        raise DataError(f"{path} holds no frames; make the sequence anew")


def _is_named(file: int, at: int, name: str) -> bool:
    return os.pread(file, 100, at).rstrip(b"\0") == name.encode()


def _labels_with(files: Sequence[str], path: Path) -> tuple[str, ...]:
    try:
        return labels_with(files)
    except DataError as error:
        raise DataError(f"{path}: {error}; restore the shard") from None


def _ends_at(file: int, at: int, end: int, path: Path) -> bool:
    block = os.pread(file, len(_END), at)
    if block[:_BLOCK].strip(b"\0"):
        return False
    if block != _END or end != at + len(_END):
        raise DataError(
            f"{path} has no proper end at byte {at} of {end}: it is cut or was added to; "
            "restore the shard"
        )
    return True


def _size_of_member(file: int, at: int, expected: str, path: Path) -> int:
    block = os.pread(file, _BLOCK, at)
    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.TarError, ValueError) as error:
        raise DataError(f"{path} is damaged at byte {at} ({error}); restore the shard") from None
    if info.size <= 0 or block != _header(expected, info.size):
        raise DataError(
            f"{path} must have the file {expected} at byte {at}, got {info.name[:80]!r} of type "
            f"{info.type!r} and {info.size} bytes; restore the shard"
        )
    return info.size

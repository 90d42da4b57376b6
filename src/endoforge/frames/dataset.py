# SPDX-License-Identifier: Apache-2.0
"""A data set on disk as an indexed list of frames, without torch.

Each shard's hash is compared with the journal when one of its frames is first asked for.
"""

import bisect
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from endoforge.errors import DataError
from endoforge.frames.audit_file import Audit, read_audit
from endoforge.frames.frame import Frame
from endoforge.frames.journal import read_journal
from endoforge.frames.manifest import DatasetManifest, read_manifest
from endoforge.frames.shards import ShardReader, ShardRecord
from endoforge.frames.storage import sha256_of

log = logging.getLogger(__name__)

#: Shards that stay open at once; a data set may have thousands.
_OPEN_SHARDS = 64


@dataclass(frozen=True)
class Place:
    """Where a frame lies: the number of its shard in the data set, and its place in the shard."""

    shard: int
    position: int


class Dataset:
    """A data set's frames by number, in the order of their sequences.

    Copies handed to other processes open the files anew; forked ones may go on reading.

    Attributes:
        path: The data set's folder.
        manifest: What dataset.json says.
        sequences: The shards that are there, by sequence number.
    """

    def __init__(
        self, path: Path, manifest: DatasetManifest, verify: bool, with_rejected: bool = False
    ) -> None:
        self.path = path
        self._with_rejected = with_rejected
        self.manifest = manifest
        self.sequences: Sequence[ShardRecord] = tuple(read_journal(path))
        self._verify = verify
        self._ends = list(itertools.accumulate(record.frames for record in self.sequences))
        self._open: dict[int, ShardReader] = {}
        self._verified: set[int] = set()

    @classmethod
    def open(cls, path: Path | str, verify: bool = True, with_rejected: bool = False) -> "Dataset":
        """Open a data set's folder.

        An incomplete data set opens too; `missing` says how many frames are to come.

        Args:
            path: The folder with dataset.json.
            verify: Compare each shard's hash with the journal once, at its first use.
            with_rejected: Let training and export use frames that an audit rejected.

        Raises:
            DataError: The folder holds no data set, no frames, or its lists are damaged.
        """
        folder = Path(path)
        dataset = cls(folder, read_manifest(folder), verify, with_rejected)
        if not dataset.sequences:
            raise DataError(f"{folder} has no finished sequence yet; run the simulation first")
        if dataset.missing:
            log.warning("%s lacks %d of its frames", folder, dataset.missing)
        return dataset

    @property
    def missing(self) -> int:
        """Frames that the manifest promises and that are not there."""
        return self.manifest.frames - len(self)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def labels(self) -> tuple[str, ...]:
        """The optional labels that every frame has."""
        return tuple(self.manifest.optional_labels)

    @cached_property
    def audit(self) -> Audit | None:
        """What `endoforge audit` said of a translated data set; None if nobody asked.

        Raises:
            DataError: audit.json is damaged or of another state of the data set.
        """
        return read_audit(self.path)

    @cached_property
    def rejected(self) -> frozenset[int]:
        """Numbers of the frames whose labels the audit found not to hold; empty without an audit.

        Raises:
            DataError: audit.json is damaged or of another state of the data set.
        """
        if self.audit is None:
            return frozenset()
        starts = {
            record.sequence: end - record.frames
            for record, end in zip(self.sequences, self._ends, strict=True)
        }
        return frozenset(starts[sequence] + index for sequence, index in self.audit.rejected)

    @property
    def left_out(self) -> frozenset[int]:
        """Numbers of the frames that training and export leave out: see `rejected`."""
        return frozenset() if self._with_rejected else self.rejected

    def place(self, index: int) -> Place:
        """Tell where a frame lies.

        Raises:
            IndexError: There is no such frame.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path} has frames 0 to {len(self) - 1}, got {index}")
        shard = bisect.bisect_right(self._ends, index)
        return Place(shard, index - (self._ends[shard] - self.sequences[shard].frames))

    def frame(self, index: int) -> Frame:
        """Return one whole frame by its number in the data set.

        Raises:
            IndexError: There is no such frame.
            DataError: Its shard is missing, cut or changed; names the shard.
        """
        place = self.place(index)
        return self.shard(place.shard).frame(place.position)

    def fields(self, index: int, names: Sequence[str]) -> dict[str, Any]:
        """Return only some arrays of a frame by name, see `members.ALL_FIELDS`.

        Raises:
            IndexError: There is no such frame.
            DataError: Its shard is missing, cut or changed, or a name is unknown or of a label
                that the data set lacks.
        """
        place = self.place(index)
        return self.shard(place.shard).fields(place.position, names)

    def facts(self, index: int) -> dict[str, Any]:
        """Return sequence, index, camera, poses and further facts of a frame, without pictures.

        Raises:
            IndexError: There is no such frame.
            DataError: Its shard is missing, cut or changed.
        """
        place = self.place(index)
        return self.shard(place.shard).facts(place.position)

    def iter_frames(self) -> Iterator[Frame]:
        """Yield all frames in order.

        Raises:
            DataError: A shard is missing, cut or changed; names the shard.
        """
        for index in range(len(self)):
            yield self.frame(index)

    def shard(self, number: int) -> ShardReader:
        """Return one shard, checked once and kept open for a while.

        Args:
            number: Place in `sequences`, not the sequence's number.

        Raises:
            DataError: It is missing, cut or changed.
        """
        if number not in self._open:
            self._open[number] = self._checked(self.sequences[number], number)
        while len(self._open) > _OPEN_SHARDS:
            self._open.pop(next(iter(self._open))).close()
        return self._open[number]

    def close(self) -> None:
        """Close all files; the next access opens them again."""
        while self._open:
            self._open.popitem()[1].close()

    def _checked(self, record: ShardRecord, number: int) -> ShardReader:
        path = self.path / record.shard
        if not path.is_file():
            raise DataError(f"{path} is missing; run the same simulation again to make it")
        size = path.stat().st_size
        if size != record.bytes:
            raise DataError(
                f"{path} must have {record.bytes} bytes, got {size}; it was cut or changed, run "
                "the same simulation again to make it anew"
            )
        if self._verify and number not in self._verified:
            digest = sha256_of(path)
            if digest != record.sha256:
                raise DataError(
                    f"{path} has changed: its SHA-256 must be {record.sha256[:16]}…, got "
                    f"{digest[:16]}…; run the same simulation again to make it anew"
                )
            self._verified.add(number)
        reader = ShardReader(path)
        if len(reader) != record.frames:
            found = len(reader)
            reader.close()
            raise DataError(f"{path} must have {record.frames} frames, got {found}; restore it")
        if fault := label_fault(reader.labels, self.manifest.optional_labels):
            reader.close()
            raise DataError(f"{path} {fault}; the shard is of another data set")
        return reader

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}


def label_fault(there: Iterable[str], promised: Iterable[str]) -> str | None:
    """Say how the optional labels in a shard differ from those that dataset.json promises.

    Args:
        there: As `ShardReader.labels` has them.
        promised: As the manifest lists them; facts have no file and are passed over.
    """
    found, expected = set(there) - {"facts"}, set(promised) - {"facts"}
    if found == expected:
        return None
    missing, extra = sorted(expected - found), sorted(found - expected)
    parts = [f"lacks the labels {', '.join(missing)}"] if missing else []
    parts += [f"has the labels {', '.join(extra)}, which dataset.json does not list"] * bool(extra)
    return " and ".join(parts)

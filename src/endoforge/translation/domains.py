# SPDX-License-Identifier: Apache-2.0
"""One side of a translation: its pictures at the training size, decoded once, mapped into memory.

Pictures keep their aspect, so they lie one behind the other in one flat file, each at its own size;
a second file says which of their pixels count. Where they come from is in `translation.sources`.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Int64

from endoforge.errors import DataError, SettingsError
from endoforge.frames.dataset import Dataset
from endoforge.frames.storage import folder_atomically, read_json, to_json, write_json
from endoforge.translation.domain_filling import Entry, Filling, write_entries
from endoforge.translation.planes import PlaneStack, classes_of
from endoforge.translation.settings import PictureSettings
from endoforge.translation.sources import Source, find_source
from endoforge.translation.translator import Channels

log = logging.getLogger(__name__)

_CACHE_VERSION = 2
_INDEX = "domain.json"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Domain:
    """The pictures of one side.

    Attributes:
        paths: Where they come from.
        channels: Of each picture.
        entries: Name, group and size of each picture.
        fingerprint: Hash of everything that decides a number in it.
        problems: Files that were left out, and why; empty unless damaged ones may be skipped.
        mirror_signs: What each channel is multiplied with when a picture is mirrored.
    """

    paths: tuple[Path, ...]
    channels: int
    entries: tuple[Entry, ...]
    fingerprint: str
    problems: tuple[str, ...]
    mirror_signs: Float32[np.ndarray, " channels"]
    _values: np.ndarray
    _counts: np.ndarray

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pictures."""
        return tuple(entry.name for entry in self.entries)

    @property
    def groups(self) -> Int64[np.ndarray, " frames"]:
        """A number for each picture; those of one sequence, video or folder share it."""
        _, numbers = np.unique([entry.group for entry in self.entries], return_inverse=True)
        return numbers.astype(np.int64)

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of a picture, px."""
        return self.entries[index].width, self.entries[index].height

    def picture(
        self, index: int, rows: slice | None = None, columns: slice | None = None
    ) -> Float32[np.ndarray, "channels height width"]:
        """Return a picture, or a part of it, in [-1, 1]."""
        entry = self.entries[index]
        pixels = entry.height * entry.width
        values = self._values[entry.start * self.channels :][: pixels * self.channels]
        whole = values.reshape(self.channels, entry.height, entry.width)
        part = whole[:, rows or slice(None), columns or slice(None)]
        if part.dtype == np.uint8:
            return part.astype(np.float32) * np.float32(2 / 255) - np.float32(1)
        return part.astype(np.float32)

    def counts(
        self, index: int, rows: slice | None = None, columns: slice | None = None
    ) -> Bool[np.ndarray, "1 height width"]:
        """Return which pixels of a picture, or of a part of it, losses may look at."""
        entry = self.entries[index]
        flat = self._counts[entry.start :][: entry.height * entry.width]
        whole = flat.reshape(1, entry.height, entry.width)
        return whole[:, rows or slice(None), columns or slice(None)].astype(bool)

    def pixels(
        self, pictures: int = 200, of_each: int = 500
    ) -> Float32[np.ndarray, "pixels channels"]:
        """Return pixels that count, in [-1, 1], of evenly spread pictures and places."""
        found = []
        for index in np.unique(np.linspace(0, len(self) - 1, pictures).astype(int)):
            counting = self.picture(int(index))[:, self.counts(int(index))[0]].T
            found.append(counting[:: max(1, len(counting) // of_each)])
        return np.concatenate(found)

    def chosen(self, indices: Sequence[int] | Int64[np.ndarray, " chosen"]) -> "Domain":
        """Return some of the pictures, e.g. those not held back.

        Raises:
            DataError: None were chosen.
        """
        entries = tuple(self.entries[int(index)] for index in indices)
        if not entries:
            raise DataError(f"expected one picture of {self.paths[0]} or more, got none; give more")
        names = to_json([self.fingerprint, [entry.name for entry in entries]])
        return replace(self, entries=entries, fingerprint=_hash_of(names))


def open_domain(
    paths: Sequence[Path],
    settings: PictureSettings,
    cache: Path,
    side: Literal["source", "target"],
    progress: Progress | None = None,
) -> Domain:
    """Return the pictures of one side at the training size, decoding them only if need be.

    Args:
        paths: Data sets, folders of pictures (nested ones too), pictures and videos.
        settings: Size, planes and what to leave out.
        cache: Folder for the flat files; each is whole or not there at all.
        side: Which planes apply to data sets.
        progress: Called with pictures done and about how many there are.

    Raises:
        DataError: A path holds no pictures, files are damaged and must not be skipped, pictures
            differ in their number of channels, or no pixel of any of them counts.
        SettingsError: Planes besides the image were asked for of what is no data set.
        StorageError: The disk is full.
    """
    sources = [find_source(path, settings.with_rejected) for path in paths]
    if not sources:
        raise DataError(f"expected one path with pictures or more for the {side} side, got none")
    _say_left_out(sources)
    filling = Filling(settings, _stack_of(sources, settings, side))
    key = _key_of(sources, filling)
    fingerprint = _hash_of(to_json(key))
    folder = cache / f"{side}-{fingerprint[:16]}"
    if not (folder / _INDEX).is_file():
        with folder_atomically(folder) as fresh:
            found = write_entries(sources, filling, fresh, progress or (lambda done, total: None))
            write_json(fresh / _INDEX, {"key": key, **found})
    domain = _opened(folder, tuple(paths), fingerprint, filling)
    for problem in domain.problems:
        log.warning("left out: %s", problem)
    _refuse_blank(domain)
    return domain


def channels_of(source: Domain | None, target: Domain) -> Channels:
    """Return the channels of both sides; without a source (methods from noise) its are 0."""
    return Channels(0 if source is None else source.channels, target.channels)


# ---- inside -------------------------------------------------------------------------------------


def _hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _say_left_out(sources: Sequence[Source]) -> None:
    for source in sources:
        rejected, frames = source.left_out()
        if rejected and rejected == frames:
            raise DataError(
                f"the audit rejected all {frames} frames of {source.path}; translate anew, or take "
                "them nevertheless with pictures.with_rejected=true"
            )
        if rejected:
            log.warning(
                "%s: %d of %d frames are left out, an audit rejected them",
                source.path, rejected, frames,
            )  # fmt: skip


def _refuse_blank(domain: Domain) -> None:
    """Losses look at nothing in a picture without a pixel that counts."""
    starts = [entry.start for entry in domain.entries]
    blank = np.flatnonzero(np.maximum.reduceat(domain._counts, starts) == 0)
    if len(blank) == len(domain):
        raise DataError(
            f"expected tissue in the {len(domain)} pictures of {domain.paths[0]}, got none: all "
            "their pixels are taken for dark surround or writing, or lie in pictures.exclude; give "
            "other pictures, or set pictures.find_content and pictures.find_text to false"
        )
    if len(blank):
        name = domain.entries[int(blank[0])].name
        log.warning(
            "%s: %d of %d pictures show nothing that counts, the first is %s",
            domain.paths[0], len(blank), len(domain), name,
        )  # fmt: skip


def _stack_of(
    sources: Sequence[Source], settings: PictureSettings, side: Literal["source", "target"]
) -> PlaneStack:
    planes = settings.source_planes if side == "source" else settings.target_planes
    datasets = [Dataset.open(s.path) for s in sources if s.kind == "dataset"]
    others = [source for source in sources if source.kind != "dataset"]
    if others and planes != ("image",):
        raise SettingsError(
            f"pictures.{side}_planes asks for {', '.join(planes)}, but {others[0].path} is no data "
            "set and has only pictures; ask for image alone or give data sets"
        )
    classes: tuple[int, ...] = ()
    if "labels" in planes:
        classes = classes_of([dataset.manifest.labels for dataset in datasets])
    return PlaneStack(planes, settings.depth_range_mm, classes)


def _key_of(sources: Sequence[Source], filling: Filling) -> dict[str, Any]:
    """What decides every number of a domain."""
    crops = {"crop", "flip", "source_planes", "target_planes"}
    crops |= {"with_rejected"}  # the sources' fingerprints say what it led to
    return {
        "version": _CACHE_VERSION,
        "settings": filling.settings.model_dump(mode="json", exclude=crops),
        "planes": list(filling.stack.planes),
        "classes": list(filling.stack.classes),
        "sources": [dict(source.fingerprint()) for source in sources],
    }


def _opened(folder: Path, paths: tuple[Path, ...], fingerprint: str, filling: Filling) -> Domain:
    index = read_json(folder / _INDEX, 1_000_000_000)
    channels = int(index["channels"])
    foreign = channels != filling.stack.channels
    return Domain(
        paths=paths,
        channels=channels,
        entries=tuple(Entry(*values) for values in index["entries"]),
        fingerprint=fingerprint,
        problems=tuple(index["problems"]),
        mirror_signs=np.ones(channels, np.float32) if foreign else filling.stack.mirror_signs,
        _values=np.memmap(folder / "values.bin", np.dtype(index["kind"]), mode="r"),
        _counts=np.memmap(folder / "counts.bin", np.uint8, mode="r"),
    )

# SPDX-License-Identifier: Apache-2.0
"""Everything that pictures can be learnt from, read one by one: data sets, folders, videos.

Nothing is skipped silently: a file that cannot be read comes out as a `Damage` in its place.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from endoforge.errors import DataError
from endoforge.frames.content import content_mask
from endoforge.frames.dataset import Dataset
from endoforge.frames.manifest import MANIFEST
from endoforge.frames.media.pixels import PIXEL_SUFFIXES, Pixels, read_pixels
from endoforge.frames.media.video import VideoEnd, read_video
from endoforge.frames.storage import sha256_of, to_json
from endoforge.translation.planes import Fields

#: What counts as a video inside a folder, by the end of its name.
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv"}
)


@dataclass(frozen=True, eq=False)
class Shown:
    """One picture as it is stored.

    Attributes:
        name: Unique within its source; says where it comes from.
        group: Pictures of one recording share it: a sequence, a video, a folder.
        pixels: A foreign picture; None for a frame of a data set.
        fields: The arrays of a frame of a data set; None for a foreign picture.
        still: The group's pictures have one device's surround and writing.
    """

    name: str
    group: str
    pixels: Pixels | None = None
    fields: Fields | None = None
    still: bool = False

    def content(self) -> Bool[np.ndarray, "height width"] | None:
        """Where a frame of a data set shows something; None for a foreign picture."""
        if self.fields is None:
            return None
        valid: np.ndarray = self.fields["valid"]
        return np.asarray(valid | content_mask(self.fields["image"]))


@dataclass(frozen=True)
class Damage:
    """Something that could not be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Source:
    """Files at one path that pictures come from.

    Attributes:
        path: As it was given.
        kind: What was found there.
        files: Pictures and videos in order; empty for a data set.
        with_rejected: Take frames of a data set too that an audit rejected.
    """

    path: Path
    kind: str
    files: tuple[Path, ...] = ()
    with_rejected: bool = False

    def left_out(self) -> tuple[int, int]:
        """How many frames of a data set are left out because an audit rejected them, and of all."""
        if self.kind != "dataset":
            return 0, len(self.files)
        with closing(self._dataset()) as dataset:
            return len(dataset.left_out), len(dataset)

    def fingerprint(self) -> Mapping[str, Any]:
        """Plain values that change whenever a picture would."""
        if self.kind == "dataset":
            with closing(self._dataset()) as dataset:
                shards = [record.sha256 for record in dataset.sequences]
                return {"shards": _hash(shards), "rejected": _hash(sorted(dataset.left_out))}
        root = self.path if self.path.is_dir() else self.path.parent
        hashes = [[file.relative_to(root).as_posix(), sha256_of(file)] for file in self.files]
        return {"files": _hash(hashes)}

    def expected(self, every: int) -> int:
        """About how many pictures there are; a video counts as one."""
        rejected, frames = self.left_out()
        return frames - rejected

    def read(self, every: int, fields: tuple[str, ...]) -> Iterator[Shown | Damage]:
        """Yield all pictures in order.

        Args:
            every: Of a video take every n-th frame.
            fields: What to decode of the frames of a data set.

        Raises:
            DataError: A data set is damaged; names the shard.
        """
        if self.kind == "dataset":
            with closing(self._dataset()) as dataset:
                yield from _frames_of(dataset, self.path, fields)
            return
        root = self.path if self.path.is_dir() else self.path.parent
        for file in self.files:
            name = file.relative_to(root).as_posix()
            if file.suffix.lower() in VIDEO_SUFFIXES or file.suffix.lower() not in PIXEL_SUFFIXES:
                yield from _pictures_of_video(file, name, every)
                continue
            try:
                yield Shown(name, f"{self.path}/{Path(name).parent}", read_pixels(file))
            except DataError as error:
                yield Damage(name, str(error).replace(str(file), name))

    def _dataset(self) -> Dataset:
        return Dataset.open(self.path, with_rejected=self.with_rejected)


def find_source(path: Path, with_rejected: bool = False) -> Source:
    """Find out what lies at a path: a data set, a folder (nested ones too), a picture or a video.

    Args:
        path: Where to look.
        with_rejected: Take frames of a data set too that an audit rejected.

    Raises:
        DataError: There is nothing, or nothing that holds pictures.
    """
    if not path.exists():
        raise DataError(f"there is no {path}; give a data set, a folder of pictures or a video")
    if (path / MANIFEST).is_file():
        return Source(path, "dataset", with_rejected=with_rejected)
    if path.is_file():
        return Source(path, "file", (path,))
    files = tuple(file for file in sorted(path.rglob("*")) if _is_shown(file, path))
    if not files:
        known = ", ".join(sorted(PIXEL_SUFFIXES | VIDEO_SUFFIXES))
        raise DataError(
            f"the folder {path} holds no picture and no video ({known}); give a folder with "
            "pictures in it"
        )
    return Source(path, "folder", files)


# ---- inside -------------------------------------------------------------------------------------


def _hash(value: Any) -> str:
    return hashlib.sha256(to_json(value).encode()).hexdigest()


def _is_shown(file: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
    known = file.suffix.lower() in PIXEL_SUFFIXES | VIDEO_SUFFIXES
    return known and not hidden and file.is_file()


def _frames_of(dataset: Dataset, path: Path, fields: tuple[str, ...]) -> Iterator[Shown]:
    wanted = tuple(dict.fromkeys((*fields, "image", "valid")))
    left_out = dataset.left_out
    for index in range(len(dataset)):
        if index in left_out:
            continue
        place = dataset.place(index)
        sequence = dataset.sequences[place.shard].sequence
        name = f"{sequence:06d}/{place.position:06d}"
        yield Shown(name, f"{path}/{sequence}", fields=dataset.fields(index, wanted))


def _pictures_of_video(file: Path, name: str, every: int) -> Iterator[Shown | Damage]:
    try:
        for number, item in enumerate(read_video(file)):
            if isinstance(item, VideoEnd):
                yield from (Damage(name, warning) for warning in item.warnings)
            elif number % every == 0:
                yield Shown(f"{name}#{number:06d}", str(file), item.image, still=True)
    except DataError as error:
        yield Damage(name, str(error).replace(str(file), name))

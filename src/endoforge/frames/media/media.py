# SPDX-License-Identifier: Apache-2.0
"""One way to read a picture, a folder of pictures or a video: an iterator of pictures and problems.

Nothing is skipped silently: what cannot be read comes out as a `Problem` in its place.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from endoforge.errors import DataError
from endoforge.frames.media.pictures import PICTURE_SUFFIXES, read_picture
from endoforge.frames.media.video import VideoEnd, container_of, read_video, read_video_facts

_LONGEST_NAME = 80


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture to work on.

    Attributes:
        name: Unique within its medium; fit for a file name.
        image: 8-bit sRGB.
        time_s: From the start of the video, or of the film made of a folder, seconds.
    """

    name: str
    image: UInt8[np.ndarray, "height width 3"]
    time_s: float


@dataclass(frozen=True)
class Problem:
    """Something that could not be read, and why; `refused` counts whole pictures."""

    name: str
    reason: str
    refused: int = 1


@dataclass(frozen=True)
class Media:
    """What was found at a path.

    Attributes:
        path: As it was given.
        kind: A single picture, a folder of pictures, or a video file.
        files: The picture files in order; the video file alone.
        frames_per_second: Of the video; of the film that a folder becomes.
        expected_frames: How many pictures there should be; None when the video does not say.
    """

    path: Path
    kind: Literal["picture", "folder", "video"]
    files: tuple[Path, ...]
    frames_per_second: float
    expected_frames: int | None

    def read(self, limit: int | None = None) -> Iterator[Picture | Problem]:
        """Read in order, at most `limit` items.

        Raises:
            DataError: A single picture cannot be read, or a video cannot be opened.
        """
        items = self._video_items() if self.kind == "video" else self._picture_items()
        return islice(items, limit)

    def _picture_items(self) -> Iterator[Picture | Problem]:
        names = _unique_names(self.files)
        for index, (name, file) in enumerate(zip(names, self.files, strict=True)):
            try:
                image = read_picture(file)
            except DataError as error:
                if self.kind == "picture":
                    raise
                yield Problem(file.name, str(error).replace(str(file), file.name))
                continue
            yield Picture(name, image, index / self.frames_per_second)

    def _video_items(self) -> Iterator[Picture | Problem]:
        for index, item in enumerate(read_video(self.path)):
            if isinstance(item, VideoEnd):
                yield from (Problem(self.path.name, text, refused=0) for text in item.warnings)
            else:
                yield Picture(f"{index:06d}", item.image, item.time_s)


def open_media(path: Path, folder_frames_per_second: float = 10.0) -> Media:
    """Find out what lies at a path.

    Args:
        path: A picture, a folder of pictures, or a video.
        folder_frames_per_second: Gives the pictures of a folder their times.

    Raises:
        DataError: It is missing, a folder without pictures, or neither picture nor video.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise DataError(
            f"there is no {path}; give a picture, a folder of pictures or a video"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {path}: {reason}; check the path") from None
    if stat.S_ISDIR(mode):
        files = _pictures_in(path)
        return Media(path, "folder", files, folder_frames_per_second, len(files))
    if not stat.S_ISREG(mode):
        raise DataError(f"{path} is neither a file nor a folder; give a picture or a video")
    if path.suffix.lower() not in PICTURE_SUFFIXES and container_of(path) is not None:
        facts = read_video_facts(path)
        return Media(path, "video", (path,), facts.frames_per_second, facts.frames)
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        known = ", ".join(sorted(PICTURE_SUFFIXES))
        raise DataError(
            f"{path} is neither a picture ({known}) nor a video (MP4, MOV, MKV, WebM, AVI, MPEG, "
            "WMV); convert it"
        )
    return Media(path, "picture", (path,), folder_frames_per_second, 1)


def _pictures_in(folder: Path) -> tuple[Path, ...]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"cannot read {folder}: {error.strerror or error}; check the path"
        ) from None
    files = tuple(
        file
        for file in inside
        if file.suffix.lower() in PICTURE_SUFFIXES
        and not file.name.startswith(".")
        and file.is_file()
    )
    if not files:
        known = ", ".join(sorted(PICTURE_SUFFIXES))
        raise DataError(
            f"the folder {folder} holds {len(inside)} entries but no picture ({known}); give a "
            "folder with pictures in it"
        )
    return files


def _unique_names(files: tuple[Path, ...]) -> list[str]:
    """Names fit for result files: harmless characters, not too long, each only once."""
    names: list[str] = []
    taken: set[str] = set()
    for file in files:
        base = "".join(c if c.isalnum() or c in "-_." else "_" for c in file.stem)
        base = base.lstrip(".")[:_LONGEST_NAME] or "picture"
        name, count = base, 1
        while name.lower() in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name.lower())
        names.append(name)
    return names

# SPDX-License-Identifier: Apache-2.0
"""Decoding the pictures of a domain into its flat files, with the pixels that count.

What counts is decided on whole pictures: surround, writing, inserts and the user's rectangles are
left out, then both picture and mask are reduced to the training size.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.errors import DataError
from endoforge.frames.content import ContentMask, content_mask
from endoforge.frames.media.pixels import Pixels, display_values, unit_values
from endoforge.frames.overlays import StaticOverlay, coloured_inserts, excluded
from endoforge.translation.planes import PlaneStack, reduced_fields, reduced_mask
from endoforge.translation.settings import PictureSettings
from endoforge.translation.sources import Damage, Shown, Source

_NAMED = 5


@dataclass(frozen=True)
class Entry:
    """One picture of a domain.

    Attributes:
        name: Where it comes from.
        group: Its sequence, video or folder.
        start: Pixels in the flat file before it.
        height: In px.
        width: In px.
    """

    name: str
    group: str
    start: int
    height: int
    width: int


@dataclass(frozen=True)
class Filling:
    """How pictures become entries.

    Attributes:
        settings: Size, and what to leave out.
        stack: Channels of the frames of data sets.
    """

    settings: PictureSettings
    stack: PlaneStack

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Width and height at the training size: the aspect stays, the short side is as set."""
        scale = self.settings.height / min(height, width)
        tall, wide = (max(self.settings.height, round(side * scale)) for side in (height, width))
        return wide, tall

    @property
    def is_exact(self) -> bool:
        """Frames of data sets fit into 8 bits: there are only pictures and classes."""
        return not {"depth", "normals"} & set(self.stack.planes)


def write_entries(
    sources: Sequence[Source], filling: Filling, folder: Path, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Decode everything into ``values.bin`` and ``counts.bin`` of a folder.

    Returns:
        Plain values that say how to read them.

    Raises:
        DataError: There is no picture, one is damaged and must not be skipped, or pictures differ
            in their channels or kind of numbers.
    """
    with open(folder / "values.bin", "wb") as values, open(folder / "counts.bin", "w+b") as counts:
        writer = _Writer(filling, values, counts)
        total = sum(source.expected(filling.settings.every) for source in sources)
        for number, source in enumerate(sources):
            for item in source.read(filling.settings.every, filling.stack.fields):
                writer.take(item, number)
                progress(len(writer.entries), max(total, len(writer.entries)))
        writer.finish_group()
        for file in (values, counts):
            file.flush()
            os.fsync(file.fileno())
    _refuse(writer, sources, filling.settings.skip_damaged)
    return {
        "kind": writer.kind,
        "channels": writer.channels,
        "entries": [list(astuple(entry)) for entry in writer.entries],
        "problems": writer.problems,
    }


# ---- inside -------------------------------------------------------------------------------------


@dataclass
class _Writer:
    """Writes pictures as they come; masks of a group once the whole group was seen."""

    filling: Filling
    values: BinaryIO
    counts: BinaryIO
    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    damaged: set[tuple[int, str]] = field(default_factory=set)
    read: set[tuple[int, str]] = field(default_factory=set)
    kind: str = ""
    channels: int = 0
    _pixels: int = 0
    _group: "_Group | None" = None
    _round: set[int] = field(default_factory=set)

    def take(self, item: Shown | Damage, source: int) -> None:
        if isinstance(item, Damage):
            self.problems.append(_said(item))
            self.damaged.add((source, item.name))
            return
        file = item.name.rpartition("#")[0] if item.still else item.name
        self.read.add((source, file))
        if self._group is None or self._group.name != item.group:
            self.finish_group()
            self._group = _Group(item.group, len(self.entries))
        values, counts = self._converted(item)
        _, height, width = values.shape
        self._refuse_other_kind(item, values)
        self.values.write(np.ascontiguousarray(values).tobytes())
        self.counts.write(counts.astype(np.uint8).tobytes())
        self.entries.append(Entry(item.name, item.group, self._pixels, height, width))
        self._pixels += height * width

    def finish_group(self) -> None:
        """Take what stands still in a recording out of the masks that were already written."""
        group, self._group = self._group, None
        if group is None or not group.looks:
            return
        for number, entry in enumerate(self.entries[group.first :], start=group.first):
            kept = group.kept_at(entry.height, entry.width, number in self._round)
            if kept is None:
                continue
            self.counts.seek(entry.start)
            before = np.frombuffer(self.counts.read(entry.height * entry.width), np.uint8)
            self.counts.seek(entry.start)
            self.counts.write((before * kept.ravel()).astype(np.uint8).tobytes())
        self.counts.seek(0, os.SEEK_END)

    def _converted(self, item: Shown) -> tuple[np.ndarray, Bool[np.ndarray, "height width"]]:
        if item.fields is not None:
            return self._frame(item)
        assert item.pixels is not None
        return self._picture(item.pixels, item)

    def _frame(self, item: Shown) -> tuple[np.ndarray, Bool[np.ndarray, "height width"]]:
        assert item.fields is not None
        size = self.filling.size_of(*item.fields["image"].shape[:2])
        channels = self.filling.stack.stacked(reduced_fields(item.fields, size))
        content = item.content()
        assert content is not None
        counts = reduced_mask(content, size) if self.filling.settings.find_content else None
        full = np.ones(size[::-1], bool) if counts is None else counts
        return (_as_bytes(channels) if self.filling.is_exact else channels.astype("f2")), full

    def _picture(
        self, pixels: Pixels, item: Shown
    ) -> tuple[np.ndarray, Bool[np.ndarray, "small_height small_width"]]:
        settings = self.filling.settings
        shown = display_values(pixels, settings.value_range)
        height, width = shown.shape[:2]
        size = self.filling.size_of(height, width)
        counts = ~excluded(settings.exclude, height, width)
        if settings.find_content and not item.still:
            counts &= content_mask(shown)
        if settings.find_text:
            counts &= ~coloured_inserts(shown)
        assert self._group is not None
        if self._group.add(shown, settings, item.still):
            counts &= content_mask(shown)
            self._round.add(len(self.entries))
        if pixels.dtype == np.uint8:
            values = _resized(pixels.astype(np.float32), size).round().clip(0, 255).astype(np.uint8)
        else:
            values = _resized(unit_values(pixels, settings.value_range), size).astype(np.float16)
        return values.transpose(2, 0, 1), reduced_mask(counts, size)

    def _refuse_other_kind(self, item: Shown, values: np.ndarray) -> None:
        kind, channels = values.dtype.str, values.shape[0]
        if not self.entries:
            self.kind, self.channels = kind, channels
        if (kind, channels) != (self.kind, self.channels):
            deep = {"|u1": "8-bit", "<f2": "deeper than 8-bit"}
            raise DataError(
                f"all pictures of one side must be alike, but {self.entries[0].name} has "
                f"{self.channels} {deep.get(self.kind)} channels and {item.name} of {item.group} "
                f"has {channels} {deep.get(kind)} ones; convert or separate them"
            )


@dataclass
class _Group:
    """What stands still in one recording."""

    name: str
    first: int
    looks: bool = False
    content: ContentMask | None = None
    overlays: dict[tuple[int, int], StaticOverlay] = field(default_factory=dict)

    def add(
        self, shown: UInt8[np.ndarray, "height width 3"], settings: PictureSettings, still: bool
    ) -> bool:
        """Look at one more picture; say whether it is a round one of a recording."""
        if settings.find_text:
            self.overlays.setdefault(shown.shape[:2], StaticOverlay()).add(shown)
            self.looks = True
        if settings.find_content and still:
            self.content = self.content or ContentMask()
            self.looks = True
            return self.content.add(shown) is not None
        return False

    def kept_at(
        self, height: int, width: int, is_round: bool
    ) -> Bool[np.ndarray, "height width"] | None:
        """The pixels that no writing and no surround covers; None if that is all of them.

        A round picture has its own surround, because it may wander through the frame.
        """
        key = (height, width, is_round)
        if key not in self._masks:
            self._masks[key] = self._made(*key)
        return self._masks[key]

    _masks: dict[tuple[int, int, bool], Bool[np.ndarray, "height width"] | None] = field(
        default_factory=dict
    )

    def _made(
        self, height: int, width: int, is_round: bool
    ) -> Bool[np.ndarray, "height width"] | None:
        kept = np.ones((height, width), bool)
        for (tall, wide), overlay in self.overlays.items():
            if abs(tall / wide - height / width) < 0.02:
                kept &= reduced_mask(~overlay.mask(tall, wide), (width, height))
        if self.content is not None and not is_round:
            kept &= self.content.mask(height, width)
        return None if kept.all() else kept


def _refuse(writer: _Writer, sources: Sequence[Source], skip: bool) -> None:
    listed = ", ".join(writer.problems[:_NAMED])
    more = f" and {len(writer.problems) - _NAMED} more" if len(writer.problems) > _NAMED else ""
    of = ", ".join(str(source.path) for source in sources[:2]) + (", …" if sources[2:] else "")
    if writer.problems and not skip:
        count, total = len(writer.damaged), len(writer.damaged | writer.read)
        raise DataError(
            f"{count} of {total} files of {of} are damaged: {listed}{more}; restore them, or leave "
            "them out with pictures.skip_damaged=true"
        )
    if not writer.entries:
        raise DataError(
            f"no picture of {of} can be read: {listed or 'it holds none'}{more}; give another "
            "folder"
        )


def _said(damage: Damage) -> str:
    """A clause that names the file once, without what one could do about this file alone."""
    reason = damage.reason.rpartition("; ")[0] or damage.reason
    return reason if reason.startswith(damage.name) else f"{damage.name}: {reason}"


def _as_bytes(
    channels: Float32[np.ndarray, "channels height width"],
) -> UInt8[np.ndarray, "channels height width"]:
    return np.asarray(((channels + 1) * np.float32(127.5)).round(), np.uint8)


def _resized(
    values: Float32[np.ndarray, "tall wide channels"], size: tuple[int, int]
) -> Float32[np.ndarray, "height width channels"]:
    if values.shape[1::-1] == size:
        return values
    smaller = values.shape[0] >= size[1] and values.shape[1] >= size[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.stack([cv2.resize(part, size, interpolation=how) for part in _parts(values)], -1)


def _parts(values: Float32[np.ndarray, "tall wide channels"]) -> Iterator[np.ndarray]:
    for channel in range(values.shape[-1]):
        yield np.ascontiguousarray(values[..., channel])

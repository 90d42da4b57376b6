# SPDX-License-Identifier: Apache-2.0
"""Reading foreign video up to where it is sound, and writing MP4.

FFmpeg hides damage as well as it can; here a file that ends before the end that it states is
reported, and a frame decoded from half a packet is never handed on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from jaxtyping import UInt8

from endoforge.errors import DataError, MissingDependency

#: Largest video frame, pixels (8192 × 8192).
LARGEST_PIXELS = 67_108_864

#: Stop reading after so many packets in a row that cannot be decoded.
_MOST_BAD_PACKETS = 50

#: First bytes of the containers that are opened, and FFmpeg's name of each. Play lists and other
#: files that point at further files are not among them.
_CONTAINERS: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftyp", "mov"),
    (4, b"moov", "mov"),
    (4, b"mdat", "mov"),
    (4, b"wide", "mov"),
    (4, b"free", "mov"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (8, b"AVI ", "avi"),
    (0, b"\x00\x00\x01\xba", "mpeg"),
    (0, b"\x47", "mpegts"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
)

_TICKS_PER_SECOND = 90_000


@dataclass(frozen=True)
class VideoFacts:
    """What a video file says about itself.

    Attributes:
        width: Picture width, px, before rotation.
        height: Picture height, px, before rotation.
        frames_per_second: Average rate; 25 when the file states none.
        frames: Number of frames stated, or estimated from the length; None when neither is known.
        duration_s: Stated length, seconds; None when unknown.
        exact: The number of frames is stated by the file, not estimated.
    """

    width: int
    height: int
    frames_per_second: float
    frames: int | None
    duration_s: float | None
    exact: bool


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One decoded picture and its time from the start of the video, seconds."""

    image: UInt8[np.ndarray, "height width 3"]
    time_s: float


@dataclass(frozen=True)
class VideoEnd:
    """How the reading of a video ended; `warnings` is empty when all is well."""

    frames: int
    warnings: tuple[str, ...]


def container_of(path: Path) -> str | None:
    """FFmpeg's name of the container by the file's first bytes; None for anything else.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; check the path") from None
    for at, magic, name in _CONTAINERS:
        if start[at : at + len(magic)] == magic:
            return name
    return None


def read_video_facts(path: Path) -> VideoFacts:
    """Open a video and read its header.

    Raises:
        DataError: It is not a video, has no index (an interrupted recording), or no picture.
    """
    with _opened(path) as (_, stream):
        return _facts(path, stream)


def read_video(path: Path) -> Iterator[VideoFrame | VideoEnd]:
    """Decode a video frame by frame; the last item is a `VideoEnd` that tells what went wrong.

    Raises:
        DataError: As `read_video_facts`. Damage further on is a warning of the `VideoEnd`.
    """
    with _opened(path) as (container, stream):
        facts = _facts(path, stream)
        stream.thread_type = "AUTO"
        reading = _Reading()
        first_s: float | None = None
        for frame in _sound_frames(container, stream, reading):
            stated = None if frame.time is None else float(frame.time)
            first_s = stated if first_s is None else first_s
            time_s = _time_of(stated, first_s, facts, reading)
            yield VideoFrame(_upright(frame), time_s)
            reading.frames += 1
            reading.last_s = time_s
        yield VideoEnd(reading.frames, _warnings(path, facts, reading))


@contextmanager
def writing_video(
    file: BinaryIO, width: int, height: int, frames_per_second: float
) -> "Iterator[VideoWriter]":
    """Open an MP4 for writing; close it properly when the block ends.

    Args:
        file: Where the bytes go; must be seekable.
        width: Picture width, px, even.
        height: Picture height, px, even.
        frames_per_second: Nominal rate; each frame still keeps its own time.

    Raises:
        MissingDependency: This PyAV can write neither H.264 nor MPEG-4.
    """
    with av.open(file, "w", format="mp4") as container:
        rate = Fraction(frames_per_second).limit_denominator(1001)
        stream: Any = container.add_stream(_encoder(), rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS_PER_SECOND)
        if stream.codec_context.name == "libx264":
            stream.options = {"crf": "20", "preset": "veryfast"}
        else:
            stream.bit_rate = 4_000_000
        writer = VideoWriter(container, stream, round(_TICKS_PER_SECOND / frames_per_second))
        yield writer
        for packet in stream.encode():
            container.mux(packet)


class VideoWriter:
    """Adds frames to an open MP4, in order of time."""

    def __init__(self, container: Any, stream: Any, step: int) -> None:
        self._container = container
        self._stream = stream
        self._step = max(step, 1)
        self._last = -self._step

    def add(self, image: UInt8[np.ndarray, "height width 3"], time_s: float) -> None:
        """Add a frame; a time that does not advance becomes one nominal step later."""
        ticks = round(time_s * _TICKS_PER_SECOND)
        ticks = ticks if ticks > self._last else self._last + self._step
        self._last = ticks
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = ticks, Fraction(1, _TICKS_PER_SECOND)
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


# ---- inside -------------------------------------------------------------------------------------


@dataclass
class _Reading:
    """Counts of one reading."""

    frames: int = 0
    bad_packets: int = 0
    cut_packets: int = 0
    last_s: float = 0.0
    time_steps_back: int = 0
    error: str = ""


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    container_name = container_of(path)
    if container_name is None:
        raise DataError(
            f"{path} is not a video that can be read; expected MP4, MOV, MKV, WebM, AVI, MPEG or "
            "WMV"
        )
    try:
        container = av.open(
            str(path.resolve()), format=container_name, options={"protocol_whitelist": "file"}
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DataError(_unopened(path, container_name, error)) from None
    with container:
        if not container.streams.video:
            raise DataError(f"{path} holds no pictures, only {_kinds(container)}; give a video")
        yield container, container.streams.video[0]


def _unopened(path: Path, container_name: str, error: Exception) -> str:
    if container_name == "mov" and not _has_box(path, b"moov"):
        return (
            f"{path} has no index (its 'moov' part is missing), so the recording was interrupted "
            "or the file is cut; copy it again, or repair it with the recorder's tool"
        )
    return f"{path} cannot be opened as {container_name} video ({_reason(error)}); restore the file"


def _has_box(path: Path, wanted: bytes) -> bool:
    """Walk through the top boxes of an MP4; damaged sizes end the walk."""
    size = path.stat().st_size
    at = 0
    with open(path, "rb") as file:
        for _ in range(10_000):
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                return False
            length = int.from_bytes(head[:4], "big")
            length = int.from_bytes(head[8:16], "big") if length == 1 else length
            if head[4:8] == wanted:
                return at + max(length, 8) <= size
            if length < 8:
                return False
            at += length
    return False


def _kinds(container: Any) -> str:
    return ", ".join(sorted({str(s.type) for s in container.streams})) or "nothing"


def _facts(path: Path, stream: Any) -> VideoFacts:
    width, height = int(stream.codec_context.width), int(stream.codec_context.height)
    if width < 1 or height < 1 or width * height > LARGEST_PIXELS:
        raise DataError(
            f"{path} claims frames of {width} × {height} pixels; expected 1 to {LARGEST_PIXELS} "
            "pixels; restore the file"
        )
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    rate = rate if 0 < rate <= 1000 else 25.0
    duration_s = _duration_s(stream)
    # Only MP4 and MOV count pictures; an AVI counts time slots, of which some may be empty.
    exact = stream.frames > 0 and "mov" in stream.container.format.name
    frames = int(stream.frames) if exact else None
    if frames is None and duration_s is not None:
        frames = max(1, round(duration_s * rate))
    return VideoFacts(width, height, rate, frames, duration_s, exact)


def _duration_s(stream: Any) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    length = stream.container.duration
    return float(length) / av.time_base if length and length > 0 else None


def _sound_frames(container: Any, stream: Any, reading: _Reading) -> Iterator[Any]:
    """Frames from whole packets only; a packet that cannot be decoded is counted."""
    in_a_row = 0
    for packet in _packets(container, stream, reading):
        if packet.is_corrupt:
            reading.cut_packets += 1
            continue
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            reading.bad_packets += 1
            reading.error = _reason(error)
            in_a_row += 1
            if in_a_row >= _MOST_BAD_PACKETS:
                return
            continue
        in_a_row = 0
        yield from (frame for frame in frames if not frame.is_corrupt)


def _packets(container: Any, stream: Any, reading: _Reading) -> Iterator[Any]:
    try:
        yield from container.demux(stream)
    except (av.error.FFmpegError, OSError) as error:
        reading.bad_packets += 1
        reading.error = _reason(error)


def _time_of(
    stated: float | None, first_s: float | None, facts: VideoFacts, reading: _Reading
) -> float:
    step = 1 / facts.frames_per_second
    following = reading.last_s + step if reading.frames else 0.0
    if stated is None or first_s is None:
        return following
    time_s = stated - first_s
    if reading.frames and time_s <= reading.last_s:
        reading.time_steps_back += 1
        return following
    return time_s


def _upright(frame: Any) -> UInt8[np.ndarray, "height width 3"]:
    image: np.ndarray = frame.to_ndarray(format="rgb24")
    quarter_turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


def _warnings(path: Path, facts: VideoFacts, reading: _Reading) -> tuple[str, ...]:
    warnings = []
    if _ended_early(facts, reading):
        of = f"{facts.frames}" if facts.exact else f"about {facts.frames}"
        warnings.append(
            f"{path.name} ends early: {reading.frames} of {of} frames could be read "
            f"(up to {reading.last_s:.2f} s of {facts.duration_s or 0:.2f} s)"
        )
    broken = reading.bad_packets + reading.cut_packets
    if broken:
        reason = f": {reading.error}" if reading.error else ""
        warnings.append(f"{path.name} is damaged: {broken} parts could not be decoded{reason}")
    if reading.time_steps_back:
        warnings.append(
            f"{path.name} has {reading.time_steps_back} frames whose time does not advance; "
            "they were placed one frame later"
        )
    return tuple(warnings)


def _ended_early(facts: VideoFacts, reading: _Reading) -> bool:
    if facts.exact and facts.frames is not None:
        return reading.frames < facts.frames
    if facts.duration_s is None:
        return False
    missing_s = facts.duration_s - reading.last_s - 1 / facts.frames_per_second
    return missing_s > max(1.0, 3 / facts.frames_per_second)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text).split(":")[0]


def _encoder() -> str:
    for name in ("libx264", "mpeg4"):
        try:
            av.codec.Codec(name, "w")
        except av.error.FFmpegError:
            continue
        return name
    raise MissingDependency("this PyAV has no encoder for MP4; pip install 'av>=14'")

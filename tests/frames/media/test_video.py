# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from endoforge.errors import DataError
from endoforge.frames.media.video import (
    VideoEnd,
    container_of,
    read_video,
    read_video_facts,
    writing_video,
)
from frames.media.samples import cut, tissue, write_video


def read_all(path: Path) -> tuple[list, VideoEnd]:
    *frames, end = read_video(path)
    assert isinstance(end, VideoEnd)
    return frames, end


def read_video_length(path: Path) -> int:
    return read_all(path)[1].frames


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.mov", "a.ts"])
def test_a_whole_video_gives_every_frame_and_no_warning(tmp_path, name):
    frames, end = read_all(write_video(tmp_path / name, 12))
    assert len(frames) == end.frames == 12
    assert end.warnings == ()
    assert frames[0].image.shape == (72, 96, 3)
    assert np.abs(frames[3].image.astype(int) - tissue(shift=9)).mean() < 6


def test_times_of_a_variable_frame_rate_are_kept(tmp_path):
    times = [0.0, 0.04, 0.2, 0.24, 1.0]
    frames, _ = read_all(write_video(tmp_path / "a.mp4", times_s=times))
    assert [round(frame.time_s, 3) for frame in frames] == times


def test_an_mp4_cut_in_half_is_read_up_to_the_cut_and_says_so(tmp_path):
    path = cut(write_video(tmp_path / "a.mp4", 40, movflags="faststart"), 0.5)
    facts = read_video_facts(path)
    frames, end = read_all(path)
    assert facts.frames == 40
    assert facts.exact
    assert 10 < len(frames) < 30
    assert "a.mp4 ends early" in end.warnings[0]
    assert f"{len(frames)} of 40" in end.warnings[0]
    for index, frame in enumerate(frames):  # none of them is half a picture
        assert np.abs(frame.image.astype(int) - tissue(shift=3 * index)).mean() < 6


def test_an_mkv_cut_in_half_says_so_too(tmp_path):
    path = cut(write_video(tmp_path / "a.mkv", 200), 0.5)
    frames, end = read_all(path)
    assert 20 < len(frames) < 180
    assert end.warnings


@pytest.mark.parametrize("share", [0.05, 0.2, 0.35, 0.6, 0.8, 0.97])
def test_wherever_an_mp4_is_cut_nothing_is_silent(tmp_path, share):
    path = cut(write_video(tmp_path / "a.mp4", 40, movflags="faststart"), share)
    try:
        frames, end = read_all(path)
        told = " ".join(end.warnings)
    except DataError as error:
        frames, told = [], str(error)
    assert len(frames) < 40
    assert "a.mp4" in told


def test_an_mp4_without_index_is_refused_with_the_reason(tmp_path):
    path = cut(write_video(tmp_path / "a.mp4", 40), 0.5)
    with pytest.raises(DataError, match="moov"):
        read_video_facts(path)


def test_changed_bytes_end_in_frames_or_a_clear_error(tmp_path):
    path = write_video(tmp_path / "a.mp4", 10)
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(25):
        changed = bytearray(content)
        for _ in range(3):
            changed[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(changed))
        try:
            frames, outcome = read_video_length(path), "read"
        except DataError as error:
            frames, outcome = 0, str(error)
        assert frames <= 10
        assert outcome == "read" or "a.mp4" in outcome


def test_what_is_no_video_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"these are words, not a video " * 50)
    assert container_of(path) is None
    with pytest.raises(DataError, match="not a video"):
        read_video_facts(path)


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-VERSION:3\nhttp://127.0.0.1/a.ts\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    ],
)
def test_play_lists_that_point_elsewhere_are_not_opened(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a video"):
        read_video_facts(path)


def test_a_ten_bit_video_becomes_eight_bits(tmp_path):
    frames, end = read_all(write_video(tmp_path / "a.mp4", 5, pix_fmt="yuv420p10le"))
    assert frames[0].image.dtype == np.uint8
    assert end.warnings == ()


def test_a_written_video_reads_back_with_its_times(tmp_path):
    times = [0.0, 0.1, 0.1, 0.5]  # the third does not advance and is placed later
    with open(tmp_path / "a.mp4", "xb") as file, writing_video(file, 96, 72, 25.0) as writer:
        for index, time_s in enumerate(times):
            writer.add(tissue(shift=index), time_s)
    frames, end = read_all(tmp_path / "a.mp4")
    assert [round(frame.time_s, 2) for frame in frames] == [0.0, 0.1, 0.14, 0.5]
    assert end.warnings == ()


@pytest.mark.real
def test_a_real_clip_is_read_whole(shared_data):
    frames = 0
    for item in read_video(shared_data / "lap_rvimlab_clip" / "endo.mp4"):
        if isinstance(item, VideoEnd):
            assert item.warnings == ()
        else:
            frames += 1
    assert frames == 250

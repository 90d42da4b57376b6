# SPDX-License-Identifier: Apache-2.0
import os

import pytest
from PIL import Image

from endoforge.errors import DataError
from endoforge.frames.media.media import Picture, Problem, open_media
from frames.media.samples import tissue, write_video


def save(path, shift=0):
    Image.fromarray(tissue(shift=shift)).save(path)
    return path


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    for name in ("b.png", "a.jpg", "c.PNG"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    save(tmp_path / ".hidden.png")
    media = open_media(tmp_path, 4.0)
    items = list(media.read())
    assert (media.kind, media.expected_frames) == ("folder", 3)
    assert [(item.name, item.time_s) for item in items] == [("a", 0.0), ("b", 0.25), ("c", 0.5)]


def test_a_broken_picture_of_a_folder_comes_out_as_a_problem_in_its_place(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(save(tmp_path / "a.png").read_bytes()[:200])
    save(tmp_path / "c.png")
    first, problem, last = open_media(tmp_path).read()
    assert isinstance(first, Picture)
    assert isinstance(last, Picture)
    assert isinstance(problem, Problem)
    assert problem.name == "b.png"
    assert str(tmp_path) not in problem.reason


def test_names_of_results_are_harmless_and_unique(tmp_path):
    long = "x" * 200
    for name in ("a b.png", "a_b.png", "A_B.jpg", "<script>.png", f"{long}.png", f"{long}y.png"):
        save(tmp_path / name)
    names = [item.name for item in open_media(tmp_path).read()]
    assert len({name.lower() for name in names}) == len(names) == 6
    assert all(set(name) <= set("abAB_script" + "xy-23") for name in names)
    assert max(map(len, names)) <= 84


def test_a_single_broken_picture_is_an_error(tmp_path):
    file = save(tmp_path / "a.png")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match=r"a\.png"):
        list(open_media(file).read())


def test_a_video_is_known_by_its_content_whatever_it_is_called(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 5).rename(tmp_path / "clip.dat")
    media = open_media(path)
    assert (media.kind, media.expected_frames) == ("video", 5)
    assert [item.name for item in media.read(2)] == ["000000", "000001"]


def test_a_path_that_cannot_be_is_refused(tmp_path):
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(DataError, match="cannot read"):
            open_media(tmp_path / name)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        open_media(tmp_path / "pipe.mp4")


@pytest.mark.parametrize("name", ["missing.png", "missing", "missing.mp4"])
def test_a_missing_path_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=f"there is no .*{name}"):
        open_media(tmp_path / name)


def test_an_empty_folder_and_a_foreign_file_are_refused(tmp_path):
    with pytest.raises(DataError, match="0 entries but no picture"):
        open_media(tmp_path)
    (tmp_path / "a.docx").write_bytes(b"PK\x03\x04 something")
    with pytest.raises(DataError, match="neither a picture"):
        open_media(tmp_path / "a.docx")

# SPDX-License-Identifier: Apache-2.0
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from endoforge.errors import DataError
from endoforge.frames.media.pictures import read_picture
from frames.media.samples import tissue


def saved(path: Path, mode: str = "RGB", **options) -> Path:
    Image.fromarray(tissue()).convert(mode).save(path, **options)
    return path


def test_a_lossless_picture_comes_back_as_it_was(tmp_path):
    assert np.array_equal(read_picture(saved(tmp_path / "a.png")), tissue())


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.jpg", "RGB"), ("a.jpg", "CMYK"), ("a.png", "L"), ("a.png", "P"), ("a.bmp", "RGB"),
     ("a.tiff", "CMYK"), ("a.webp", "RGB"), ("a.png", "RGBA")],
)  # fmt: skip
def test_every_usual_kind_becomes_rgb(tmp_path, name, mode):
    picture = read_picture(saved(tmp_path / name, mode))
    assert picture.shape == (72, 96, 3)
    assert abs(int(picture.mean()) - int(tissue().mean())) < 40


def test_sixteen_bits_become_eight(tmp_path):
    values = np.linspace(0, 65535, 96 * 72).reshape(72, 96).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.min() == 0
    assert picture.max() == 255


def test_a_picture_of_one_pixel_is_read(tmp_path):
    Image.new("RGB", (1, 1), (9, 8, 7)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").tolist() == [[[9, 8, 7]]]


def test_a_turned_photograph_is_turned_back(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    saved(tmp_path / "a.jpg", exif=exif)
    assert read_picture(tmp_path / "a.jpg").shape == (96, 72, 3)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tiff", "a.webp"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.5, 0.9])
def test_a_cut_picture_is_refused_by_name(tmp_path, name, share):
    file = saved(tmp_path / name)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=name):
        read_picture(file)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tiff"])
def test_changed_bytes_end_in_a_picture_or_in_a_clear_error(tmp_path, name):
    file = saved(tmp_path / name)
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(content)
        changed[rng.integers(len(content))] ^= 1 << rng.integers(8)
        file.write_bytes(bytes(changed))
        try:
            outcome = f"{name} of shape {read_picture(file).shape}"
        except DataError as error:
            outcome = str(error)
        assert name in outcome


def test_a_png_that_claims_a_giant_size_is_refused_before_memory_is_taken(tmp_path):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    content += struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(content + b"\0\0\0\0IDAT" + struct.pack(">I", 0x35AF061E))
    with pytest.raises(DataError, match="claims too many pixels"):
        read_picture(tmp_path / "a.png")


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"GIF89a" + b"hello" * 100)
    with pytest.raises(DataError, match="not a picture"):
        read_picture(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="cannot read"):
        read_picture(tmp_path / "missing.png")

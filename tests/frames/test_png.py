# SPDX-License-Identifier: Apache-2.0
import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from endoforge.errors import DataError, ShapeError
from endoforge.frames.png import decode_png, encode_png

shapes = st.tuples(st.integers(1, 9), st.integers(1, 9)) | st.tuples(
    st.integers(1, 9), st.integers(1, 9), st.just(3)
)
pictures = st.sampled_from([np.uint8, np.uint16]).flatmap(lambda t: arrays.arrays(t, shapes))


def some_picture(dtype=np.uint16, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    shape = (24, 32, 3) if channels == 3 else (24, 32)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@given(pixels=pictures)
def test_pixels_survive_and_opencv_reads_the_same(pixels):
    content = encode_png(pixels)
    ours = decode_png(content, "x").pixels
    assert ours.dtype == pixels.dtype
    np.testing.assert_array_equal(ours, pixels)
    theirs = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(theirs[..., ::-1] if pixels.ndim == 3 else theirs, pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_pil_reads_the_same_eight_bit_picture(channels):
    pixels = some_picture(np.uint8, channels)
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(encode_png(pixels)))), pixels)


def test_pil_reads_the_same_depth_and_its_notes():
    pixels = some_picture(np.uint16, 1)
    picture = Image.open(io.BytesIO(encode_png(pixels, {"unit": "mm", "scale": "0.005"})))
    np.testing.assert_array_equal(np.array(picture), pixels)
    assert picture.text == {"unit": "mm", "scale": "0.005"}


@given(pixels=pictures)
def test_a_view_with_gaps_is_packed_like_its_copy(pixels):
    flipped = pixels[::-1, ::-1]
    assert encode_png(flipped) == encode_png(flipped.copy())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_other_writers_are_read(dtype, channels):
    pixels = some_picture(dtype, channels)
    pixels[:12] = 7  # so that the writer chooses several filters
    for written in (_with_opencv(pixels), _with_pil(pixels)):
        if written is not None:
            np.testing.assert_array_equal(decode_png(written, "x").pixels, pixels)


def _with_opencv(pixels):
    order = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    adaptive = [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_ALL_FILTERS]
    return cv2.imencode(".png", order, adaptive)[1].tobytes()


def _with_pil(pixels):
    if pixels.dtype == np.uint16 and pixels.ndim == 3:
        return None  # PIL has no such picture
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_the_bytes_depend_on_the_pixels_alone():
    assert encode_png(some_picture(), {"a": "1", "b": "2"}) == encode_png(
        some_picture(), {"b": "2", "a": "1"}
    )


def test_a_picture_without_pixels_is_refused():
    with pytest.raises(ShapeError, match=r"\(0, 4\)"):
        encode_png(np.zeros((0, 4), np.uint8))


# ---- damage --------------------------------------------------------------------------------------

PICTURE = encode_png(some_picture()[:8, :8], {"unit": "mm"})


def test_a_picture_cut_anywhere_is_refused():
    for length in range(len(PICTURE)):
        with pytest.raises(DataError, match=r"picture 7"):
            decode_png(PICTURE[:length], "picture 7")


def test_any_changed_byte_is_found():
    rng = np.random.default_rng(1)
    for at in range(len(PICTURE)):
        changed = bytearray(PICTURE)
        changed[at] ^= int(rng.integers(1, 256))
        with pytest.raises(DataError, match=r"picture 7"):
            decode_png(bytes(changed), "picture 7")


@given(content=st.binary(max_size=200))
def test_no_bytes_whatever_raise_anything_else(content):
    for start in (b"", PICTURE[:8], PICTURE[:33]):
        with pytest.raises(DataError):
            decode_png(start + content, "x")


def test_bytes_after_the_end_are_refused():
    with pytest.raises(DataError, match="3 bytes after its end"):
        decode_png(PICTURE + b"abc", "x")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width, height, data, bits=8, colour=0, interlace=0):
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    return b"".join(
        [PICTURE[:8], _chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize(
    ("bits", "colour", "interlace"),
    [(8, 3, 0), (16, 3, 0), (8, 6, 0), (8, 4, 0), (1, 0, 0), (8, 0, 1), (8, 9, 0)],
    ids=["palette", "palette 16", "alpha", "grey alpha", "1 bit", "interlaced", "unknown"],
)
def test_other_kinds_of_png_are_refused(bits, colour, interlace):
    content = _png(4, 4, zlib.compress(bytes(100)), bits, colour, interlace)
    with pytest.raises(DataError, match="8 or 16 bit grey or RGB"):
        decode_png(content, "x")


@pytest.mark.parametrize("size", [(65535, 65535), (0, 4), (4, 0), (2**31, 1)])
def test_an_absurd_size_is_refused_without_memory(size):
    tracemalloc.start()
    with pytest.raises(DataError, match=f"{size[0]} × {size[1]}"):
        decode_png(_png(*size, zlib.compress(b"")), "x")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_bomb_is_refused_without_memory():
    bomb = _png(100, 100, zlib.compress(bytes(50_000_000)))
    tracemalloc.start()
    with pytest.raises(DataError, match="instead of 10100"):
        decode_png(bomb, "x")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_too_few_pixels_are_refused():
    with pytest.raises(DataError, match="holds 50 bytes of pixels instead of 10100"):
        decode_png(_png(100, 100, zlib.compress(bytes(50))), "x")


def test_an_unknown_filter_is_refused():
    with pytest.raises(DataError):
        decode_png(_png(4, 2, zlib.compress(bytes([9, 1, 2, 3, 4] * 2))), "x")
